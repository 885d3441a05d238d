"""Demo data: one LINE account, links, three of the ready-made scenarios, and members with a past; all through the API."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import urllib3

from chalicelib.scenarios.ready_made import drawings
from local.api import Api, ApiError
from local.cast import Member, customers_csv, members, orders_csv
from local.clock import FileClock
from local.shop import Shop
from local.stack import LocalStack

ACCOUNT = "main"
SHOP_NAME = "縁商店"
_SHOP_PORT = 4704


LINKS = {
    "story": ("つくり手の話", "story"),
    "care": ("お手入れ", "care"),
    "shop": ("オンラインショップ", ""),
    "new_items": ("新作", "new"),
}
SCENARIOS = ("welcome", "first_purchase", "dormant90")


def scenario(name: str) -> Mapping[str, Any]:
    """Return the drawing of a seed scenario: a ready-made one as it comes."""
    return drawings()[name].graph


def key_for(stack: LocalStack) -> str:
    """Return an API key with all scopes for this installation, made on the first start and kept beside its data."""
    path = stack.data_dir / "api-key"
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    os.environ.update(stack.env)
    from chalicelib.wiring import world

    _, token = world().staff.issue("local", ["*"])
    path.touch(mode=0o600)
    path.write_text(token, encoding="utf-8")
    return token


def configure(api: Api, channel_id: str, channel_secret: str, shop_url: str) -> None:
    """Write the account and the links, and publish the ready-made scenarios as they are; what is there already stays."""
    api.post(
        "/line-accounts",
        {
            "key": ACCOUNT,
            "name": SHOP_NAME,
            "channel_id": channel_id,
            "channel_secret": channel_secret,
            "member_login_url": f"{shop_url}login",
        },
    )
    for link_id, (name, path) in LINKS.items():
        unless_there(api, "POST", "/links", {"link_id": link_id, "name": name, "url": shop_url + path})
    for name in SCENARIOS:
        unless_there(api, "POST", f"/ready-made-scenarios/{name}", {"account": ACCOUNT})
        api.post(f"/scenarios/{name}/publish")


def unless_there(api: Api, method: str, path: str, body: dict[str, Any]) -> None:
    """Make something, or find that it has been made."""
    try:
        api.call(method, path, body)
    except ApiError as error:
        if error.status != 409:
            raise


def bring_in(api: Api, kind: str, content: bytes, *, trigger: bool = False, account: str = "", wait: bool = True) -> dict[str, Any]:
    """Import a CSV file through the public API and return how it ended."""
    job: dict[str, Any] = api.post("/imports", {"kind": kind, "trigger": trigger, "account": account})
    api.upload(job["upload_url"], content)
    api.post(f"/imports/{job['import_id']}/start")
    while wait and job["state"] not in ("done", "failed"):
        time.sleep(0.1)
        job = api.get(f"/imports/{job['import_id']}")
    return job


def bring_members_in(api: Api, people: list[Member]) -> None:
    """Import members and their past orders. Raises RuntimeError when a row was refused."""
    for kind, content in (("customers", customers_csv(people)), ("orders", orders_csv(people))):
        job = bring_in(api, kind, content)
        if job["state"] != "done" or job["failed"]:
            raise RuntimeError(f"the demo's {kind} were not taken: {job}")


def seed(stack: LocalStack, line_url: str) -> dict[str, Any]:
    """Give a fresh `make up` an account, people and scenarios; on kept data only bring executions back to life."""
    token = key_for(stack)
    api = Api(stack.api_url, token)
    now = FileClock(stack.clock_path).now()
    marker = stack.data_dir / "seeded"
    shop = Shop(_SHOP_PORT, stack.api_url, token, ACCOUNT)
    shop.start()
    if marker.exists():
        os.environ.update(stack.env)
        from chalicelib.wiring import world

        # MiniStack comes back with every execution failed; positions are in DynamoDB (local-aws.md section 2).
        world().upkeep.restart()
    else:
        channel = _channel(line_url, f"{stack.api_url}/webhook/{ACCOUNT}")
        configure(api, channel["id"], channel["secret"], shop.url)
        people = members(random.Random(1), 60, datetime.fromtimestamp(now.timestamp(), tz=UTC))
        bring_members_in(api, people)
        _people(line_url, [one.name for one in people[:3]])
        marker.touch()
    return {
        "addresses": [("会員サイト（見本） / sample member site", shop.url)],
        "notes": [
            ("APIキー / API key", str(stack.data_dir / "api-key")),
            ("会員番号 / member numbers", "M00001 … M00060（パスワード / password: demo）"),
            (
                "夜間 / at night",
                "22時から8時は送りません。時計を朝に進めてください / nothing is sent from 22 to 8: turn the clock to the morning",
            ),
        ],
    }


def _channel(line_url: str, webhook_url: str) -> dict[str, Any]:
    body = {"name": SHOP_NAME, "webhookUrl": webhook_url, "monthlyLimit": 30_000}
    answer = urllib3.request("POST", f"{line_url}/_sim/channels", json=body)
    found: dict[str, Any] = answer.json()
    return found


def _people(line_url: str, names: list[str]) -> None:
    for name in names:
        urllib3.request("POST", f"{line_url}/_sim/people", json={"name": name})
