"""LINE's Python SDK, unmodified, through every operation. Each scenario is a day in the life of one area."""

from __future__ import annotations

import base64
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from linebot.v3 import audience, insight, liff, messaging, module, moduleattach, oauth, shop

from tests.simulator.contract.stage import DAY, PHONE_DIGEST, REDIRECT, Stage

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LINK = "https://example.com/spring"
HELLO = messaging.TextMessage(text="こんにちは🌸")


class Clients:
    """Every client class of the SDK, on one account."""

    def __init__(self, stage: Stage, token: str | None = None) -> None:
        given = {"host": stage.url, "access_token": token or stage.shop.access_token}
        line = messaging.ApiClient(messaging.Configuration(**given))
        self.api, self.blob = messaging.MessagingApi(line), messaging.MessagingApiBlob(line)
        people = audience.ApiClient(audience.Configuration(**given))
        self.audience, self.audience_blob = audience.ManageAudience(people), audience.ManageAudienceBlob(people)
        self.insight = insight.Insight(insight.ApiClient(insight.Configuration(**given)))
        self.liff = liff.Liff(liff.ApiClient(liff.Configuration(**given)))
        self.shop = shop.Shop(shop.ApiClient(shop.Configuration(**given)))
        self.oauth = oauth.ChannelAccessToken(oauth.ApiClient(oauth.Configuration(host=stage.url)))


def button(url: str = LINK) -> messaging.TemplateMessage:
    actions = [messaging.URIAction(label="見る", uri=url), messaging.PostbackAction(label="選ぶ", data="a=1")]
    return messaging.TemplateMessage(alt_text="春", template=messaging.ButtonsTemplate(text="春の花", actions=actions))


def sending(stage: Stage, sdk: Clients) -> None:
    api, to = sdk.api, stage.user_id
    reply = messaging.ReplyMessageRequest(reply_token=stage.reply_token(), messages=[HELLO, button()])
    assert [bool(one.id) for one in api.reply_message(reply).sent_messages] == [True, True]
    push = messaging.PushMessageRequest(to=to, messages=[HELLO], custom_aggregation_units=["spring"])
    assert api.push_message(push, x_line_retry_key=str(uuid.UUID(int=1))).sent_messages[0].id
    api.multicast(messaging.MulticastRequest(to=[to, *stage.friends[:9]], messages=[HELLO], custom_aggregation_units=["summer"]))
    api.broadcast(messaging.BroadcastRequest(messages=[HELLO], notification_disabled=True))
    valid = messaging.ValidateMessageRequest(messages=[HELLO, button()])
    api.validate_reply(valid)
    api.validate_push(valid)
    api.validate_multicast(valid)
    api.validate_narrowcast(valid)
    api.validate_broadcast(valid)
    assert api.get_message_quota().type in ("none", "limited")
    assert api.get_message_quota_consumption().total_usage == 1 + 10 + 1 + len(stage.friends)
    assert api.get_aggregation_unit_usage().num_of_custom_aggregation_units == 2
    assert sorted(api.get_aggregation_unit_name_list(limit="10").custom_aggregation_units) == ["spring", "summer"]
    stage.wait(2 * DAY)
    sent = stage.day(-2)
    for ask in (
        api.get_number_of_sent_reply_messages,
        api.get_number_of_sent_push_messages,
        api.get_number_of_sent_multicast_messages,
        api.get_number_of_sent_broadcast_messages,
    ):
        assert ask(sent).status == "ready"
    assert api.get_number_of_sent_broadcast_messages(sent).success == 1 + len(stage.friends)


def narrowcast(stage: Stage, sdk: Clients) -> None:
    made = sdk.audience.create_audience_group(
        audience.CreateAudienceGroupRequest(description="常連", audiences=[audience.Audience(id=one) for one in stage.friends[:60]])
    )
    stage.wait(10)
    request = messaging.NarrowcastRequest(
        messages=[HELLO],
        recipient=messaging.AudienceRecipient(audience_group_id=made.audience_group_id),
        limit=messaging.Limit(max=60, up_to_remaining_quota=True),
    )
    answer = sdk.api.narrowcast_with_http_info(request, x_line_retry_key=str(uuid.UUID(int=2)))
    assert answer.status_code == 202
    request_id = answer.headers["x-line-request-id"]
    assert sdk.api.get_narrowcast_progress(request_id).phase == "waiting"
    stage.wait(60)
    progress = sdk.api.get_narrowcast_progress(request_id)
    assert (progress.phase, progress.success_count, progress.target_count) == ("succeeded", 60, 60)
    men = messaging.GenderDemographicFilter(one_of=["male"])
    everybody_else = messaging.OperatorDemographicFilter(var_not=men)
    filtered = messaging.NarrowcastRequest(messages=[HELLO], filter=messaging.Filter(demographic=everybody_else))
    assert sdk.api.narrowcast_with_http_info(filtered).status_code == 202


def account(stage: Stage, sdk: Clients) -> None:
    api = sdk.api
    profile = api.get_profile(stage.user_id)
    assert (profile.display_name, profile.language, profile.status_message) == ("花子", "ja", "元気")
    info = api.get_bot_info()
    assert (info.user_id, info.chat_mode, info.mark_as_read_mode) == (stage.shop.bot_user_id, "bot", "auto")
    page = api.get_followers(limit=100)
    rest = api.get_followers(limit=100, start=page.next)
    assert len(page.user_ids) == 100 and set(page.user_ids + rest.user_ids) == {stage.user_id, *stage.friends}
    assert api.issue_link_token(stage.user_id).link_token
    api.set_webhook_endpoint(messaging.SetWebhookEndpointRequest(endpoint="https://127.0.0.1:9/hook"))
    assert api.get_webhook_endpoint().endpoint == "https://127.0.0.1:9/hook"
    tested = api.test_webhook_endpoint(messaging.TestWebhookEndpointRequest(endpoint="http://127.0.0.1:9/hook"))
    assert (tested.success, tested.reason) == (False, "COULD_NOT_CONNECT")
    api.show_loading_animation(messaging.ShowLoadingAnimationRequest(chat_id=stage.user_id, loading_seconds=10))
    token = stage.said()["message"]["markAsReadToken"]  # type: ignore[index]
    api.mark_messages_as_read_by_token(messaging.MarkMessagesAsReadByTokenRequest(mark_as_read_token=token))


def contents(stage: Stage, sdk: Clients) -> None:
    picture = stage.picture()
    image = stage.hanako.send(stage.shop, {"type": "image"}, picture)
    assert sdk.blob.get_message_content(image) == bytearray(picture)
    assert len(sdk.blob.get_message_content_preview(image)) > 0
    video = stage.hanako.send(stage.shop, {"type": "video"}, b"\x00\x00\x00\x18ftypmp42")
    assert sdk.blob.get_message_content_transcoding_by_message_id(video).status == "succeeded"


def menu(name: str, alias: str) -> messaging.RichMenuRequest:
    def area(x: int, action: messaging.Action) -> messaging.RichMenuArea:
        return messaging.RichMenuArea(bounds=messaging.RichMenuBounds(x=x, y=0, width=400, height=400), action=action)

    switch = messaging.RichMenuSwitchAction(rich_menu_alias_id=alias, data=f"to={alias}")
    areas = [area(0, messaging.URIAction(label="店", uri=LINK)), area(400, switch)]
    size = messaging.RichMenuSize(width=800, height=400)
    return messaging.RichMenuRequest(size=size, selected=True, name=name, chat_bar_text="メニュー", areas=areas)


def rich_menus(stage: Stage, sdk: Clients) -> None:
    api, user = sdk.api, stage.user_id
    api.validate_rich_menu_object(menu("春", "b"))
    spring = api.create_rich_menu(menu("春", "b")).rich_menu_id
    summer = api.create_rich_menu(menu("夏", "a")).rich_menu_id
    for one in (spring, summer):
        sdk.blob.set_rich_menu_image(one, body=stage.picture(), _headers={"Content-Type": "image/png"})
    assert sdk.blob.get_rich_menu_image(spring) == bytearray(stage.picture())
    assert {one.rich_menu_id for one in api.get_rich_menu_list().richmenus} == {spring, summer}
    assert api.get_rich_menu(spring).areas[1].action.rich_menu_alias_id == "b"
    api.create_rich_menu_alias(messaging.CreateRichMenuAliasRequest(rich_menu_alias_id="a", rich_menu_id=spring))
    api.create_rich_menu_alias(messaging.CreateRichMenuAliasRequest(rich_menu_alias_id="b", rich_menu_id=spring))
    api.update_rich_menu_alias("b", messaging.UpdateRichMenuAliasRequest(rich_menu_id=summer))
    assert api.get_rich_menu_alias("b").rich_menu_id == summer
    assert len(api.get_rich_menu_alias_list().aliases) == 2
    api.set_default_rich_menu(spring)
    assert api.get_default_rich_menu_id().rich_menu_id == spring
    api.cancel_default_rich_menu()
    api.link_rich_menu_id_to_user(user, summer)
    assert api.get_rich_menu_id_of_user(user).rich_menu_id == summer
    api.unlink_rich_menu_id_from_user(user)
    api.link_rich_menu_id_to_users(messaging.RichMenuBulkLinkRequest(rich_menu_id=spring, user_ids=[user]))
    stage.wait(60)
    assert api.get_rich_menu_id_of_user(user).rich_menu_id == spring
    batch = messaging.RichMenuBatchRequest(operations=[messaging.RichMenuBatchLinkOperation(var_from=spring, to=summer)])
    api.validate_rich_menu_batch_request(batch)
    request_id = api.rich_menu_batch_with_http_info(batch).headers["x-line-request-id"]
    assert api.get_rich_menu_batch_progress(request_id).phase == "ongoing"
    stage.wait(60)
    assert api.get_rich_menu_batch_progress(request_id).phase == "succeeded"
    assert api.get_rich_menu_id_of_user(user).rich_menu_id == summer
    api.unlink_rich_menu_id_from_users(messaging.RichMenuBulkUnlinkRequest(user_ids=[user]))
    api.delete_rich_menu_alias("b")
    assert sdk.insight.get_rich_menu_insight_summary(spring, stage.day(-2), stage.day(-1)).rich_menu_id == spring
    assert sdk.insight.get_rich_menu_insight_daily(spring, stage.day(-2), stage.day(-1)).rich_menu_id == spring
    api.delete_rich_menu(summer)


def tokens(stage: Stage, sdk: Clients) -> None:
    own, secret = stage.shop.id, stage.shop.secret
    short = sdk.oauth.issue_channel_token("client_credentials", own, secret)
    assert (short.token_type, short.expires_in) == ("Bearer", 2_592_000)
    assert sdk.oauth.verify_channel_token(short.access_token).client_id == own
    sdk.oauth.revoke_channel_token(short.access_token)
    chosen = sdk.oauth.issue_channel_token_by_jwt("client_credentials", JWT_BEARER, stage.assertion(token_exp=3600))
    assert (chosen.expires_in, bool(chosen.key_id)) == (3600, True)
    assert sdk.oauth.verify_channel_token_by_jwt(chosen.access_token).client_id == own
    kids = sdk.oauth.gets_all_valid_channel_access_token_key_ids(JWT_BEARER, stage.assertion()).kids
    assert kids == [chosen.key_id]
    assert Clients(stage, chosen.access_token).api.get_bot_info().display_name == "花屋"
    sdk.oauth.revoke_channel_token_by_jwt(own, secret, chosen.access_token)
    by_secret = sdk.oauth.issue_stateless_channel_token_by_client_secret(own, secret)
    by_assertion = sdk.oauth.issue_stateless_channel_token_by_jwt_assertion(stage.assertion(token_exp=None))
    for stateless in (by_secret, by_assertion):
        assert stateless.expires_in == 900
        assert Clients(stage, stateless.access_token).api.get_bot_info().user_id == stage.shop.bot_user_id


def statistics(stage: Stage, sdk: Clients) -> None:
    sent = sdk.api.broadcast_with_http_info(messaging.BroadcastRequest(messages=[button()]))
    request_id = sent.headers["x-line-request-id"]
    units = ["spring"]
    sdk.api.multicast(messaging.MulticastRequest(to=stage.friends, messages=[button()], custom_aggregation_units=units))
    first = stage.day()
    stage.everybody_looks_and_taps(LINK)
    stage.wait(4 * DAY)
    event = sdk.insight.get_message_event(request_id)
    assert (event.overview.request_id, event.overview.delivered) == (request_id, 1 + len(stage.friends))
    unit = sdk.insight.get_statistics_per_unit("spring", first, stage.day(-1))
    # Those who use LINE on a PC do not count.
    assert 100 < unit.overview.unique_impression <= len(stage.friends)
    assert unit.clicks[0].url == LINK
    assert sdk.insight.get_number_of_message_deliveries(first).status == "ready"
    assert sdk.insight.get_number_of_followers(stage.day(-2)).followers == 1 + len(stage.friends)
    assert sdk.insight.get_friends_demographics().available in (True, False)


def audiences(stage: Stage, sdk: Clients) -> None:
    line, ids = sdk.audience, stage.friends
    uploaded = line.create_audience_group(
        audience.CreateAudienceGroupRequest(
            description="常連", is_ifa_audience=False, upload_description="1", audiences=[audience.Audience(id=ids[0])]
        )
    ).audience_group_id
    line.add_audience_to_audience_group(
        audience.AddAudienceToAudienceGroupRequest(audience_group_id=uploaded, audiences=[audience.Audience(id=ids[1])])
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ids.txt")
        file.write_text("\n".join(ids[2:6]))
        by_file = sdk.audience_blob.create_audience_for_uploading_user_ids(str(file), description="名簿").audience_group_id
        sdk.audience_blob.add_user_ids_to_audience(str(file), audience_group_id=uploaded, upload_description="3")
    sent = sdk.api.broadcast_with_http_info(messaging.BroadcastRequest(messages=[button()]))
    request_id = sent.headers["x-line-request-id"]
    stage.everybody_looks_and_taps(LINK)
    stage.wait(DAY)
    clicked = line.create_click_based_audience_group(
        audience.CreateClickBasedAudienceGroupRequest(description="押した", request_id=request_id, click_url=LINK)
    )
    looked = line.create_imp_based_audience_group(
        audience.CreateImpBasedAudienceGroupRequest(description="見た", request_id=request_id)
    )
    assert (clicked.type, looked.type) == ("CLICK", "IMP")
    stage.wait(DAY)
    found = line.get_audience_data(uploaded)
    assert (found.audience_group.status, found.audience_group.audience_count, len(found.jobs)) == ("READY", 6, 3)
    line.update_audience_group_description(uploaded, audience.UpdateAudienceGroupDescriptionRequest(description="お得意さま"))
    page = line.get_audience_groups(1, description="お得意", status=audience.AudienceGroupStatus.READY, size=10)
    assert [one.audience_group_id for one in page.audience_groups] == [uploaded]
    line.delete_audience_group(by_file)
    shared = stage.line.audience(stage.shop, "共有", ids[:60], shared=True)
    stage.wait(10)
    assert line.get_shared_audience_data(shared.id).audience_group.description == "共有"
    assert [one.audience_group_id for one in line.get_shared_audience_groups(1).audience_groups] == [shared.id]


def liff_apps(stage: Stage, sdk: Clients) -> None:
    login = stage.line.login_channel("花屋ログイン", bot=stage.shop)
    token = sdk.oauth.issue_stateless_channel_token_by_client_secret(login.id, login.secret).access_token
    sdk = Clients(stage, token)
    view = liff.LiffView(type="full", url="https://example.com/liff")
    added = sdk.liff.add_liff_app(liff.AddLiffAppRequest(view=view, description="予約", scope=["profile", "openid"]))
    sdk.liff.update_liff_app(added.liff_id, liff.UpdateLiffAppRequest(view=liff.UpdateLiffView(type="tall")))
    (app,) = sdk.liff.get_all_liff_apps().apps
    assert (app.liff_id, app.view.type, app.view.url) == (added.liff_id, "tall", "https://example.com/liff")
    sdk.liff.delete_liff_app(added.liff_id)


def coupons(stage: Stage, sdk: Clients) -> None:
    now = int(stage.line.clock.time())
    made = sdk.api.create_coupon(
        messaging.CouponCreateRequest(
            title="春の割引",
            description="一度だけ",
            start_timestamp=now,
            end_timestamp=now + 30 * int(DAY),
            timezone="ASIA_TOKYO",
            visibility="UNLISTED",
            max_use_count_per_ticket=1,
            acquisition_condition=messaging.LotteryAcquisitionConditionRequest(lottery_probability=50, max_acquire_count=100),
            reward=messaging.CouponDiscountRewardRequest(price_info=messaging.DiscountFixedPriceInfoRequest(fixed_amount=100)),
        )
    ).coupon_id
    stage.wait(60)
    assert made in [one.coupon_id for one in sdk.api.list_coupon(status=["RUNNING"], limit=10).items]
    detail = sdk.api.get_coupon_detail(made)
    assert (detail.title, detail.status) == ("春の割引", "RUNNING")
    assert detail.reward.price_info.fixed_amount == 100
    sdk.api.push_message(messaging.PushMessageRequest(to=stage.user_id, messages=[messaging.CouponMessage(coupon_id=made)]))
    sdk.api.close_coupon(made)
    assert sdk.api.get_coupon_detail(made).status == "CLOSED"


def memberships(stage: Stage, sdk: Clients) -> None:
    # The SDK's model wants a limit, although LINE may answer null.
    plan = stage.line.membership(stage.shop, "ベーシック", benefits=["写真"], price=500, member_limit=100)
    stage.hanako.join_membership(stage.shop, plan)
    (listed,) = sdk.api.get_membership_list().memberships
    assert (listed.title, listed.member_count) == ("ベーシック", 1)
    assert sdk.api.get_membership_subscription(stage.user_id).subscriptions[0].membership.membership_id == listed.membership_id
    assert sdk.api.get_joined_membership_users(listed.membership_id).user_ids == [stage.user_id]


def groups(stage: Stage, sdk: Clients) -> None:
    api, group, room = sdk.api, stage.group(), stage.group(is_room=True)
    everybody = {stage.user_id, stage.friends[0]}
    assert api.get_group_summary(group).group_name == "花の会"
    assert api.get_group_member_count(group).count == api.get_room_member_count(room).count == 2
    assert set(api.get_group_members_ids(group).member_ids) == set(api.get_room_members_ids(room).member_ids) == everybody
    assert api.get_group_member_profile(group, stage.user_id).display_name == "花子"
    assert api.get_room_member_profile(room, stage.user_id).display_name == "花子"
    mention = messaging.MentionSubstitutionObject(mentionee=messaging.UserMentionTarget(user_id=stage.user_id))
    text = messaging.TextMessageV2(text="{who}さん", substitution={"who": mention})
    api.push_message(messaging.PushMessageRequest(to=group, messages=[text]))
    api.leave_group(group)
    api.leave_room(room)


def marketplace(stage: Stage, sdk: Clients) -> None:
    channel, code = stage.module()
    # This client writes "Basic" before whatever it is given.
    basic = base64.b64encode(f"{channel.id}:{channel.secret}".encode()).decode()
    attach = moduleattach.LineModuleAttach(moduleattach.ApiClient(moduleattach.Configuration(host=stage.url, access_token=basic)))
    attached = attach.attach_module("authorization_code", code, REDIRECT)
    client = module.ApiClient(module.Configuration(host=stage.url, access_token=channel.access_token))
    client.set_default_header("X-Line-Bot-Id", attached.bot_id)
    api = module.LineModule(client)
    assert attached.bot_id in [one.user_id for one in api.get_modules(limit=10).bots]
    api.acquire_chat_control(stage.user_id, module.AcquireChatControlRequest(expired=True, ttl=3600))
    api.release_chat_control(stage.user_id)
    api.detach_module(module.DetachModuleRequest(bot_id=attached.bot_id))
    assert api.get_modules().bots == []


def stickers(stage: Stage, sdk: Clients) -> None:
    stage.line.mission_sticker("1", stage.shop)
    sdk.shop.mission_sticker_v3(
        shop.MissionStickerRequest(to=stage.user_id, product_id="1", product_type="STICKER", send_present_message=False)
    )


def by_phone(stage: Stage, sdk: Clients) -> None:
    sdk.api.push_messages_by_phone(messaging.PnpMessagesRequest(to=PHONE_DIGEST, messages=[HELLO]))
    body = messaging.PnpTemplatedMessageBody(
        emphasized_item=messaging.PnpTemplatedEmphasizedItem(item_key="date_002_ja", content="8月10日(土)"),
        items=[messaging.PnpTemplatedItem(item_key="number_001_ja", content="1234567")],
        buttons=[messaging.PnpTemplatedButton(button_key="contact_ja", url=LINK)],
    )
    request = messaging.PnpTemplatedMessageRequest(to=PHONE_DIGEST, template_key="shipment_completed_ja", body=body)
    sdk.api.push_templated_messages_by_phone(request, x_line_delivery_tag="order-0000000001")
    assert [one.via for one in stage.hanako.inbox(stage.shop)] == ["pnp", "pnp_templated"]
    stage.wait(DAY)
    assert sdk.api.get_pnp_message_statistics(stage.day(-1)).success == 1
    assert sdk.api.get_pnp_templated_message_statistics(stage.day(-1)).success == 1


def old_mark_as_read(stage: Stage, sdk: Clients) -> None:
    stage.reads_by_hand()
    stage.said()
    sdk.api.mark_messages_as_read(messaging.MarkMessagesAsReadRequest(chat=messaging.ChatReference(user_id=stage.user_id)))


Scenario = Callable[[Stage, Clients], Any]
# Each with the operations it cannot do without; it waits until the simulator has them.
SCENARIOS: dict[str, tuple[Scenario, tuple[str, ...]]] = {
    "sending": (sending, ()),
    "narrowcast": (narrowcast, ("narrowcast", "createAudienceGroup")),
    "account": (account, ()),
    "contents": (contents, ()),
    "rich menus": (rich_menus, ("createRichMenu", "richMenuBatch", "getRichMenuInsightDaily")),
    "tokens": (tokens, ("issueChannelTokenByJWT",)),
    "statistics": (statistics, ("getMessageEvent",)),
    "audiences": (audiences, ("createAudienceGroup", "getSharedAudienceData")),
    "liff apps": (liff_apps, ("addLIFFApp",)),
    "coupons": (coupons, ("createCoupon",)),
    "memberships": (memberships, ("getMembershipList",)),
    "groups": (groups, ("getGroupSummary",)),
    "marketplace": (marketplace, ("attachModule", "getModules", "acquireChatControl")),
    "stickers": (stickers, ("missionStickerV3",)),
    "by phone": (by_phone, ("pushMessagesByPhone",)),
    "old mark as read": (old_mark_as_read, ("markMessagesAsRead",)),
}
