"""The template on this machine: what is written through the API lies in the lake a moment later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.api import Api
from local.seed import bring_in
from local.stack import STAGE, LocalStack
from tests.fakes.outside import FakeFiles
from tests.lake.streams import standing

ROOT = Path(__file__).parents[2]
CUSTOMERS = "会員番号,氏名,メールアドレス,生年月日\nM1,山田花子,hanako@example.jp,1992-02-29\nM2,佐藤太郎,taro@example.jp,\n"
ORDERS = "注文番号,会員番号,注文日,金額\nN1,M1,2026-01-05,4980\nN2,M1,2026-02-05,20\n"


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.3)


def issue_key(stack: LocalStack) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | stack.env
    command = [sys.executable, "-m", "infra.key", "--stage", STAGE]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def lake(stack: LocalStack) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what stands in the lake's delta files."""
    files, bucket = stack.client("s3"), stack.outputs["FilesBucket"]
    keys = [entry["Key"] for entry in files.list_objects_v2(Bucket=bucket, Prefix="lake/delta/").get("Contents", [])]
    return standing(FakeFiles({key: files.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}))


def stop_folding(stack: LocalStack) -> None:
    """Let delta files lie."""
    schedules = stack.client("scheduler")
    for one in schedules.list_schedules()["Schedules"]:
        if "lake" in json.dumps(one, default=str):
            schedules.delete_schedule(Name=one["Name"], GroupName=one["GroupName"])


def test_what_the_api_writes_comes_into_the_lake(tmp_path: Path) -> None:
    with LocalStack(tmp_path) as stack:
        stop_folding(stack)
        api = Api(stack.api_url, issue_key(stack))
        bring_in(api, "customers", CUSTOMERS.encode())
        bring_in(api, "orders", ORDERS.encode())
        until(lambda: {"profile", "stats", "purchase"} <= {key[0] for key in lake(stack)})
        until(lambda: [row["count"] for key, row in lake(stack).items() if key[0] == "stats"] == [2])
        found = lake(stack)
        people = {row["member_no"]: row for key, row in found.items() if key[0] == "profile"}
        assert {name: row["name"] for name, row in people.items()} == {"M1": "山田花子", "M2": "佐藤太郎"}
        assert {key[2]: row["amount_yen"] for key, row in found.items() if key[0] == "purchase"} == {"N1": 4980, "N2": 20}
        tag = api.post("/tags", {"name": "VIP"})["tag_id"]
        cid = people["M1"]["cid"]
        customer = next(one["customer_id"] for one in api.get("/customers")["items"] if one["member_no"] == "M1")
        api.put(f"/customers/{customer}/tags/{tag}")
        until(lambda: ("tags", cid) in lake(stack))
        assert lake(stack)["tags", cid]["tags"] == [tag]
        assert api.get("/dead-letters/lake")["items"] == []
