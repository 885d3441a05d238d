"""Records as the tables' streams tell them, of people of a made-up lake: what the feeder and the folding are measured with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.wire import to_wire
from chalicelib.people.model import person_key
from local.lake_data import NOW

Record = dict[str, Any]
# How often what changes, in a hundred: what people do, that they did, what they buy, what it adds up to, tags, words, friendships.
_SHARES = {"event": 50, "activity": 20, "purchase": 8, "stats": 8, "tags": 6, "profile": 4, "friend": 4}
_TABLES = {"event": "timeline", "purchase": "timeline"}


def records(number: int, people: int, seed: int = 1) -> Iterator[Record]:
    """Yield so many records about so many people, as Lambda hands them over."""
    chance = random.Random(seed)
    kinds, weights = list(_SHARES), list(_SHARES.values())
    for place, kind in enumerate(chance.choices(kinds, weights, k=number)):
        cid = chance.randint(1, people)
        at = NOW - timedelta(seconds=chance.randint(0, 80_000))
        sk, body = _item(kind, cid, place, at, chance)
        keys = {"pk": person_key(cid), "sk": sk}  # type: ignore[arg-type]
        image = {name: to_wire(value) for name, value in {**keys, **body}.items()}
        yield {
            "eventName": "MODIFY",
            "eventSourceARN": f"arn:aws:dynamodb:ap-northeast-1:1:table/{_TABLES.get(kind, 'core')}/stream/x",
            "dynamodb": {
                "Keys": {name: {"S": value} for name, value in keys.items()},
                "NewImage": image,
                "OldImage": image,
                "SequenceNumber": str(10**20 + place),
                "ApproximateCreationDateTime": int(NOW.timestamp()),
            },
        }


def _item(kind: str, cid: int, place: int, at: datetime, chance: random.Random) -> tuple[str, Record]:
    match kind:
        case "event":
            body = {"kind": "clicked", "at": to_text(at), "source": "cmp|cmp_12", "link_id": "link_001", "evidence": "B"}
            return f"EV#{to_text(at)}#new{place:08}", body
        case "activity":
            return "A", {"last_at": to_text(at), "h09": 3, "h21": 4}
        case "purchase":
            order = {"order_no": f"N{place:08}", "at": to_text(at), "amount_yen": 4200, "products": ["P001"], "shop": "shop_01"}
            return f"PUR#{to_text(at)}#{order['order_no']}", order
        case "stats":
            first = to_text(at - timedelta(days=100))
            return "S", {"count": 3, "total_yen": 9000, "first_at": first, "last_at": to_text(at), "revision": 3, "first_no": "O1"}
        case "tags":
            tags = sorted({f"tag_{chance.randint(1, 200):03}" for _ in range(4)})
            return "T", {tag: to_text(at) for tag in tags}
        case "profile":
            words = {"member_no": f"M{cid:09}", "name": "佐藤 花子", "gender": "female", "prefecture": "北海道", "city": "札幌市"}
            return "P", {**words, "birthday": "1990-05-05", "email": f"p{cid}@example.com", "created_at": to_text(at)}
        case _:
            friend = {"line_user_id": f"U{cid:032x}", "state": "following", "first_seen_at": to_text(at), "display_name": "花子"}
            return "FR#main", friend
