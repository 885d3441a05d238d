"""Every function under its own role, enforced: what the template does not allow, the product cannot do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from line_simulator import LineSimulator
from local.api import Api
from local.clock import set_clock
from local.seed import bring_in
from local.stack import STAGE, LocalStack

ROOT = Path(__file__).parents[2]
CUSTOMERS = "会員番号,氏名,メールアドレス,電話番号,郵便番号,都道府県,市区町村,番地\nM1,山田花子,hanako@example.jp,090-1234-5678,060-0001,北海道,札幌市,1-1\n"
ORDERS = "注文番号,会員番号,注文日,金額\nN1,M1,2026-01-05,4980\n"
CONTENTS: dict[str, dict[str, Any]] = {
    "email": {"subject": "新作です", "text": "新作です"},
    "sms": {"text": "新作です"},
    "postal": {"heading": "新作です", "body": "新作です"},
}
WELCOME = {
    "schema": "scenario/1",
    "name": "ようこそ",
    "trigger": {"type": "event", "event": "follow"},
    "start": "hello",
    "nodes": {
        "hello": {"type": "send", "channel": "line", "template": "tpl_line", "next": "wait"},
        "wait": {"type": "wait", "duration": "P1D", "at": "10:00", "next": "again"},
        "again": {"type": "send", "channel": "line", "template": "tpl_line", "next": "done"},
        "done": {"type": "end"},
    },
}


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.3)


def issue_key(stack: LocalStack) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | stack.env
    command = [sys.executable, "-m", "infra.key", "--stage", STAGE]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def mails(stack: LocalStack) -> list[Any]:
    with urllib.request.urlopen(stack.endpoint + "/_ministack/ses/messages", timeout=10) as answer:
        return [mail for box in json.load(answer)["messages"].values() for mail in box]


def told_by_ses(stack: LocalStack) -> set[str]:
    items = stack.client("dynamodb").scan(TableName=f"enishi-{STAGE}-engine")["Items"]
    return {item["sk"]["S"] for item in items if item["pk"]["S"].startswith("EVT#")}


def test_the_main_job_runs_under_the_roles_of_the_template(tmp_path: Path) -> None:
    with LineSimulator(seed=1) as line, LocalStack(tmp_path, line_url=line.url, least_privilege=True) as stack:
        api = Api(stack.api_url, issue_key(stack))
        channel = line.channel("縁商店", webhook_url=f"{stack.api_url}/webhook/main", monthly_limit="none", redelivery=True)
        api.post("/line-accounts", {"key": "main", "name": "縁商店", "channel_id": channel.id, "channel_secret": channel.secret})
        api.post(
            "/templates",
            {
                "template_id": "tpl_line",
                "name": "x",
                "channel": "line",
                "content": {"messages": [{"type": "text", "text": "こんにちは"}]},
            },
        )
        for kind, content in CONTENTS.items():
            api.post("/templates", {"template_id": f"tpl_{kind}", "name": "x", "channel": kind, "content": content})
        api.put("/scenarios/welcome", {"graph": WELCOME})
        api.post("/scenarios/welcome/publish")

        # Webhook, worker, reply, state machine.
        person = line.person("花子")
        person.follow(channel)
        until(lambda: len(person.inbox(channel)) == 1)
        until(lambda: stack.client("stepfunctions").list_executions(stateMachineArn=_machine(stack))["executions"])
        set_clock(stack.clock_path, datetime.now(UTC) + timedelta(days=2))
        until(lambda: len(person.inbox(channel)) == 2)

        # Imports and campaigns by the work queue, on every channel.
        assert bring_in(api, "customers", CUSTOMERS.encode("cp932"))["created"] == 1
        assert bring_in(api, "orders", ORDERS.encode())["created"] == 1
        for kind in CONTENTS:
            body = {"name": kind, "channel": kind, "template_id": f"tpl_{kind}", "condition": {"purchase": {"count_from": 1}}}
            campaign = api.post("/campaigns", body)["campaign_id"]
            api.post(f"/campaigns/{campaign}/send")
            until(lambda campaign=campaign: api.get(f"/campaigns/{campaign}/report")["sent"] == 1)
        assert [mail["To"] for mail in mails(stack)] == [["hanako@example.jp"]]
        until(lambda: told_by_ses(stack) == {"send", "delivery"})
        files = stack.client("s3").list_objects_v2(Bucket=stack.outputs["FilesBucket"], Prefix="postal/")["Contents"]
        assert len(files) == 2
        # The streams, and what they say into the lake.
        until(lambda: stack.client("s3").list_objects_v2(Bucket=stack.outputs["FilesBucket"], Prefix="lake/")["KeyCount"])
        for queue in ("events", "work", "mail", "lake"):
            assert api.get(f"/dead-letters/{queue}")["items"] == []


def _machine(stack: LocalStack) -> str:
    machines = stack.client("stepfunctions").list_state_machines()["stateMachines"]
    return next(machine["stateMachineArn"] for machine in machines if "welcome" in machine["name"])
