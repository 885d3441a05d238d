"""Rich menus under /_sim/: what a person sees and taps, and what only LINE Official Account Manager or LINE itself does."""

from __future__ import annotations

import base64
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from line_simulator.api.rich_menus import add_menu
from line_simulator.control.describe import describe_page
from line_simulator.control.values import Answer, Verb, need, need_object, need_text
from line_simulator.exchange import ApiError, Response, SimulatorError
from line_simulator.objects.rich_menu import check_image, read_rich_menu
from line_simulator.world.rich_menu_book import ChannelMenus, Menu, RichMenuBook, linked_menu, menu_of, menus_of
from line_simulator.world.state import Channel, JsonObject, PersonRecord

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

IMAGE_PATH: Final = re.compile(r"/_sim/richmenus/([^/]+)/image")
_PNG: Final = b"\x89PNG"


class Menus:
    """Rich menus for screens and tests."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/menu"): self._menu,
            ("GET", "/_sim/richmenus"): self._list,
            ("POST", "/_sim/richmenus"): self._manage,
            ("POST", "/_sim/richmenus/fail"): self._fail,
        }

    def verbs(self) -> dict[str, Verb]:
        """Return what a person can do with a rich menu."""
        return {
            "tap_menu": self._tap,
            "open_menu": lambda person, channel, _: self._line.people.open_menu(person, channel),
        }

    def image(self, menu_id: str) -> Response:
        """Return the image of a menu, whoever made it. Raises SimulatorError 404."""
        world = self._line.world
        with world.lock:
            for menus in world.part(RichMenuBook).channels.values():
                menu = menus.menus.get(menu_id)
                if menu is not None and menu.image:
                    return Response(200, menu.image, menu.content_type)
        raise SimulatorError(f"There is no image of a rich menu {menu_id!r}.", 404)

    def _menu(self, _: JsonObject, query: dict[str, str]) -> Any:
        """What ?person= sees in the chat with ?channel=: {"menu": {…, "imageUrl"} or null}."""
        world = self._line.world
        with world.lock:
            channel, person = world.channel(need(query, "channel")), world.person(need(query, "person"))
            menu = menu_of(world, channel, person.user_ids.get(channel.provider, ""))
            return {"menu": _describe(menu) if menu else None}

    def _list(self, _: JsonObject, query: dict[str, str]) -> Any:
        """All menus of ?channel=, with what points to them."""
        world = self._line.world
        with world.lock:
            channel = world.channel(need(query, "channel"))
            menus = menus_of(world, channel)
            own = [linked_menu(world, channel, user_id) for user_id in menus.links]
            linked = Counter(menu.id for menu in own if menu is not None)
            return {"richmenus": [{**_describe_fully(menus, one), "linked": linked[one.id]} for one in menus.menus.values()]}

    def _manage(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Set {"menu": object or null} as the default of LINE Official Account Manager, with {"image": Base64}."""
        world = self._line.world
        channel = world.channel(need_text(body, "channel"))
        with world.lock:
            menus = menus_of(world, channel)
            if body.get("menu") is None:
                menus.menus.pop(menus.manager_id or "", None)
                menus.manager_id = None
                world.state.next_sequence()
                return None
            try:
                content = read_rich_menu(need_object(body, "menu"))
                image = base64.b64decode(need_text(body, "image"), validate=True)
                content_type = "image/png" if image.startswith(_PNG) else "image/jpeg"
                check_image(image, content_type)
            except ValueError:
                raise SimulatorError("image must be Base64.") from None
            except ApiError as error:
                raise SimulatorError(f"{error.message}: {error.details}" if error.details else error.message) from None
            menus.menus.pop(menus.manager_id or "", None)
            menu = add_menu(world, channel, content, by_manager=True)
            menu.image, menu.content_type = image, content_type
            menus.manager_id = menu.id
            return _describe(menu)

    def _fail(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Let the next {"times"} batches of {"channel"} reach only every other person and end as failed."""
        times = body.get("times", 1)
        if isinstance(times, bool) or not isinstance(times, int) or times < 0:
            raise SimulatorError("times must be a number, zero or more.")
        world = self._line.world
        with world.lock:
            menus_of(world, world.channel(need_text(body, "channel"))).fail_batches = times

    def _tap(self, person: PersonRecord, channel: Channel, body: JsonObject) -> Any:
        area = body.get("area", 0)
        if isinstance(area, bool) or not isinstance(area, (int, str)):
            raise SimulatorError("area must be a position or a label.")
        params = body.get("params")
        if params is not None and not isinstance(params, dict):
            raise SimulatorError("params must be an object.")
        tap = self._line.handle_of(person).tap_menu(channel, area, params, open_link=body.get("open") is not False)
        page = tap.page
        answer = {"action": tap.action, "page": describe_page(page.url, page.status, page.text) if page else None}
        return answer if tap.open_menu is None else {**answer, "openMenu": tap.open_menu}


def _describe(menu: Menu) -> JsonObject:
    return {**menu.describe(), "imageUrl": f"/_sim/richmenus/{menu.id}/image"}


def _describe_fully(menus: ChannelMenus, menu: Menu) -> JsonObject:
    return {
        **_describe(menu),
        "hasImage": bool(menu.image),
        "byManager": menu.by_manager,
        "default": menu.id == (menus.manager_id if menu.by_manager else menus.default_id),
        "aliases": [alias for alias, menu_id in menus.aliases.items() if menu_id == menu.id],
    }
