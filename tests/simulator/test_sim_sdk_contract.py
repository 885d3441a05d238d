"""LINE's official Python client, unmodified, against the simulator."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from linebot import LineBotApi, models
from linebot import WebhookParser as OlderParser
from linebot.deprecations import LineBotSdkDeprecatedIn30
from linebot.exceptions import LineBotApiError
from linebot.v3 import WebhookParser, messaging
from linebot.v3.exceptions import InvalidSignatureError
from linebot.v3.messaging import (
    ApiClient,
    ApiException,
    BroadcastRequest,
    ButtonsTemplate,
    Configuration,
    FlexBox,
    FlexBubble,
    FlexMessage,
    FlexText,
    MessagingApi,
    MessagingApiBlob,
    MulticastRequest,
    PostbackAction,
    PushMessageRequest,
    ReplyMessageRequest,
    SetWebhookEndpointRequest,
    ShowLoadingAnimationRequest,
    TemplateMessage,
    TextMessage,
    URIAction,
    ValidateMessageRequest,
)
from linebot.v3.oauth import ApiClient as OAuthClient
from linebot.v3.oauth import ChannelAccessToken
from linebot.v3.oauth import Configuration as OAuthConfiguration
from linebot.v3.webhooks import AccountLinkEvent, FollowEvent, MessageEvent, PostbackEvent, UnfollowEvent

from line_simulator import Channel, LineSimulator, Person


@pytest.fixture
def client(line: LineSimulator, shop: Channel) -> Iterator[ApiClient]:
    with ApiClient(Configuration(host=line.url, access_token=shop.access_token)) as opened:
        yield opened


@pytest.fixture
def sdk(client: ApiClient) -> MessagingApi:
    return MessagingApi(client)


def test_push_reaches_the_phone(sdk: MessagingApi, hanako: Person, shop: Channel) -> None:
    sent = sdk.push_message(PushMessageRequest(to=hanako.user_id(shop), messages=[TextMessage(text="春の花🌸")]))
    (message,) = hanako.inbox(shop)
    assert message.message == {"type": "text", "text": "春の花🌸"}
    assert sent.sent_messages[0].id == message.id
    assert sent.sent_messages[0].quote_token


def test_every_bubble_of_a_call_keeps_its_order(sdk: MessagingApi, hanako: Person, shop: Channel) -> None:
    template = ButtonsTemplate(
        text="どれにしますか",
        actions=[PostbackAction(label="赤", data="c=red"), URIAction(label="店", uri="https://example.com/")],
    )
    body = FlexBox(layout="vertical", contents=[FlexText(text="花")])
    messages = [
        TextMessage(text="1"),
        TemplateMessage(altText="選択", template=template),
        FlexMessage(altText="花", contents=FlexBubble(body=body)),
    ]
    sdk.push_message(PushMessageRequest(to=hanako.user_id(shop), messages=messages))
    assert [one.message["type"] for one in hanako.inbox(shop)] == ["text", "template", "flex"]


def test_multicast_and_broadcast_reach_friends_only(sdk: MessagingApi, hanako: Person, taro: Person, shop: Channel) -> None:
    both = [hanako.user_id(shop), taro.user_id(shop)]
    sdk.multicast(MulticastRequest(to=both, messages=[TextMessage(text="m")]))
    sdk.broadcast(BroadcastRequest(messages=[TextMessage(text="b")]))
    assert [one.via for one in hanako.inbox(shop)] == ["multicast", "broadcast"]
    assert taro.inbox(shop) == []
    assert sdk.get_message_quota_consumption().total_usage == 2


def test_reply_answers_an_event_parsed_by_the_sdk(
    sdk: MessagingApi, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any
) -> None:
    hanako.say(shop, "営業時間は？")
    line.drain()
    headers, body = receiver.received[-1]
    (event,) = WebhookParser(shop.secret).parse(body.decode(), headers["x-line-signature"])
    assert isinstance(event, MessageEvent)
    assert event.message.text == "営業時間は？"
    assert event.source.user_id == hanako.user_id(shop)
    sdk.reply_message(ReplyMessageRequest(reply_token=event.reply_token, messages=[TextMessage(text="9時です")]))
    assert [one.via for one in hanako.inbox(shop)] == ["reply"]
    assert sdk.get_message_quota_consumption().total_usage == 0


def test_the_sdk_recognises_every_event(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    hanako.postback(shop, "a=1", {"date": "2026-11-22"})
    hanako.block(shop)
    hanako.unblock(shop)
    line.people.account_linked(shop, hanako.user_id(shop), "nonce-0123456789")
    line.drain()
    parser = WebhookParser(shop.secret)
    events = [event for headers, body in receiver.received for event in parser.parse(body.decode(), headers["x-line-signature"])]
    assert [type(event) for event in events] == [
        FollowEvent,
        PostbackEvent,
        UnfollowEvent,
        FollowEvent,
        AccountLinkEvent,
    ]
    assert [events[0].follow.is_unblocked, events[3].follow.is_unblocked] == [False, True]


def test_a_changed_body_fails_the_signature(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    headers, body = receiver.received[-1]
    with pytest.raises(InvalidSignatureError):
        WebhookParser(shop.secret).parse(body.decode() + " ", headers["x-line-signature"])


def test_profile_info_and_followers(sdk: MessagingApi, hanako: Person, taro: Person, shop: Channel) -> None:
    profile = sdk.get_profile(hanako.user_id(shop))
    assert (profile.display_name, profile.user_id) == ("花子", hanako.user_id(shop))
    with pytest.raises(ApiException) as blocked:
        sdk.get_profile(taro.user_id(shop))
    assert blocked.value.status == 404
    assert sdk.get_bot_info().user_id == shop.bot_user_id
    assert sdk.get_followers().user_ids == [hanako.user_id(shop)]


def test_validation_reports_the_property(sdk: MessagingApi) -> None:
    sdk.validate_push(ValidateMessageRequest(messages=[TextMessage(text="a" * 5000)]))
    with pytest.raises(ApiException) as refused:
        sdk.validate_push(ValidateMessageRequest(messages=[TextMessage(text="a" * 5001)]))
    assert refused.value.status == 400
    assert "messages[0].text" in refused.value.body


def test_a_stateless_token_works_for_fifteen_minutes(line: LineSimulator, shop: Channel) -> None:
    with OAuthClient(OAuthConfiguration(host=line.url)) as opened:
        answer = ChannelAccessToken(opened).issue_stateless_channel_token(
            grant_type="client_credentials", client_id=shop.id, client_secret=shop.secret
        )
    assert answer.expires_in == 900
    with ApiClient(Configuration(host=line.url, access_token=answer.access_token)) as opened:
        assert MessagingApi(opened).get_bot_info().display_name == "花屋"
        line.clock.advance(901)
        with pytest.raises(ApiException) as expired:
            MessagingApi(opened).get_bot_info()
    assert expired.value.status == 401


def test_the_retry_key_is_accepted_once(sdk: MessagingApi, hanako: Person, shop: Channel) -> None:
    key = str(uuid.UUID(int=7))
    request = PushMessageRequest(to=hanako.user_id(shop), messages=[TextMessage(text="一度だけ")])
    first = sdk.push_message_with_http_info(request, x_line_retry_key=key)
    with pytest.raises(ApiException) as second:
        sdk.push_message(request, x_line_retry_key=key)
    assert second.value.status == 409
    assert second.value.headers["x-line-accepted-request-id"] == first.headers["x-line-request-id"]
    assert len(hanako.inbox(shop)) == 1


def test_webhook_settings_and_test(sdk: MessagingApi, shop: Channel, receiver: Any) -> None:
    sdk.set_webhook_endpoint(SetWebhookEndpointRequest(endpoint=receiver.url + "/2"))
    assert sdk.get_webhook_endpoint().endpoint == receiver.url + "/2"
    result = sdk.test_webhook_endpoint(messaging.TestWebhookEndpointRequest())
    assert (result.success, result.status_code, result.reason) == (True, 200, "OK")
    assert receiver.events == []


def test_loading_and_content(sdk: MessagingApi, client: ApiClient, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    sdk.show_loading_animation(ShowLoadingAnimationRequest(chat_id=hanako.user_id(shop), loading_seconds=5))
    message_id = hanako.send(shop, {"type": "image"}, b"\x89PNG picture")
    assert MessagingApiBlob(client).get_message_content(message_id) == bytearray(b"\x89PNG picture")


def test_link_token(sdk: MessagingApi, hanako: Person, shop: Channel) -> None:
    assert sdk.issue_link_token(hanako.user_id(shop)).link_token


@pytest.fixture
def no_advice() -> Iterator[None]:
    """The older client advises the newer one at every call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LineBotSdkDeprecatedIn30)
        yield


def test_the_older_client_of_the_sdk_works_too(
    no_advice: None, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any
) -> None:
    older = LineBotApi(shop.access_token, endpoint=line.url, data_endpoint=line.url)
    user_id = hanako.user_id(shop)
    older.push_message(user_id, models.TextSendMessage(text="a"))
    older.multicast([user_id], [models.TextSendMessage(text="b"), models.StickerSendMessage("1", "1")])
    older.broadcast(models.FlexSendMessage("c", {"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": []}}))
    assert [one.message["type"] for one in hanako.inbox(shop)] == ["text", "text", "sticker", "flex"]
    assert older.get_profile(user_id).display_name == "花子"
    assert older.get_bot_info().user_id == shop.bot_user_id
    image = hanako.send(shop, {"type": "image"}, b"\x89PNG")
    assert older.get_message_content(image).content == b"\x89PNG"
    line.drain()
    headers, body = receiver.received[-1]
    (event,) = OlderParser(shop.secret).parse(body.decode(), headers["x-line-signature"])
    older.reply_message(event.reply_token, models.TextSendMessage(text="d"))
    menu = models.RichMenu(
        size=models.RichMenuSize(800, 400),
        selected=False,
        name="春",
        chat_bar_text="メニュー",
        areas=[models.RichMenuArea(models.RichMenuBounds(0, 0, 800, 400), models.URIAction("店", "https://example.com/"))],
    )
    assert older.get_rich_menu(older.create_rich_menu(menu)).name == "春"
    with pytest.raises(LineBotApiError) as refused:
        older.push_message("nobody", models.TextSendMessage(text="e"))
    assert refused.value.status_code == 400
