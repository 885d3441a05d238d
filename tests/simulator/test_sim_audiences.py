"""Audience groups: how they are made, what they say of themselves, what LINE refuses."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from linebot.v3 import audience, messaging

from line_simulator import Channel, LineSimulator, Settings

DAY = 86_400
UPLOAD = "/v2/bot/audienceGroup/upload"
FILE = "/v2/bot/audienceGroup/upload/byFile"
CLICK = "/v2/bot/audienceGroup/click"
IMP = "/v2/bot/audienceGroup/imp"
LINK = "https://example.com/a"


def _ids(user_ids: list[str]) -> list[dict[str, str]]:
    return [{"id": one} for one in user_ids]


def _form(fields: dict[str, str], file: str | None, kind: str = "text/plain") -> tuple[bytes, dict[str, str]]:
    """A multipart body as curl -F writes it, and its headers."""
    pieces = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    if file is not None:
        pieces.append(f'Content-Disposition: form-data; name="file"; filename="ids.txt"\r\nContent-Type: {kind}\r\n\r\n{file}')
    body = "".join(f"--xx\r\n{piece}\r\n" for piece in pieces) + "--xx--\r\n"
    return body.encode(), {"content-type": "multipart/form-data; boundary=xx"}


def _settle(line: LineSimulator) -> None:
    line.clock.advance(5)


@pytest.fixture
def friends(line: LineSimulator, shop: Channel) -> list[str]:
    return line.crowd(60, shop)


def _broadcast(api: Any) -> str:
    action = {"type": "uri", "label": "見る", "uri": LINK}
    template = {"type": "buttons", "text": "本日", "actions": [action, {**action, "uri": LINK + "b"}]}
    status, _, headers = api(
        "POST", "/v2/bot/message/broadcast", {"messages": [{"type": "template", "altText": "本日", "template": template}]}
    )
    assert status == 200
    return str(headers["x-line-request-id"])


def _act(line: LineSimulator, shop: Channel, friends: list[str], clickers: int, *, second: int = 0) -> None:
    """All look; the first `clickers` tap the first link, the first `second` also the other one."""
    for index, user_id in enumerate(friends):
        person = line.handle_of(line.world.person(user_id))
        person.open_chat(shop)
        for wanted in (0,) * (index < clickers) + (1,) * (index < second):
            line.people.click(person.record, shop, person.inbox(shop)[-1].id, LINK + "b" * wanted)


def test_an_upload_becomes_ready_and_counts_its_people(api: Any, line: LineSimulator, friends: list[str]) -> None:
    body = {"description": "常連", "audiences": _ids([*friends[:3], friends[0]]), "uploadDescription": "1回目"}
    status, made, _ = api("POST", UPLOAD, body)
    assert status == 202
    assert {name: made[name] for name in ("createRoute", "type", "description", "permission", "isIfaAudience")} == {
        "createRoute": "MESSAGING_API",
        "type": "UPLOAD",
        "description": "常連",
        "permission": "READ_WRITE",
        "isIfaAudience": False,
    }
    assert made["expireTimestamp"] - made["created"] == 180 * DAY
    path = f"/v2/bot/audienceGroup/{made['audienceGroupId']}"
    before = api("GET", path)[1]
    assert (before["audienceGroup"]["status"], before["audienceGroup"]["audienceCount"]) == ("IN_PROGRESS", 0)
    assert (before["jobs"][0]["jobStatus"], before["jobs"][0]["failedType"]) == ("QUEUED", None)
    _settle(line)
    after = api("GET", path)[1]
    assert (after["audienceGroup"]["status"], after["audienceGroup"]["audienceCount"]) == ("READY", 3)
    assert (after["jobs"][0]["jobStatus"], after["jobs"][0]["description"], after["jobs"][0]["audienceCount"]) == (
        "FINISHED",
        "1回目",
        3,
    )

    add = {"audienceGroupId": made["audienceGroupId"], "audiences": _ids(friends[2:5])}
    assert api("PUT", UPLOAD, add)[:2] == (202, {})
    assert api("GET", path)[1]["audienceGroup"]["status"] == "IN_PROGRESS"
    _settle(line)
    again = api("GET", path)[1]
    assert again["audienceGroup"]["audienceCount"] == 5
    assert [(job["description"], job["audienceCount"]) for job in again["jobs"]] == [("1回目", 3), (None, 2)]


@pytest.mark.parametrize("extra", [{}, {"audiences": []}])
def test_an_empty_audience_stays_in_progress(api: Any, line: LineSimulator, extra: dict[str, Any]) -> None:
    made = api("POST", UPLOAD, {"description": "空", **extra})[1]
    line.clock.advance(30 * DAY)
    got = api("GET", f"/v2/bot/audienceGroup/{made['audienceGroupId']}")[1]
    assert (got["audienceGroup"]["status"], got["audienceGroup"]["audienceCount"], got["jobs"]) == ("IN_PROGRESS", 0, [])


def test_blocked_people_are_kept_and_those_without_consent_are_not(api: Any, line: LineSimulator, shop: Channel, taro: Any) -> None:
    silent = line.person("無口", consent=False)
    silent.follow(shop)
    made = api("POST", UPLOAD, {"description": "a", "audiences": _ids([taro.user_id(shop), silent.user_id(shop)])})[1]
    _settle(line)
    assert api("GET", f"/v2/bot/audienceGroup/{made['audienceGroupId']}")[1]["audienceGroup"]["audienceCount"] == 1


def test_files_make_and_fill_audiences(api: Any, line: LineSimulator, friends: list[str]) -> None:
    body, headers = _form({"description": "ファイル", "uploadDescription": "list.txt"}, "\r\n".join(friends[:30]) + "\r\n\r\n")
    status, made, _ = api("POST", FILE, body, headers)
    assert (status, made["description"], made["type"]) == (202, "ファイル", "UPLOAD")
    body, headers = _form({"audienceGroupId": str(made["audienceGroupId"])}, "\n".join(friends[20:40]))
    assert api("PUT", FILE, body, headers)[:2] == (202, {})
    _settle(line)
    got = api("GET", f"/v2/bot/audienceGroup/{made['audienceGroupId']}")[1]
    assert got["audienceGroup"]["audienceCount"] == 40
    assert [job["description"] for job in got["jobs"]] == ["list.txt", None]


def test_advertising_ids_find_people_but_their_number_is_hidden(api: Any, line: LineSimulator, shop: Channel, hanako: Any) -> None:
    ifa = str(uuid.UUID(int=7))
    line.person("花子", ifa=ifa.upper())
    made = api("POST", UPLOAD, {"description": "ifa", "isIfaAudience": True, "audiences": _ids([ifa])})[1]
    assert made["isIfaAudience"] is True
    _settle(line)
    got = api("GET", f"/v2/bot/audienceGroup/{made['audienceGroupId']}")[1]["audienceGroup"]
    assert (got["status"], got["audienceCount"]) == ("READY", 0), "fewer than twenty are not shown"
    add = {"audienceGroupId": made["audienceGroupId"], "audiences": _ids([hanako.user_id(shop)])}
    assert _code(api("PUT", UPLOAD, add)) == "UPLOAD_AUDIENCE_GROUP_INVALID_AUDIENCE_ID_FORMAT"


def _code(answer: Any) -> str:
    status, body, _ = answer
    assert status == 400, body
    return str(body["details"][0]["message"])


NAME_RULES = [
    (None, "AUDIENCE_GROUP_NAME_EMPTY"),
    ("  ", "AUDIENCE_GROUP_NAME_EMPTY"),
    ("a\nb", "AUDIENCE_GROUP_NAME_WRONG"),
    ("\ud83d", "AUDIENCE_GROUP_NAME_WRONG"),
    ("あ" * 121, "AUDIENCE_GROUP_NAME_SIZE_OVER"),
    (7, "Must be a string"),
]


@pytest.mark.parametrize(("name", "code"), NAME_RULES)
@pytest.mark.parametrize("path", [UPLOAD, CLICK, IMP, "rename"])
def test_names_are_checked_alike_everywhere(api: Any, path: str, name: Any, code: str) -> None:
    made = api("POST", UPLOAD, {"description": "あ" * 120})[1]
    method, path = (
        ("POST", path) if path != "rename" else ("PUT", f"/v2/bot/audienceGroup/{made['audienceGroupId']}/updateDescription")
    )
    answer = api(method, path, {"description": name, "requestId": "x"})
    assert _code(answer) == code
    if code == "AUDIENCE_GROUP_NAME_SIZE_OVER":
        assert answer[1]["message"] == "size over audienceGroupName"


@pytest.mark.parametrize(
    ("extra", "code", "place"),
    [
        ({"audiences": [{"id": "U1"}]}, "UPLOAD_AUDIENCE_GROUP_INVALID_AUDIENCE_ID_FORMAT", "audiences"),
        ({"audiences": ["U1", 3, None, {}]}, "UPLOAD_AUDIENCE_GROUP_INVALID_AUDIENCE_ID_FORMAT", "audiences"),
        ({"audiences": [{"id": "U" + "0" * 32}]}, "UPLOAD_AUDIENCE_GROUP_NO_VALID_AUDIENCE_IDS", "audiences"),
        ({"audiences": [{"id": "U" + "0" * 32}] * 10_001}, "UPLOAD_AUDIENCE_GROUP_TOO_MANY_AUDIENCE_IDS", "audiences"),
        ({"audiences": {"id": "U1"}}, "Must be an array", "audiences"),
        ({"isIfaAudience": "true"}, "Must be a boolean", "isIfaAudience"),
        ({"uploadDescription": "a" * 301}, "AUDIENCE_GROUP_UPLOAD_DESCRIPTION_SIZE_OVER", None),
        ({"uploadDescription": ["a"]}, "Must be a string", "uploadDescription"),
    ],
)
def test_uploads_are_checked(api: Any, extra: dict[str, Any], code: str, place: str | None) -> None:
    answer = api("POST", UPLOAD, {"description": "a", **extra})
    assert _code(answer) == code
    assert answer[1]["details"][0].get("property") == place
    assert api("GET", "/v2/bot/audienceGroup/list?page=1")[1]["totalCount"] == 0, "a refused upload leaves nothing behind"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (*_form({"description": "a"}, "U1\nU2"), 400, "UPLOAD_AUDIENCE_GROUP_INVALID_AUDIENCE_ID_FORMAT"),
        (*_form({"description": "a"}, "\n\n"), 400, "UPLOAD_AUDIENCE_GROUP_NO_VALID_AUDIENCE_IDS"),
        (*_form({"description": "a"}, None), 400, "UPLOAD_AUDIENCE_GROUP_NO_VALID_AUDIENCE_IDS"),
        (*_form({"description": "a"}, "U1", "text/csv"), 415, None),
        (*_form({}, "U1"), 400, "AUDIENCE_GROUP_NAME_EMPTY"),
        (b"{}", {}, 415, None),
        (b"nonsense", {"content-type": "multipart/form-data; boundary=xx"}, 400, None),
        (b"--xx\r\nbroken\r\n--xx--", {"content-type": "multipart/form-data; boundary=xx"}, 400, "AUDIENCE_GROUP_NAME_EMPTY"),
        (b"", {"content-type": "multipart/form-data"}, 400, None),
        (b"", {"content-type": ""}, 415, None),
    ],
)
def test_file_uploads_are_checked(api: Any, body: bytes, headers: dict[str, str], status: int, code: str | None) -> None:
    answer = api("POST", FILE, body, headers)
    assert answer[0] == status
    if code:
        assert answer[1]["details"][0]["message"] == code


@pytest.mark.parametrize("key", [None, True, "x", "1", 10**30, 1.5, [], -1, 4389303728991])
def test_an_unknown_audience_is_not_found(api: Any, key: Any) -> None:
    body = {"audienceGroupId": key, "audiences": []}
    assert api("PUT", UPLOAD, body)[:2] == (
        400,
        {"message": "audience group not found", "details": [{"message": "AUDIENCE_GROUP_NOT_FOUND"}]},
    )
    for method in ("GET", "DELETE"):
        assert _code(api(method, f"/v2/bot/audienceGroup/{key}")) == "AUDIENCE_GROUP_NOT_FOUND"


def test_another_channel_does_not_see_it(api: Any, caller: Any, line: LineSimulator, friends: list[str]) -> None:
    made = api("POST", UPLOAD, {"description": "a", "audiences": _ids(friends)})[1]
    other = caller(line, line.channel("支店"))
    assert _code(other("GET", f"/v2/bot/audienceGroup/{made['audienceGroupId']}")) == "AUDIENCE_GROUP_NOT_FOUND"
    assert other("GET", "/v2/bot/audienceGroup/list?page=1")[1]["audienceGroups"] == []


def test_at_most_ten_jobs_run_at_once_and_a_thousand_audiences_exist(api: Any, line: LineSimulator, friends: list[str]) -> None:
    line.limits.unlimited = True
    made = api("POST", UPLOAD, {"description": "a"})[1]
    line.clock.set_scale(0.000001)
    add = {"audienceGroupId": made["audienceGroupId"], "audiences": _ids(friends[:1])}
    assert [api("PUT", UPLOAD, add)[0] for _ in range(11)] == [202] * 10 + [429]
    _settle(line)
    assert api("PUT", UPLOAD, add)[0] == 202
    for number in range(999):
        api("POST", UPLOAD, {"description": str(number)})
    assert _code(api("POST", UPLOAD, {"description": "多すぎ"})) == "AUDIENCE_GROUP_COUNT_MAX_OVER"


def test_it_expires_after_180_days_and_goes_a_month_later(api: Any, line: LineSimulator, friends: list[str]) -> None:
    made = api("POST", UPLOAD, {"description": "a", "audiences": _ids(friends)})[1]
    path = f"/v2/bot/audienceGroup/{made['audienceGroupId']}"
    line.clock.advance(180 * DAY)
    assert api("GET", path)[1]["audienceGroup"]["status"] == "EXPIRED"
    add = {"audienceGroupId": made["audienceGroupId"], "audiences": _ids(friends)}
    assert _code(api("PUT", UPLOAD, add)) == "AUDIENCE_GROUP_CAN_NOT_UPLOAD_STATUS_EXPIRED"
    line.clock.advance(30 * DAY)
    assert _code(api("GET", path)) == "AUDIENCE_GROUP_NOT_FOUND"


def test_those_who_looked_and_those_who_tapped(api: Any, line: LineSimulator, shop: Channel, friends: list[str]) -> None:
    request_id = _broadcast(api)
    _act(line, shop, friends, 55, second=20)
    made = {
        "seen": api("POST", IMP, {"description": "見た", "requestId": request_id})[1],
        "any": api("POST", CLICK, {"description": "押した", "requestId": request_id})[1],
        "one": api("POST", CLICK, {"description": "右", "requestId": request_id, "clickUrl": LINK + "b"})[1],
    }
    assert (made["one"]["type"], made["one"]["requestId"], made["one"]["clickUrl"]) == ("CLICK", request_id, LINK + "b")
    assert "clickUrl" not in made["any"]
    _settle(line)
    got = {key: api("GET", f"/v2/bot/audienceGroup/{one['audienceGroupId']}")[1] for key, one in made.items()}
    assert {
        key: (one["audienceGroup"]["status"], one["audienceGroup"]["audienceCount"], one["jobs"]) for key, one in got.items()
    } == {
        "seen": ("READY", 60, []),
        "any": ("READY", 55, []),
        "one": ("IN_PROGRESS", 20, []),
    }
    for path, extra in ((IMP, {}), (CLICK, {}), (CLICK, {"clickUrl": LINK + "b"})):
        answer = api("POST", path, {"description": "もう一度", "requestId": request_id, **extra})
        assert _code(answer) == "AUDIENCE_GROUP_REQUESTID_DUPLICATE"


def test_retargeting_needs_a_broadcast_of_ones_own_of_the_last_sixty_days(
    api: Any, caller: Any, line: LineSimulator, shop: Channel, friends: list[str]
) -> None:
    pushed = api.push(friends[0])[2]["x-line-request-id"]
    request_id = _broadcast(api)
    other = caller(line, line.channel("支店"))
    for asked, request, code in (
        (api, pushed, "REQUEST_NOT_FOUND"),
        (api, "bb9744f9", "REQUEST_NOT_FOUND"),
        (other, request_id, "WRONG_BOT_ID"),
        (api, None, "May not be empty"),
        (api, 5, "Must be a string"),
    ):
        assert _code(asked("POST", IMP, {"description": "a", "requestId": request})) == code
    assert _code(api("POST", CLICK, {"description": "a", "requestId": request_id, "clickUrl": "x" * 2001})).startswith("Length")
    line.clock.advance(60 * DAY + 60)
    assert _code(api("POST", IMP, {"description": "a", "requestId": request_id})) == "TOO_OLD_MESSAGES"


def test_lists_are_filtered_and_paged_newest_first(api: Any, line: LineSimulator, friends: list[str]) -> None:
    for name in ("Alpha", "beta", "ALPHABET"):
        api("POST", UPLOAD, {"description": name, "audiences": _ids(friends) if name == "beta" else []})
    _settle(line)

    def names(query: str) -> list[str]:
        return [one["description"] for one in api("GET", f"/v2/bot/audienceGroup/list?{query}")[1]["audienceGroups"]]

    assert names("page=1") == ["ALPHABET", "beta", "Alpha"]
    assert names("page=1&description=alpha") == ["ALPHABET", "Alpha"]
    assert names("page=1&status=READY") == ["beta"]
    assert names("page=1&createRoute=OA_MANAGER") == []
    assert names("page=1&createRoute=OA_MANAGER&createRoute=MESSAGING_API&includesExternalPublicGroups=false") == [
        "ALPHABET",
        "beta",
        "Alpha",
    ]
    content = api("GET", "/v2/bot/audienceGroup/list?page=2&size=2")[1]
    assert [one["description"] for one in content.pop("audienceGroups")] == ["Alpha"]
    assert content == {"hasNextPage": False, "totalCount": 3, "readWriteAudienceGroupTotalCount": 3, "size": 2, "page": 2}
    assert api("GET", "/v2/bot/audienceGroup/list?page=1&size=2")[1]["hasNextPage"] is True


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("page=1&size=41", "TOO_HIGH"),
        ("page=0", "TOO_LOW"),
        ("page=1&size=-1", "TOO_LOW"),
        ("page=x", "TYPE_MISMATCH"),
        ("page=" + "9" * 40, "TYPE_MISMATCH"),
        ("page=1&status=DONE", "TYPE_MISMATCH"),
        ("page=1&createRoute=", "TYPE_MISMATCH"),
        ("page=1&includesExternalPublicGroups=1", "TYPE_MISMATCH"),
        ("", "NULL"),
    ],
)
def test_lists_refuse_other_parameters(api: Any, query: str, code: str) -> None:
    answer = api("GET", f"/v2/bot/audienceGroup/list?{query}")
    assert _code(answer) == code
    if code == "TOO_HIGH":
        assert answer[1]["message"] == "size: must be less than or equal to 40"


def test_shared_audiences_stand_apart(api: Any, line: LineSimulator, shop: Channel, friends: list[str]) -> None:
    api("POST", UPLOAD, {"description": "自分の"})
    lent = line.audience(shop, "借りた", friends, kind="WEBTRAFFIC", route="BUSINESS_MANAGER", shared=True)
    tag = line.audience(shop, "常連タグ", friends[:2])
    own = api("GET", "/v2/bot/audienceGroup/list?page=1")[1]["audienceGroups"]
    assert [(one["description"], one["permission"], one["audienceCount"]) for one in own] == [
        ("常連タグ", "READ", 2),
        ("自分の", "READ_WRITE", 0),
    ]
    shared = "/v2/bot/audienceGroup/shared/list"
    assert [one["audienceGroupId"] for one in api("GET", shared)[1]["audienceGroups"]] == [lent.id]
    assert api("GET", f"{shared}?includesOwnedAudienceGroups=true")[1]["totalCount"] == 3
    got = api("GET", f"/v2/bot/audienceGroup/shared/{lent.id}")[1]
    assert (got["audienceGroup"]["createRoute"], got["owner"]["serviceType"]) == ("BUSINESS_MANAGER", "bm")
    assert _code(api("PUT", UPLOAD, {"audienceGroupId": tag.id, "audiences": _ids(friends)})) == "AUDIENCE_GROUP_NOT_FOUND"


def test_audiences_from_elsewhere_can_be_made_under_sim(api: Any, shop: Channel, friends: list[str]) -> None:
    body = {"channel": shop.id, "name": "タグ", "userIds": friends[:3]}
    made = api("POST", "/_sim/audiences", body)[1]["audienceGroupId"]
    got = api("GET", f"/v2/bot/audienceGroup/{made}")[1]["audienceGroup"]
    assert (got["type"], got["createRoute"], got["status"], got["audienceCount"]) == ("CHAT_TAG", "OA_MANAGER", "READY", 3)
    for wrong in ({"kind": "x"}, {"route": 3}, {"userIds": "U"}, {"userIds": ["U"]}, {"channel": "x"}, {"name": None}):
        assert api("POST", "/_sim/audiences", {**body, **wrong})[0] in (404, 422), wrong


def test_the_official_client_uploads_a_file_and_sends_to_it(
    line: LineSimulator, shop: Channel, friends: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("\n".join(friends[:4]))
    configuration = audience.Configuration(host=line.url, access_token=shop.access_token)
    with audience.ApiClient(configuration) as client:
        made = audience.ManageAudienceBlob(client).create_audience_for_uploading_user_ids(
            file=str(file), description="常連", is_ifa_audience=False, upload_description="ids.txt"
        )
        audience.ManageAudienceBlob(client).add_user_ids_to_audience(file=str(file), audience_group_id=made.audience_group_id)
        _settle(line)
        got = audience.ManageAudience(client).get_audience_data(made.audience_group_id)
    assert (got.audience_group.status, got.audience_group.audience_count, len(got.jobs)) == ("READY", 4, 2)
    with messaging.ApiClient(messaging.Configuration(host=line.url, access_token=shop.access_token)) as client:
        sdk = messaging.MessagingApi(client)
        request = messaging.NarrowcastRequest(
            messages=[messaging.TextMessage(text="常連様へ")],
            recipient=messaging.AudienceRecipient(audienceGroupId=made.audience_group_id),
            limit=messaging.Limit(max=3),
        )
        headers = sdk.narrowcast_with_http_info(request).headers
        line.clock.advance(10)
        progress = sdk.get_narrowcast_progress(headers["x-line-request-id"])
    assert (progress.phase, progress.success_count) == ("succeeded", 3)


def test_an_audience_can_fail_on_purpose(api: Any, line: LineSimulator, friends: list[str]) -> None:
    line.fault("audience_failed", times=1)
    made = api("POST", UPLOAD, {"description": "a", "audiences": _ids(friends)})[1]
    _settle(line)
    got = api("GET", f"/v2/bot/audienceGroup/{made['audienceGroupId']}")[1]
    assert (got["audienceGroup"]["status"], got["audienceGroup"]["failedType"]) == ("FAILED", "INTERNAL_ERROR")
    assert (got["jobs"][0]["jobStatus"], got["jobs"][0]["failedType"]) == ("FAILED", "INTERNAL_ERROR")


def test_rename_and_delete(api: Any) -> None:
    made = api("POST", UPLOAD, {"description": "a"})[1]
    path = f"/v2/bot/audienceGroup/{made['audienceGroupId']}"
    assert api("PUT", f"{path}/updateDescription", {"description": "b"})[:2] == (200, {})
    assert api("GET", path)[1]["audienceGroup"]["description"] == "b"
    assert api("DELETE", path)[:2] == (200, {})
    assert _code(api("DELETE", path)) == "AUDIENCE_GROUP_NOT_FOUND"


def test_audiences_survive_a_restart(tmp_path: Any, caller: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path, settings=Settings(audience_seconds=0.0)) as line:
        shop = line.channel("花屋")
        body = {"description": "常連", "audiences": _ids(line.crowd(3, shop))}
        made = caller(line, shop)("POST", UPLOAD, body)[1]
        path = f"/v2/bot/audienceGroup/{made['audienceGroupId']}"
        before = caller(line, shop)("GET", path)[1]
    with LineSimulator(seed=2, data=tmp_path) as line:
        assert caller(line, line.channel("花屋"))("GET", path)[1] == before
        assert before["audienceGroup"]["audienceCount"] == 3
