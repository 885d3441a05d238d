"""Everything that can happen to an account, once each: every event and every kind of message a webhook can carry."""

from __future__ import annotations

from tests.simulator.contract.stage import Stage

PNG = b"\x89PNG\r\n\x1a\n"
STICKER = {"type": "sticker", "packageId": "1", "stickerId": "1", "stickerResourceType": "ANIMATION"}
PLACE = {"type": "location", "title": "花屋", "address": "東京都千代田区1-1-1", "latitude": 35.68, "longitude": 139.76}


def everything_happens(stage: Stage) -> None:
    """Make each event happen at least once; webhooks of it are in stage.line.webhooks."""
    _chat(stage)
    _customers(stage)
    _groups(stage)
    _friendship(stage)
    _modules(stage)


def _chat(stage: Stage) -> None:
    shop, hanako = stage.shop, stage.hanako
    said = hanako.say(shop, "👋 春の花")
    emoji = {"index": 0, "length": 7, "productId": "5ac1bfd5040ab15980c9b435", "emojiId": "001"}
    hanako.send(shop, {"type": "text", "text": "(brown)はい", "emojis": [emoji]})
    hanako.send(shop, {"type": "text", "text": "これです", "quotedMessageId": said})
    hanako.send(shop, {"type": "image"}, PNG)
    hanako.send_images(shop, [PNG, PNG])
    hanako.send(shop, {"type": "video", "duration": 60_000}, b"video")
    hanako.send(shop, {"type": "audio", "duration": 60_000}, b"audio")
    hanako.send(shop, {"type": "file", "fileName": "名簿.pdf"}, b"%PDF")
    hanako.send(shop, PLACE)
    hanako.send(shop, STICKER)
    hanako.unsend(shop, said)
    hanako.postback(shop, "a=1")
    hanako.postback(shop, "d", {"datetime": "2026-11-22T10:00"})
    hanako.postback(shop, "m", {"newRichMenuAliasId": "b", "status": "SUCCESS"})
    hanako.finish_video(shop, "track-1")
    hanako.beacon(shop, "d41d8cd98f", "enter", "1234567890abcdef")


def _customers(stage: Stage) -> None:
    shop, hanako = stage.shop, stage.hanako
    stage.line.people.account_linked(shop, stage.user_id, "nonce-0123456789")
    stage.line.people.account_linked(shop, None, "nonce-0123456789")
    plan = stage.line.membership(shop, "ベーシック", price=500)
    hanako.join_membership(shop, plan)
    hanako.renew_membership(shop, plan)
    hanako.leave_membership(shop, plan)


def _groups(stage: Stage) -> None:
    shop, hanako = stage.shop, stage.hanako
    jiro, saburo = stage.line.person("次郎"), stage.line.person("三郎", consent=False)
    group = stage.line.group("花の会", [hanako], channel=shop)
    group.join(jiro, saburo)
    said = group.say(hanako, "@次郎 @花屋 @all こんにちは", mention=[jiro, shop, "all"])
    group.edit(hanako, said, "@次郎 さようなら")
    group.unsend(hanako, said)
    group.say(saburo, "名前のない人です")
    group.send(jiro, {"type": "image"}, PNG)
    group.postback(jiro, "a=1")
    group.leave(jiro)
    group.remove()
    room = stage.line.room("部屋", [hanako, jiro], channel=shop)
    room.say(jiro, "やあ")
    room.remove()


def _friendship(stage: Stage) -> None:
    stage.hanako.block(stage.shop)
    stage.hanako.unblock(stage.shop)


def _modules(stage: Stage) -> None:
    line, shop, hanako = stage.line, stage.shop, stage.hanako
    line.account_event(shop, "module", type="attached")
    line.account_event(shop, "module", type="detached")
    line.account_event(shop, "activated", hanako)
    line.account_event(shop, "deactivated", hanako)
    line.account_event(shop, "botSuspended")
    line.account_event(shop, "botResumed")
    line.account_event(shop, "delivery", data="d41e0ad70dddfeb68f149ad6fc61574b9c5780ab7bcb2fba5517771ffbb2409c")
