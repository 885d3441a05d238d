"""Rich menus through the API: objects, images, aliases, default, links, bulk, batch."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from line_simulator import Channel, LineSimulator, Person, Request, Settings

NOBODY = "richmenu-" + "0" * 32
STRANGER = "U" + "0" * 32
URL = "/v2/bot/richmenu"
AREA = {"bounds": {"x": 0, "y": 0, "width": 2501, "height": 1687}, "action": {"type": "postback", "data": "buy"}}
MENU = {
    "size": {"width": 2500, "height": 1686},
    "selected": False,
    "name": "春のメニュー",
    "chatBarText": "タップ",
    "areas": [AREA],
}


def picture(width: int = 800, height: int = 540, kind: str = "PNG", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), None if mode == "P" else "white").save(file, kind)
    return file.getvalue()


def upload(api: Any, menu_id: str, data: bytes, content_type: str = "image/png") -> tuple[int, Any]:
    status, body, _ = api("POST", f"{URL}/{menu_id}/content", data, {"content-type": content_type})
    return status, body


def make(api: Any, *areas: dict[str, Any], image: bool = True, **changes: Any) -> str:
    menu = {**MENU, **({"areas": list(areas)} if areas else {}), **changes}
    menu_id: str = api("POST", URL, menu)[1]["richMenuId"]
    if image:
        assert upload(api, menu_id, picture()) == (200, {})
    return menu_id


def test_a_menu_is_created_read_listed_and_deleted(api: Any) -> None:
    status, body, _ = api("POST", URL, {**MENU, "unknown": [[1]], "areas": [{**AREA, "junk": {}}]})
    menu_id = body["richMenuId"]
    assert status == 200
    assert len(menu_id) == len(NOBODY)
    assert api("GET", f"{URL}/{menu_id}")[1] == {"richMenuId": menu_id, **MENU}
    assert api("GET", f"{URL}/list")[1] == {"richmenus": [{"richMenuId": menu_id, **MENU}]}
    assert api("DELETE", f"{URL}/{menu_id}")[:2] == (200, {})
    for method in ("GET", "DELETE"):
        assert api(method, f"{URL}/{menu_id}")[:2] == (404, {"message": "Not found"})
    assert api("GET", f"{URL}/list")[1] == {"richmenus": []}


def action(**content: Any) -> dict[str, Any]:
    return {"areas": [{**AREA, "action": content}]}


def bounds(**content: Any) -> dict[str, Any]:
    return {"areas": [{**AREA, "bounds": {**AREA["bounds"], **content}}]}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "change",
    [
        {"areas": []},
        {"areas": [AREA] * 20},
        {"size": {"width": 800, "height": 250}},
        {"name": "x" * 300, "chatBarText": "あ" * 14},
        action(type="richmenuswitch", richMenuAliasId="b", data="to b"),
        action(type="uri", uri="tel:0312345678", label="電話", altUri={"desktop": "https://example.com"}),
        action(type="datetimepicker", data="d", mode="date"),
        action(type="clipboard", clipboardText="SPRING10"),
        action(type="message", text="はい"),
    ],
)
def test_good_menus(api: Any, change: dict[str, Any]) -> None:
    assert api("POST", f"{URL}/validate", {**MENU, **change})[:2] == (200, {})
    assert api("POST", URL, {**MENU, **change})[0] == 200


@pytest.mark.parametrize(
    ("change", "properties", "text"),
    [
        ({"name": None}, ["name"], "must be specified"),
        ({"size": None, "areas": None}, ["size", "areas"], "must be specified"),
        ({"size": {}}, ["size.width", "size.height"], "must be specified"),
        ({"size": {"width": 799, "height": 250}}, ["size.width"], ""),
        ({"size": {"width": 2501, "height": 1000}}, ["size.width"], ""),
        ({"size": {"width": 800, "height": 249}}, ["size.height"], ""),
        ({"size": {"width": 2500, "height": 1725}}, ["size"], ""),
        ({"size": {"width": True, "height": "250"}}, ["size.width", "size.height"], ""),
        ({"size": [800, 250]}, ["size"], ""),
        ({"selected": "true"}, ["selected"], ""),
        ({"name": "x" * 301}, ["name"], ""),
        ({"chatBarText": "あ" * 15}, ["chatBarText"], ""),
        ({"chatBarText": ["x"]}, ["chatBarText"], ""),
        ({"areas": [AREA] * 21}, ["areas"], ""),
        ({"areas": {"0": AREA}}, ["areas"], ""),
        ({"areas": [None, 1, {}]}, ["areas[0]", "areas[1]", "areas[2].bounds", "areas[2].action"], ""),
        (bounds(x=-1), ["areas[0].bounds.x"], ""),
        (bounds(width=0, height=2**31), ["areas[0].bounds.width", "areas[0].bounds.height"], ""),
        (bounds(y=None), ["areas[0].bounds.y"], "must be specified"),
        (bounds(y=1.5), ["areas[0].bounds.y"], ""),
        (action(type="uri", uri="ftp://example.com"), ["areas[0].action.uri"], "invalid uri"),
        (action(type="camera", label="x"), ["areas[0].action.type"], ""),
        (action(type="postback", data="x" * 301), ["areas[0].action.data"], ""),
        (action(type="postback", data="x", label="x" * 21), ["areas[0].action.label"], ""),
        (action(type="richmenuswitch", data="x"), ["areas[0].action.richMenuAliasId"], ""),
        (action(type="richmenuswitch", richMenuAliasId="b"), ["areas[0].action.data"], ""),
        (action(type={}), ["areas[0].action.type"], ""),
    ],
)
def test_bad_menus(api: Any, change: dict[str, Any], properties: list[str], text: str) -> None:
    for target in (URL, f"{URL}/validate"):
        status, body, _ = api("POST", target, {**MENU, **change})
        assert (status, body["message"]) == (400, f"The request body has {len(properties)} error(s)")
        assert [one["property"] for one in body["details"]] == properties
        assert not text or {one["message"] for one in body["details"]} == {text}
    assert api("GET", f"{URL}/list")[1] == {"richmenus": []}


def test_switching_is_only_for_rich_menus(api: Any, hanako: Person, shop: Channel) -> None:
    switch = {"type": "richmenuswitch", "label": "x", "richMenuAliasId": "b", "data": "x"}
    template = {"type": "buttons", "text": "x", "actions": [switch]}
    message = {"type": "template", "altText": "x", "template": template}
    status, body, _ = api("POST", "/v2/bot/message/push", {"to": hanako.user_id(shop), "messages": [message]})
    assert (status, body["details"][0]["property"]) == (400, "template/actions/0/type")


def test_a_thousand_menus_and_aliases(api: Any, line: LineSimulator) -> None:
    line.limits.unlimited = True
    target = make(api)
    for number in range(999):
        assert api("POST", URL, MENU)[0] == 200
    assert api("POST", URL, MENU)[0] == 400
    for number in range(1001):
        alias = {"richMenuAliasId": f"a{number}", "richMenuId": target}
        assert api("POST", f"{URL}/alias", alias)[0] == (200 if number < 1000 else 400)
    assert api("DELETE", f"{URL}/{target}")[0] == 200
    assert api("POST", URL, MENU)[0] == 200


# -- images

NOT_ALLOWED = {"message": "The image size is not allowed for richmenu"}
UNSUPPORTED = {"message": "Unsupported media type"}


@pytest.mark.parametrize(
    ("data", "content_type", "answer"),
    [
        (picture(), "image/png", (200, {})),
        (picture(mode="P"), "IMAGE/PNG; x=1", (200, {})),
        (picture(2500, 1724), "image/png", (200, {})),
        (picture(800, 250, "JPEG"), "image/jpeg", (200, {})),
        (picture(799, 540), "image/png", (400, NOT_ALLOWED)),
        (picture(2501, 1000), "image/png", (400, NOT_ALLOWED)),
        (picture(800, 249), "image/png", (400, NOT_ALLOWED)),
        (picture(800, 552), "image/png", (400, NOT_ALLOWED)),
        (picture(30_000, 20_000, "PNG", "1"), "image/png", (400, NOT_ALLOWED)),
        (picture(kind="JPEG"), "image/png", (400, NOT_ALLOWED)),
        (picture(kind="GIF"), "image/png", (400, NOT_ALLOWED)),
        (picture()[:-200], "image/png", (400, NOT_ALLOWED)),
        (picture(kind="JPEG")[:-2000], "image/jpeg", (400, NOT_ALLOWED)),
        (picture() + bytes(1024 * 1024), "image/png", (400, NOT_ALLOWED)),
        (b"not a picture", "image/png", (400, NOT_ALLOWED)),
        (b"", "image/jpeg", (400, NOT_ALLOWED)),
        (picture(), "image/gif", (415, UNSUPPORTED)),
        (picture(), "application/json", (415, UNSUPPORTED)),
        (picture(), "", (415, UNSUPPORTED)),
    ],
)
def test_images(api: Any, data: bytes, content_type: str, answer: tuple[int, Any]) -> None:
    menu_id = make(api, image=False)
    assert api("GET", f"{URL}/{menu_id}/content")[:2] == (404, {"message": "Not found"})
    assert upload(api, menu_id, data, content_type) == answer
    status, body, _ = api("GET", f"{URL}/{menu_id}/content")
    assert (status, body) == ((200, data) if answer[0] == 200 else (404, {"message": "Not found"}))


def test_an_image_stays(api: Any) -> None:
    menu_id = make(api)
    assert upload(api, menu_id, picture(900)) == (400, {"message": "An image has already been uploaded to the richmenu"})
    assert upload(api, NOBODY, picture()) == (404, {"message": "Not found"})


# -- default and per person


def refused(message: str) -> dict[str, Any]:
    return {"message": message, "details": []}


NO_IMAGE = refused("must upload richmenu image before applying it to user")


def test_the_default(api: Any, line: LineSimulator, shop: Channel) -> None:
    mine = "/v2/bot/user/all/richmenu"
    assert api("GET", mine)[:2] == (404, refused("no default richmenu"))
    assert api("POST", f"{mine}/{make(api, image=False)}")[:2] == (400, NO_IMAGE)
    assert api("POST", f"{mine}/{NOBODY}")[:2] == (404, {"message": "Not found"})
    menu_id = make(api)
    assert api("POST", f"{mine}/{menu_id}")[:2] == (200, {})
    assert api("GET", mine)[:2] == (200, {"richMenuId": menu_id})
    assert line.person("知らない人").menu(shop) == {"richMenuId": menu_id, **MENU}
    assert api("DELETE", mine)[:2] == (200, {})
    assert api("GET", mine)[0] == 404
    api("POST", f"{mine}/{menu_id}")
    api("DELETE", f"{URL}/{menu_id}")
    assert api("GET", mine)[:2] == (404, refused("no default richmenu"))


def test_a_friend_has_a_menu_of_their_own(api: Any, hanako: Person, shop: Channel) -> None:
    default, own = make(api), make(api)
    mine = f"/v2/bot/user/{hanako.user_id(shop)}/richmenu"
    api("POST", f"/v2/bot/user/all/richmenu/{default}")
    assert api("GET", mine)[:2] == (404, refused("the user has no richmenu"))
    assert api("POST", f"{mine}/{own}")[:2] == (200, {})
    assert api("GET", mine)[:2] == (200, {"richMenuId": own})
    assert seen(hanako, shop) == own
    hanako.record.app = "pc"
    assert hanako.menu(shop) is None
    hanako.record.app = "ios"
    assert api("DELETE", mine)[:2] == (200, {})
    assert seen(hanako, shop) == default
    api("POST", f"{mine}/{own}")
    api("DELETE", f"{URL}/{own}")
    assert api("GET", mine)[0] == 404
    assert seen(hanako, shop) == default


def seen(person: Person, channel: Channel) -> str | None:
    menu = person.menu(channel)
    return menu["richMenuId"] if menu else None


def test_blocking_ends_the_link(api: Any, hanako: Person, shop: Channel) -> None:
    mine = f"/v2/bot/user/{hanako.user_id(shop)}/richmenu"
    api("POST", f"{mine}/{make(api)}")
    hanako.block(shop)
    assert (api("GET", mine)[0], hanako.menu(shop)) == (404, None)
    hanako.unblock(shop)
    assert (api("GET", mine)[0], hanako.menu(shop)) == (404, None)
    api("POST", f"{mine}/{make(api)}")
    assert api("GET", mine)[0] == 200


def test_who_is_no_friend_is_not_linked(api: Any, line: LineSimulator, taro: Person, shop: Channel) -> None:
    menu_id = make(api)
    foreign = line.person("花子").user_id(line.channel("別会社", provider="other"))
    for user_id in (taro.user_id(shop), STRANGER, foreign):
        mine = f"/v2/bot/user/{user_id}/richmenu"
        assert api("POST", f"{mine}/{menu_id}")[:2] == (200, {})
        assert api("DELETE", mine)[:2] == (200, {})
        assert api("GET", mine)[:2] == (404, refused("the user has no richmenu"))
        assert api("POST", f"{mine}/{NOBODY}")[:2] == (404, {"message": "Not found"})
        assert api("POST", f"{mine}/{make(api, image=False)}")[:2] == (400, NO_IMAGE)
    for method, tail in (("POST", f"/{menu_id}"), ("GET", ""), ("DELETE", "")):
        status, body, _ = api(method, f"/v2/bot/user/hanako/richmenu{tail}")
        assert (status, body) == (400, {"message": "The value for the 'userId' parameter is invalid"})


def test_channels_do_not_see_each_other(api: Any, line: LineSimulator, caller: Any, hanako: Person) -> None:
    other = caller(line, line.channel("支店"))
    hanako.follow(other.channel)
    menu_id = make(api)
    assert other("GET", f"{URL}/{menu_id}")[0] == 404
    assert other("GET", f"{URL}/list")[1] == {"richmenus": []}
    assert other("POST", f"{URL}/alias", {"richMenuAliasId": "a", "richMenuId": menu_id})[:2] == (
        400,
        refused("richmenu not found"),
    )
    api("POST", f"/v2/bot/user/all/richmenu/{menu_id}")
    assert hanako.menu(other.channel) is None


# -- aliases


def test_aliases(api: Any) -> None:
    first, second = make(api), make(api)
    alias = {"richMenuAliasId": "tab-a_1", "richMenuId": first}
    assert api("GET", f"{URL}/alias/list")[1] == {"aliases": []}
    assert api("POST", f"{URL}/alias", alias)[:2] == (200, {})
    assert api("POST", f"{URL}/alias", alias)[:2] == (400, refused("conflict richmenu alias id"))
    assert api("GET", f"{URL}/alias/tab-a_1")[1] == alias
    assert api("POST", f"{URL}/alias/tab-a_1", {"richMenuId": second})[:2] == (200, {})
    assert api("GET", f"{URL}/alias/list")[1] == {"aliases": [{**alias, "richMenuId": second}]}
    assert api("DELETE", f"{URL}/alias/tab-a_1")[:2] == (200, {})
    for method, body in (("GET", None), ("DELETE", None), ("POST", {"richMenuId": second})):
        assert api(method, f"{URL}/alias/tab-a_1", body)[:2] == (404, refused("richmenu alias not found"))


@pytest.mark.parametrize(
    ("alias_id", "menu_id", "properties"),
    [
        (None, None, ["richMenuAliasId", "richMenuId"]),
        ("", NOBODY, ["richMenuAliasId"]),
        ("A", NOBODY, ["richMenuAliasId"]),
        ("a" * 33, NOBODY, ["richMenuAliasId"]),
        ("あ", NOBODY, ["richMenuAliasId"]),
        (["a"], {"id": NOBODY}, ["richMenuAliasId", "richMenuId"]),
        ("a", "richmenu-1", ["richMenuId"]),
        ("a", NOBODY + "\n", ["richMenuId"]),
        ("a", NOBODY, []),
    ],
)
def test_bad_aliases(api: Any, alias_id: Any, menu_id: Any, properties: list[str]) -> None:
    status, body, _ = api("POST", f"{URL}/alias", {"richMenuAliasId": alias_id, "richMenuId": menu_id})
    assert (status, [one["property"] for one in body.get("details", [])]) == (400, properties)


def test_an_alias_needs_a_menu_with_image(api: Any) -> None:
    body = {"richMenuAliasId": "a", "richMenuId": make(api, image=False)}
    assert api("POST", f"{URL}/alias", body)[:2] == (400, refused("richmenu not found"))
    assert api("GET", f"{URL}/alias/A")[0] == 400


# -- bulk


def test_bulk_takes_effect_a_moment_later(api: Any, line: LineSimulator, hanako: Person, taro: Person, shop: Channel) -> None:
    menu_id, ids = make(api), [hanako.user_id(shop), taro.user_id(shop), STRANGER]
    assert api("POST", f"{URL}/bulk/link", {"richMenuId": menu_id, "userIds": ids})[:2] == (202, {})
    assert hanako.menu(shop) is None
    line.clock.advance(2)
    assert (seen(hanako, shop), taro.menu(shop)) == (menu_id, None)
    assert api("POST", f"{URL}/bulk/unlink", {"userIds": ids})[:2] == (202, {})
    line.clock.advance(2)
    assert hanako.menu(shop) is None


def test_bulk_passes_by_who_has_gone_meanwhile(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api("POST", f"{URL}/bulk/link", {"richMenuId": make(api), "userIds": [hanako.user_id(shop)]})
    hanako.block(shop)
    hanako.unblock(shop)
    line.clock.advance(2)
    assert hanako.menu(shop) is None


def test_a_bulk_unlink_leaves_who_came_back_meanwhile(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api("POST", f"{URL}/bulk/unlink", {"userIds": [hanako.user_id(shop)]})
    hanako.block(shop)
    hanako.unblock(shop)
    menu_id = make(api)
    api("POST", f"/v2/bot/user/{hanako.user_id(shop)}/richmenu/{menu_id}")
    line.clock.advance(2)
    assert seen(hanako, shop) == menu_id


@pytest.mark.parametrize(
    ("menu_id", "user_ids", "answer"),
    [
        (NOBODY, [STRANGER], (404, refused("richmenu not found"))),
        (
            NOBODY,
            [STRANGER, "x"],
            (400, {"message": "The property, 'userIds[1]', in the request body is invalid (line: -, column: -)"}),
        ),
        ("x", [STRANGER], (400, {"message": "invalid richMenuId", "property": "richMenuId"})),
        (NOBODY, [], (400, {"message": "May not be empty", "property": "userIds"})),
        (NOBODY, [STRANGER] * 501, (400, {"message": "Size must be between 1 and 500", "property": "userIds"})),
        (NOBODY, {"a": 1}, (400, {"message": "Must be an array", "property": "userIds"})),
    ],
)
def test_bad_bulks(api: Any, menu_id: Any, user_ids: Any, answer: tuple[int, Any]) -> None:
    status, body, _ = api("POST", f"{URL}/bulk/link", {"richMenuId": menu_id, "userIds": user_ids})
    assert (status, body["details"][0] if "property" in answer[1] else body) == answer


def test_bulk_needs_an_image(api: Any, hanako: Person, shop: Channel) -> None:
    body = {"richMenuId": make(api, image=False), "userIds": [hanako.user_id(shop)]}
    assert api("POST", f"{URL}/bulk/link", body)[:2] == (400, NO_IMAGE)


# -- batch


@pytest.fixture
def family(api: Any, line: LineSimulator, shop: Channel) -> tuple[list[Person], list[str]]:
    """Four friends: three linked to the first of three menus, one to the second."""
    people, menus = [line.person(name) for name in "一二三四"], [make(api) for _ in range(3)]
    for person, menu_id in zip(people, [menus[0]] * 3 + [menus[1]], strict=True):
        person.follow(shop)
        api("POST", f"/v2/bot/user/{person.user_id(shop)}/richmenu/{menu_id}")
    return people, menus


def batch(api: Any, *operations: dict[str, Any], key: str | None = None) -> tuple[int, Any, str]:
    body = {"operations": operations, **({"resumeRequestKey": key} if key else {})}
    status, answer, headers = api("POST", f"{URL}/batch", body)
    return status, answer, headers["x-line-request-id"]


def phase(api: Any, request_id: str) -> str:
    return str(api("GET", f"{URL}/progress/batch?requestId={request_id}")[1].get("phase"))


def test_a_batch_moves_everyone_at_once(api: Any, line: LineSimulator, family: Any, shop: Channel) -> None:
    people, (a, b, c) = family
    status, body, request_id = batch(api, {"type": "link", "from": a, "to": b}, {"type": "link", "from": b, "to": c})
    assert (status, body) == (202, {})
    progress = api("GET", f"{URL}/progress/batch?requestId={request_id}")[1]
    assert (progress["phase"], set(progress)) == ("ongoing", {"phase", "acceptedTime"})
    assert [seen(one, shop) for one in people] == [a, a, a, b]
    line.clock.advance(11)
    progress = api("GET", f"{URL}/progress/batch?requestId={request_id}")[1]
    assert progress["phase"] == "succeeded"
    assert progress["completedTime"] > progress["acceptedTime"]
    assert progress["completedTime"][-5] == "." and progress["completedTime"].endswith("Z")
    assert [seen(one, shop) for one in people] == [b, b, b, c]
    batch(api, {"type": "unlink", "from": b})
    line.clock.advance(11)
    assert [seen(one, shop) for one in people] == [None, None, None, c]
    batch(api, {"type": "unlinkAll"})
    line.clock.advance(11)
    assert [seen(one, shop) for one in people] == [None] * 4


def test_a_batch_leaves_later_links_alone(api: Any, line: LineSimulator, family: Any, shop: Channel) -> None:
    people, (a, b, c) = family
    batch(api, {"type": "link", "from": a, "to": b})
    api("POST", f"/v2/bot/user/{people[3].user_id(shop)}/richmenu/{a}")
    people[0].block(shop)
    people[0].unblock(shop)
    line.clock.advance(11)
    assert [seen(one, shop) for one in people] == [None, b, b, a]


def test_a_failed_batch_goes_on_with_its_key(api: Any, line: LineSimulator, family: Any, shop: Channel) -> None:
    people, (a, b, c) = family
    moves = ({"type": "link", "from": a, "to": b}, {"type": "link", "from": b, "to": c})
    assert control(line, "POST", "/_sim/richmenus/fail", {"channel": shop.id, "times": 1}) == (200, {})
    _, _, first = batch(api, *moves, key="k-1")
    line.clock.advance(11)
    assert (phase(api, first), [seen(one, shop) for one in people]) == ("failed", [b, a, b, b])
    _, _, second = batch(api, *moves, key="k-1")
    line.clock.advance(11)
    assert (phase(api, second), [seen(one, shop) for one in people]) == ("succeeded", [b, b, b, c])
    line.clock.advance(14 * 86_400)
    batch(api, *moves, key="k-1")
    line.clock.advance(11)
    assert [seen(one, shop) for one in people] == [c, c, c, c]
    assert phase(api, second) == "None"


def test_progress_of_nothing(api: Any, line: LineSimulator, caller: Any) -> None:
    menu_id = make(api)
    _, _, request_id = batch(api, {"type": "unlink", "from": menu_id})
    target = f"{URL}/progress/batch"
    assert api("GET", f"{target}?requestId={request_id}")[0] == 200
    assert caller(line, line.channel("支店"))("GET", f"{target}?requestId={request_id}")[:2] == (404, {"message": "Not found"})
    assert [api("GET", one)[0] for one in (target, f"{target}?requestId=x")] == [400, 400]
    line.clock.advance(14 * 86_400 + 1)
    assert api("GET", f"{target}?requestId={request_id}")[:2] == (404, {"message": "Not found"})


def test_bad_batches(api: Any) -> None:
    menu_id, bare = make(api), make(api, image=False)
    unlink = {"type": "unlink", "from": menu_id}
    cases: list[tuple[Any, int, str, str]] = [
        ([unlink, unlink], 400, f"from richmenu ({menu_id}) is duplicated", "operations[].from"),
        ([unlink, {"type": "unlinkAll"}], 400, "'unlinkAll' type can't be combined with other type", "operations[].type"),
        ([{"type": "unlink", "from": "x"}], 400, "invalid richMenuId", "operations[0].from"),
        ([{"type": "link", "from": menu_id}], 400, "must be specified", "operations[0].to"),
        ([{**unlink, "type": "link", "to": NOBODY}], 404, f"Richmenu ({NOBODY}) is not found", "operations[0].to"),
        ([{"type": "unlink", "from": NOBODY}], 404, f"Richmenu ({NOBODY}) is not found", "operations[0].from"),
        (
            [{**unlink, "type": "link", "to": bare}],
            400,
            f"'to' richmenu ({bare}) must have image but it doesn't",
            "operations[0].to",
        ),
        ([{"type": ["link"]}], 400, "Must be one of the following values: [link, unlink, unlinkAll]", "operations[0].type"),
        ([7], 400, "Must be an object", "operations[0]"),
        ([], 400, "May not be empty", "operations"),
        ([unlink] * 1001, 400, "Size must be between 1 and 1000", "operations"),
    ]
    for operations, status, message, path in cases:
        for target in (f"{URL}/validate/batch", f"{URL}/batch"):
            api.line.limits.clear()
            got, body, _ = api("POST", target, {"operations": operations})
            assert (got, body["details"]) == (status, [{"message": message, "property": path}]), operations[:2]
    for key in ("", "あ", "a" * 101, "a b", 1, ["a"]):
        body = api("POST", f"{URL}/validate/batch", {"operations": [unlink], "resumeRequestKey": key})[1]
        assert body["details"][0]["property"] == "resumeRequestKey"
    assert api("POST", f"{URL}/validate/batch", {"operations": [unlink], "resumeRequestKey": "a-_Z9"})[:2] == (200, {})


# -- around it


def control(line: LineSimulator, method: str, target: str, body: Any = None) -> tuple[int, Any]:
    path, _, query = target.partition("?")
    response = line.handle(Request(method, path, query, {}, b"" if body is None else json.dumps(body).encode()))
    if response.content_type != "application/json":
        return response.status, (response.content_type, response.body)
    return response.status, json.loads(response.body)


@pytest.mark.parametrize(("setting", "calls"), [("100h", 100), ("2000s", 101)])
def test_the_limit_on_progress_is_a_choice(caller: Any, setting: str, calls: int) -> None:
    line = LineSimulator(seed=1, settings=Settings(rich_menu_progress_limit=setting))
    api = caller(line, line.channel("花屋"))
    statuses = [api("GET", f"{URL}/progress/batch?requestId=x")[0] for _ in range(101)]
    assert statuses.count(400) == calls


def test_menus_survive(tmp_path: Path, caller: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        shop, hanako = line.channel("花屋"), line.person("花子")
        hanako.follow(shop)
        api = caller(line, shop)
        menu_id = make(api, selected=True, name="\ud800")
        api("POST", f"{URL}/alias", {"richMenuAliasId": "a", "richMenuId": menu_id})
        api("POST", f"{URL}/bulk/link", {"richMenuId": menu_id, "userIds": [hanako.user_id(shop)]})
        hanako.open_chat(shop)
        image = api("GET", f"{URL}/{menu_id}/content")[1]
    with LineSimulator(seed=2, data=tmp_path) as line:
        api = caller(line, line.channel("花屋"))
        line.clock.advance(2)
        assert seen(line.person("花子"), api.channel) == menu_id
        assert api("GET", f"{URL}/{menu_id}/content")[1] == image
        assert api("GET", f"{URL}/{menu_id}")[1]["name"] == "\ud800"
        assert len(api("GET", f"{URL}/alias/list")[1]["aliases"]) == 1
