"""From the items of the tables, and the records of their streams, to rows of lake.model.CHANGES; pure.

The item is read as the rooms write it; each reader names the room. What is empty there is left out of the row and becomes NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from chalicelib.customers.model import DeliveryChannel, Profile, has_postal_address, is_mobile
from chalicelib.friends.model import friend_sk
from chalicelib.kernel.clock import from_text
from chalicelib.kernel.facts import Evidence
from chalicelib.kernel.signing import fingerprint
from chalicelib.kernel.windows import day_of
from chalicelib.kernel.wire import plain
from chalicelib.lake.model import CHANGES
from chalicelib.people.model import cid_of
from chalicelib.ports.database import Item
from chalicelib.tags.model import tags_of

Row = dict[str, Any]
Change = tuple[str, Row]  # the kind, and a row of CHANGES[kind]
# What reading an item that no room of ours has written may raise.
UNREADABLE = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
_EXPIRY = "dynamodb.amazonaws.com"  # who deletes items that have expired (DynamoDB guide, "DynamoDB Streams and TTL")
VERSION_DIGITS = 40  # a sequence number has at most forty (DynamoDB Streams API reference, StreamRecord)
_LIMITS = {"INTEGER": 2**31, "BIGINT": 2**63}
_PROFILE_TEXTS = (
    "member_no", "name", "name_kana", "email", "phone", "postal_code", "prefecture", "city", "address", "building", "gender",
)  # fmt: skip
_FRIEND = friend_sk("")  # type: ignore[arg-type]
_HISTORY = "HIS#"
_EVIDENCE = frozenset(str(evidence) for evidence in Evidence)


def change_of(table: str, record: Mapping[str, Any]) -> Change | None:
    """Return what a record of a table's stream changes in the lake, None when nothing.

    table: `core`, `timeline` or `engine`. record: of a stream with both images. Raises one of UNREADABLE for an item that is
    not as its room writes it. An item that DynamoDB has expired stays in the lake; one that we delete goes.
    """
    stream = record["dynamodb"]
    keys = stream["Keys"]
    kind = kind_of(table, keys["pk"]["S"], keys["sk"]["S"])
    if kind is None:
        return None
    gone = record["eventName"] == "REMOVE"
    if gone and (record.get("userIdentity") or {}).get("principalId") == _EXPIRY:
        return None
    row = _row(kind, plain(stream["OldImage" if gone else "NewImage"]))
    if row is None:
        return None
    if kind == "mark":
        row["table"] = table
    if gone:
        row = {name: row[name] for name in CHANGES[kind].key}
    at = _second(int(stream["ApproximateCreationDateTime"]))
    if kind == "recipient" and not gone:
        row["at_instant"] = at
    row["v"] = stream["SequenceNumber"].zfill(VERSION_DIGITS)
    row["at"] = at
    row["gone"] = gone
    return kind, row


def change_of_item(table: str, item: Item, at: datetime) -> Change | None:
    """Return what an item that stands in a table is in the lake, None when nothing; for whoever reads whole tables.

    at: when the reading of the table began. Its `v` is empty: any record of the stream is newer. Raises as `change_of`.
    """
    kind = kind_of(table, item["pk"], item["sk"])
    row = _row(kind, item) if kind else None
    if kind is None or row is None:
        return None
    if kind == "mark":
        row["table"] = table
    text = _second(int(at.timestamp()))
    if kind == "recipient":
        row["at_instant"] = text
    return kind, {**row, "v": "", "at": text, "gone": False}


def latest(changes: Iterable[Change]) -> dict[str, list[Row]]:
    """Return the rows by kind, of several with one key the one with the greatest version."""
    kept: dict[str, dict[tuple[Any, ...], Row]] = {}
    for kind, row in changes:
        rows = kept.setdefault(kind, {})
        key = tuple([row[name] for name in CHANGES[kind].key])
        known = rows.get(key)
        if known is None or row["v"] >= known["v"]:
            rows[key] = row
    return {kind: list(rows.values()) for kind, rows in kept.items()}


def kind_of(table: str, pk: str, sk: str) -> str | None:
    """Return the kind of an item by its key, None for what the lake does not keep."""
    if pk.startswith("MARK#"):
        return "mark"
    if not pk.startswith("C#"):
        if table == "core":
            return "suppressed" if pk.startswith("SUP#") else None
        # `CMP#id` without a shard holds counts, under names that are no numbers.
        return "recipient" if table == "engine" and pk.startswith("CMP#") and sk.isdigit() else None
    match table:
        case "core":
            return "friend" if sk.startswith(_FRIEND) else _CORE.get(sk)
        case "timeline":
            return {"PUR#": "purchase"}.get(sk[:4]) or ("event" if sk.startswith("EV#") else None)
        case _:
            return "enrollment" if sk.startswith(("ENR#", _HISTORY)) else None


def _row(kind: str, item: Item) -> Row | None:
    row = _READERS[kind](item)
    if row is not None and "ttl" in item and "expires_at" in CHANGES[kind].columns:
        row["expires_at"] = _second(int(item["ttl"]))
    return row


# Values ---------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _instant(text: str) -> str:
    """Return an instant as UTC without a zone, which is how the lake holds it."""
    return from_text(text).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _cid(item: Item) -> int:
    return _whole(int(cid_of(item["pk"])), "BIGINT")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _whole(value: Any, column: str = "INTEGER") -> int:
    if type(value) is not int or not -_LIMITS[column] <= value < _LIMITS[column]:
        raise TypeError(f"no {column}")
    return value


def _texts(row: Row, item: Item, names: Iterable[str]) -> Row:
    for name in names:
        value = item.get(name)
        if value:
            row[name] = _text(value)
    return row


def _instants(row: Row, item: Item, names: Iterable[str]) -> Row:
    for name in names:
        value = item.get(name)
        if value:
            row[name] = _instant(value)
    return row


# Core -----------------------------------------------------------------------------------------------------------------------


def _profile(item: Item) -> Row:
    """Read customers.table, and the mark of people.table on who has become part of another."""
    row = _texts({"cid": _cid(item)}, item, _PROFILE_TEXTS)
    _instants(row, item, ("created_at",))
    if item.get("birthday"):
        row["birthday"] = date.fromisoformat(item["birthday"]).isoformat()
    if item.get("merged_into"):
        row["merged_into"] = _whole(item["merged_into"], "BIGINT")
    phone, email = row.get("phone"), row.get("email")
    if email:
        row["email_print"] = fingerprint(email)
    if phone:
        row["phone_print"] = fingerprint(phone)
    row["has_mobile"] = bool(phone) and is_mobile(phone or "")
    fields = ("postal_code", "name", "prefecture", "city", "address")
    row["has_address"] = has_postal_address(Profile(**{name: row[name] for name in fields if name in row}))
    for channel in DeliveryChannel:
        row[f"out_{channel}"] = str(item.get(f"consent_{channel}") or "").split(" ", 1)[0] == "out"
    attributes = [_attribute(name, value) for name, value in (item.get("attributes") or {}).items()]
    row["attributes"] = [attribute for attribute in attributes if attribute]
    return row


def _attribute(name: str, value: Any) -> Row | None:
    match value:
        case bool():
            return {"name": name, "flag": value}
        case int() | float():
            return {"name": name, "number": float(value)}
        case str():
            day = day_of(value)
            return {"name": name, "text": value, **({"day": day.isoformat()} if day else {})}
    return None


def _stats(item: Item) -> Row:
    row: Row = {"cid": _cid(item), "count": _whole(item.get("count", 0))}
    row["total_yen"] = _whole(item.get("total_yen", 0), "BIGINT")
    return _texts(_instants(row, item, ("first_at", "last_at")), item, ("first_no",))


def _activity(item: Item) -> Row:
    return _instants({"cid": _cid(item)}, item, ("last_at",))


def _tags(item: Item) -> Row:
    return {"cid": _cid(item), "tags": sorted(tags_of({item["sk"]: item}))}


def _friend(item: Item) -> Row:
    row = {"account": item["sk"].removeprefix(_FRIEND), "cid": _cid(item)}
    row["since_at"] = _instant(item.get("state_at") or item["first_seen_at"])
    return _texts(row, item, ("line_user_id", "state", "display_name", "language"))


def _suppressed(item: Item) -> Row:
    _, channel, printed = item["pk"].split("#")
    return {"channel": channel, "print": printed}


# Timeline -------------------------------------------------------------------------------------------------------------------


def _purchase(item: Item) -> Row:
    """Read orders.table: lines where it has any, else its products, one of each."""
    row = {"cid": _cid(item), "order_no": _text(item["order_no"]), "at_instant": _instant(item["at"])}
    row["amount_yen"] = _whole(item["amount_yen"], "BIGINT")
    lines = item.get("lines") or [[product] for product in item["products"]]
    row["lines"] = [_line(*line) for line in lines]
    return _texts(row, item, ("shop",))


def _line(product: str, category: str = "", quantity: int = 1, yen: int = 0) -> Row:
    row = {"quantity": _whole(quantity), "yen": _whole(yen, "BIGINT")}
    return _texts(row, {"product": product, "category": category}, ("product", "category"))


def _event(item: Item) -> Row:
    """Read what reactions note by tracking.table."""
    row = {"cid": _cid(item), "id": item["sk"], "kind": _text(item["kind"]), "at_instant": _instant(item["at"])}
    _texts(row, item, ("name", "account", "source", "evidence"))
    _texts(row, {"link": item.get("link_id")}, ("link",))
    data = item.get("data")
    if isinstance(data, Mapping):
        row["data"] = {name: text for name, text in data.items() if isinstance(text, str)}
    elif data:  # what a postback carried, under the name that segments.history gives it
        row["data"] = {"data": _text(data)}
    return row


# Engine ---------------------------------------------------------------------------------------------------------------------


def _enrollment(item: Item) -> Row:
    """Read scenarios.records: a run is the same whether it is the present one or kept as a former one (`HIS#…#run`)."""
    run = _whole(item["run"])
    sk = item["sk"]
    if sk.startswith(_HISTORY):
        sk = sk.removeprefix(_HISTORY).rpartition("#")[0]
    row = {"cid": _cid(item), "id": f"{sk}#{run:05d}", "version": _whole(item["version"])}
    _texts(row, item, ("scenario", "status", "reason"))
    _instants(row, item, ("entered_at", "ended_at"))
    row["sent"] = [{"node": node, "at": at} for node, at in _sends(item["path"]).items()]
    row["reactions"] = [reaction for key, text in item["responses"].items() if (reaction := _reaction(key, text))]
    return row


def _sends(path: Mapping[str, str]) -> dict[str, str]:
    """Return when each node sent last, from the notes by visit (scenarios.model.sent_at)."""
    minutes: dict[str, str] = {}
    for visit, note in path.items():
        node, _, minute = visit.rpartition("__")
        if note == "sent" and minute > minutes.get(node, ""):
            minutes[node] = minute
    return {node: _instant(f"{minute[:8]}T{minute[8:]}Z") for node, minute in minutes.items()}


def _reaction(key: str, text: str) -> Row | None:
    """Return a reaction as Enrollment.responses keeps it, None for a text that says nothing."""
    at, _, rest = text.partition(" ")
    evidence = rest.partition(" ")[0]
    if evidence not in _EVIDENCE:
        return None
    node, _, link = key.partition("|")
    return {"node": node, "evidence": evidence, "at": _instant(at), **({"link": link} if link else {})}


def _recipient(item: Item) -> Row | None:
    """Read campaigns.table; None while nothing left. The row does not say when it did: the record that tells of it does."""
    if "sent" not in item["path"].values():
        return None
    return {"campaign": item["pk"].split("#")[1], "cid": _whole(item["cid"], "BIGINT")}


def _mark(item: Item) -> Row:
    return {"number": _whole(int(item["pk"].removeprefix("MARK#"))), "asked_at": _instant(item["asked_at"])}


_CORE = {"P": "profile", "S": "stats", "A": "activity", "T": "tags"}
_READERS: Mapping[str, Callable[[Item], Row | None]] = {
    "profile": _profile, "stats": _stats, "activity": _activity, "tags": _tags, "friend": _friend, "suppressed": _suppressed,
    "purchase": _purchase, "event": _event, "enrollment": _enrollment, "recipient": _recipient, "mark": _mark,
}  # fmt: skip
