"""The whole way on this machine: the API writes, the streams are fed and folded into the lake, the API counts in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.api import Api
from local.seed import bring_in
from local.stack import STAGE, LocalStack
from tests.lake.test_feed_stack import issue_key, stop_folding

HEAD = "会員番号,氏名,性別,メールアドレス\n"
CUSTOMERS = HEAD + "".join(f"M{n},山田{n},{'女性' if n % 3 else '男性'},m{n}@example.jp\n" for n in range(1, 31))
ORDERS = "注文番号,会員番号,注文日,金額\n" + "".join(f"N{n},M{n % 7 + 1},2026-01-{n:02d},{n * 100}\n" for n in range(1, 29))
CONDITIONS: list[tuple[dict[str, Any], int]] = [
    ({"all": []}, 30),
    ({"field": "profile.gender", "is": "female"}, 20),
    ({"field": "email.reachable", "is": True}, 30),
    ({"purchase": {"count_from": 4}}, 7),
    ({"all": [{"field": "profile.gender", "is": "female"}, {"purchase": {"amount_from": 2600}}]}, 2),
]


def counted(api: Api, source: str) -> list[int]:
    return [api.post("/segments/count", {"condition": condition, "source": source})["count"] for condition, _ in CONDITIONS]


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.5)


def test_what_the_api_takes_is_counted_in_the_lake_as_in_the_tables(tmp_path: Path) -> None:
    expected = [number for _, number in CONDITIONS]
    with LocalStack(tmp_path) as stack:
        stop_folding(stack)  # it comes every minute; here it comes when it is called
        api = Api(stack.api_url, issue_key(stack))
        bring_in(api, "customers", CUSTOMERS.encode())
        bring_in(api, "orders", ORDERS.encode())
        assert counted(api, "tables") == expected

        def is_there() -> bool:
            stack.client("lambda").invoke(FunctionName=f"enishi-{STAGE}-lake-keeper", Payload=b"{}")
            found = stack.client("s3").list_objects_v2(Bucket=stack.outputs["FilesBucket"], Prefix="lake/manifest.json")
            return bool(found.get("Contents")) and counted(api, "lake") == expected

        until(is_there)
        found = api.post("/segments/count", {"condition": {"all": []}, "source": "lake"})
        assert len(found["sample"]) == 5 and found["as_of"]
        reach = api.post("/segments/reach", {"condition": {"all": []}})
        assert reach["channels"]["email"] == {"reachable": 30} and reach["channels"]["line"] == {"no_address": 30}
