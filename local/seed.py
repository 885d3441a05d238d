"""Demo data: one LINE account, templates, links, tags, the three scenarios, and members with a past; all through the API."""

from __future__ import annotations

import json
import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3

from local.api import Api, ApiError
from local.cast import Member, customers_csv, members, orders_csv
from local.clock import FileClock
from local.shop import Shop
from local.stack import LocalStack

ACCOUNT = "main"
SHOP_NAME = "縁商店"
_SCENARIOS = Path(__file__).parent / "scenarios"
_SHOP_PORT = 4704


def text(*lines: str) -> dict[str, Any]:
    """Return a LINE template of one text bubble."""
    return {"messages": [{"type": "text", "text": "\n".join(lines)}]}


def buttons(alt: str, body: str, *actions: dict[str, str]) -> dict[str, Any]:
    """Return a LINE template of one bubble with buttons."""
    return {
        "messages": [{"type": "template", "altText": alt, "template": {"type": "buttons", "text": body, "actions": list(actions)}}]
    }


def uri(label: str, link: str) -> dict[str, str]:
    """Return a button that follows a tracked link."""
    return {"type": "uri", "label": label, "uri": f"{{{{link.{link}}}}}"}


def postback(label: str, data: str) -> dict[str, str]:
    """Return a button that answers."""
    return {"type": "postback", "label": label, "data": data, "displayText": label}


TEMPLATES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "tpl_hello": ("友だち追加のあいさつ", "line", {"messages": [
        {"type": "text", "text": "{{name|お客}}様、友だち追加ありがとうございます！"},
        {"type": "template", "altText": "会員連携のご案内", "template": {
            "type": "buttons", "text": "会員の方は、LINEと会員証を連携すると便利です。",
            "actions": [postback("会員連携する", "enishi:link"), postback("配信を停止する", "enishi:stop")]}}]}),
    "tpl_story": ("7日目：つくり手の話", "line", buttons("つくり手の話", "ひとつずつ手でつくっています。つくり手の話をどうぞ。", uri("読んでみる", "story"))),
    "tpl_offer": ("14日目：はじめてのお買い物", "line", text("はじめてのお買い物に使える送料無料のご案内です。", "合言葉「はじめまして」をレジでお伝えください。")),
    "tpl_thanks": ("初回購入3日目：お礼", "line", text("{{name|お客}}様、はじめてのお買い上げありがとうございました。", "お使い心地はいかがですか？")),
    "tpl_thanks_mail": ("初回購入3日目：お礼（メール）", "email", {
        "subject": "{{name|お客}}様、お買い上げありがとうございました", "text": "{{name|お客}}様\n\nはじめてのお買い上げありがとうございました。\nお手入れの方法はこちらです。\n{{link.care}}"}),
    "tpl_coupon": ("初回購入7日目：クーポン", "line", buttons("10%OFFクーポン", "次のお買い物で使える10%OFFクーポンです。コード：ENISHI10（30日間有効）", uri("お店を見る", "shop"))),
    "tpl_coupon_mail": ("初回購入7日目：クーポン（メール）", "email", {
        "subject": "10%OFFクーポンをお届けします", "text": "{{name|お客}}様\n\nコード：ENISHI10（30日間有効）\n{{link.shop}}"}),
    "tpl_remind": ("初回購入30日目：クーポンの期限", "line", text("{{name|お客}}様、クーポン ENISHI10 の期限がもうすぐです。")),
    "tpl_remind_mail": ("初回購入30日目：クーポンの期限（メール）", "email", {
        "subject": "クーポンの期限がもうすぐです", "text": "{{name|お客}}様\n\nクーポン ENISHI10 の期限がもうすぐです。\n{{link.shop}}"}),
    "tpl_dormant": ("休眠：お久しぶりです", "line", buttons("お久しぶりです", "お久しぶりです。新作が入りました。", uri("新作を見る", "new_items"), postback("また今度", "later"))),
    "tpl_dormant_again": ("休眠：別の時間の再送", "line", buttons("新作のご案内", "先日ご案内した新作です。ご覧になりましたか？", uri("新作を見る", "new_items"), postback("また今度", "later"))),
    "tpl_voices": ("お客様の声", "line", text("「毎日つけています」「贈り物に喜ばれました」", "お客様の声をお届けします。")),
    "tpl_dormant_sms": ("休眠：SMS", "sms", {"text": "【縁商店】新作が入りました。{{link.new_items}} 停止は店舗まで"}),
    "tpl_dormant_letter": ("休眠：郵送DM", "postal", {
        "heading": "お久しぶりです。新作が入りました。", "link": "new_items",
        "body": "{{name|お客}}様\n\nいつもありがとうございます。札幌本店に新作が並びました。\nこのお手紙のQRコードから、ひと足先にご覧いただけます。\n\n縁商店 一同"}),
}  # fmt: skip
LINKS = {
    "story": ("つくり手の話", "story"),
    "care": ("お手入れ", "care"),
    "shop": ("オンラインショップ", ""),
    "new_items": ("新作", "new"),
}
SCENARIOS = ("welcome", "first_purchase", "dormant90")


def scenario(name: str) -> dict[str, Any]:
    """Return the drawing of a seed scenario."""
    graph: dict[str, Any] = json.loads((_SCENARIOS / f"{name}.json").read_text(encoding="utf-8"))
    return graph


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
    """Write account, links, templates, tag and scenarios; what is there already stays."""
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
    for template_id, (name, channel, content) in TEMPLATES.items():
        body = {"template_id": template_id, "name": name, "channel": channel, "content": content}
        unless_there(api, "POST", "/templates", body)
    for name in SCENARIOS:
        api.put(f"/scenarios/{name}", {"graph": scenario(name)})
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
