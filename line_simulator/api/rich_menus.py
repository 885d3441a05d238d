"""Rich menus: create, image, alias, default, per person; bulk, batch and statistics have files of their own."""

from __future__ import annotations

from typing import Any, Final

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.api.rich_menu_batches import RichMenuBatches
from line_simulator.api.rich_menu_insight import RichMenuInsight
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.objects.findings import Findings
from line_simulator.objects.rich_menu import check_alias_id, check_image, check_menu_id, read_rich_menu
from line_simulator.world.ids import is_user_id
from line_simulator.world.rich_menu_book import NO_IMAGE, ChannelMenus, Menu, link_menu, linked_menu, menus_of, refusal
from line_simulator.world.state import Channel, World

MENUS_MAX: Final = 1000
ALIASES_MAX: Final = 1000


class RichMenus:
    """Answers of the rich menu operations. Callers hold the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            "createRichMenu": Operation(self._create, Reads.JSON),
            "validateRichMenuObject": Operation(self._validate, Reads.JSON),
            "getRichMenu": Operation(lambda call: json_response(self._menu(call).describe())),
            "deleteRichMenu": Operation(self._delete),
            "getRichMenuList": Operation(self._list),
            "setRichMenuImage": Operation(self._set_image, Reads.BYTES),
            "getRichMenuImage": Operation(self._image),
            "setDefaultRichMenu": Operation(self._set_default),
            "getDefaultRichMenuId": Operation(self._default),
            "cancelDefaultRichMenu": Operation(self._cancel_default),
            "linkRichMenuIdToUser": Operation(self._link),
            "getRichMenuIdOfUser": Operation(self._of_user),
            "unlinkRichMenuIdFromUser": Operation(self._unlink),
            "createRichMenuAlias": Operation(self._create_alias, Reads.JSON),
            "updateRichMenuAlias": Operation(self._update_alias, Reads.JSON),
            "getRichMenuAlias": Operation(self._alias),
            "deleteRichMenuAlias": Operation(self._delete_alias),
            "getRichMenuAliasList": Operation(self._aliases),
            **RichMenuBatches(self._world).operations(),
            **RichMenuInsight(self._world).operations(),
        }

    def _menus(self, call: Context) -> ChannelMenus:
        return menus_of(self._world, call.owner)

    def _menu(self, call: Context) -> Menu:
        menu = self._menus(call).find(call.parameters["richMenuId"])
        if menu is None:
            raise ApiError(404, "Not found")
        return menu

    def _menu_with_image(self, call: Context) -> Menu:
        menu = self._menu(call)
        if not menu.image:
            raise refusal(400, NO_IMAGE)
        return menu

    def _changed(self) -> Response:
        self._world.state.next_sequence()
        return json_response({})

    # -- menus

    def _create(self, call: Context) -> Response:
        content = read_rich_menu(call.body)
        menu = add_menu(self._world, call.owner, content)
        return json_response({"richMenuId": menu.id})

    def _validate(self, call: Context) -> Response:
        read_rich_menu(call.body)
        return json_response({})

    def _delete(self, call: Context) -> Response:
        # What was linked, default or alias stays and points nowhere (guessed; RICHMENU_NOTFOUND of the postback hints at it).
        del self._menus(call).menus[self._menu(call).id]
        return self._changed()

    def _list(self, call: Context) -> Response:
        menus = self._menus(call).menus.values()
        return json_response({"richmenus": [menu.describe() for menu in menus if not menu.by_manager]})

    def _set_image(self, call: Context) -> Response:
        content_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in ("image/jpeg", "image/png"):
            raise ApiError(415, "Unsupported media type")
        menu = self._menu(call)
        if menu.image:
            raise ApiError(400, "An image has already been uploaded to the richmenu")
        check_image(call.request.body, content_type)
        menu.image, menu.content_type = call.request.body, content_type
        return self._changed()

    def _image(self, call: Context) -> Response:
        menu = self._menu(call)
        if not menu.image:
            raise ApiError(404, "Not found")
        return Response(200, menu.image, menu.content_type)

    # -- default and per person

    def _set_default(self, call: Context) -> Response:
        self._menus(call).default_id = self._menu_with_image(call).id
        return self._changed()

    def _default(self, call: Context) -> Response:
        menus = self._menus(call)
        menu = menus.find(menus.default_id)
        if menu is not None:
            return json_response({"richMenuId": menu.id})
        if menus.manager_id is not None:
            raise refusal(403, "the richmenu is owned by another channel")
        raise refusal(404, "no default richmenu")

    def _cancel_default(self, call: Context) -> Response:
        self._menus(call).default_id = None
        return self._changed()

    def _link(self, call: Context) -> Response:
        user_id = _user_id(call)
        link_menu(self._world, call.owner, user_id, self._menu_with_image(call).id)
        return json_response({})

    def _unlink(self, call: Context) -> Response:
        link_menu(self._world, call.owner, _user_id(call), None)
        return json_response({})

    def _of_user(self, call: Context) -> Response:
        menu = linked_menu(self._world, call.owner, _user_id(call))
        if menu is None:
            raise refusal(404, "the user has no richmenu")
        return json_response({"richMenuId": menu.id})

    # -- aliases

    def _create_alias(self, call: Context) -> Response:
        found = Findings()
        check_alias_id(found, "richMenuAliasId", call.body.get("richMenuAliasId"))
        check_menu_id(found, "richMenuId", call.body.get("richMenuId"))
        found.raise_if_any()
        menus = self._menus(call)
        alias_id = call.body["richMenuAliasId"]
        menu_id = self._target(menus, call.body["richMenuId"])
        if alias_id in menus.aliases:
            raise refusal(400, "conflict richmenu alias id")
        if len(menus.aliases) >= ALIASES_MAX:
            # The limit is documented, its text is not.
            raise refusal(400, "The maximum number of richmenu aliases has been reached")
        menus.aliases[alias_id] = menu_id
        return self._changed()

    def _update_alias(self, call: Context) -> Response:
        found = Findings()
        check_alias_id(found, "richMenuAliasId", call.parameters["richMenuAliasId"])
        check_menu_id(found, "richMenuId", call.body.get("richMenuId"))
        found.raise_if_any()
        alias_id = self._known_alias(call)
        menus = self._menus(call)
        menus.aliases[alias_id] = self._target(menus, call.body["richMenuId"])
        return self._changed()

    def _target(self, menus: ChannelMenus, menu_id: str) -> str:
        menu = menus.find(menu_id)
        if menu is None or not menu.image:
            raise refusal(400, "richmenu not found")
        return menu.id

    def _known_alias(self, call: Context) -> str:
        found = Findings()
        alias_id = call.parameters["richMenuAliasId"]
        check_alias_id(found, "richMenuAliasId", alias_id)
        found.raise_if_any()
        if alias_id not in self._menus(call).aliases:
            raise refusal(404, "richmenu alias not found")
        return alias_id

    def _alias(self, call: Context) -> Response:
        alias_id = self._known_alias(call)
        return json_response({"richMenuAliasId": alias_id, "richMenuId": self._menus(call).aliases[alias_id]})

    def _delete_alias(self, call: Context) -> Response:
        del self._menus(call).aliases[self._known_alias(call)]
        return self._changed()

    def _aliases(self, call: Context) -> Response:
        aliases = self._menus(call).aliases.items()
        return json_response({"aliases": [{"richMenuAliasId": alias, "richMenuId": menu} for alias, menu in aliases]})


def add_menu(world: World, channel: Channel, content: dict[str, Any], *, by_manager: bool = False) -> Menu:
    """Add a rich menu whose object was read before, and return it. Raises ApiError 400 beyond a thousand."""
    menus = menus_of(world, channel)
    if not by_manager and sum(not one.by_manager for one in menus.menus.values()) >= MENUS_MAX:
        # The limit is documented, its text is not.
        raise refusal(400, "The maximum number of richmenus has been reached")
    menu = Menu(f"richmenu-{world.ids.hex32()}", content, world.clock.time(), by_manager)
    menus.menus[menu.id] = menu
    world.state.next_sequence()
    return menu


def _user_id(call: Context) -> str:
    user_id = call.parameters["userId"]
    if not is_user_id(user_id):
        raise ApiError(400, "The value for the 'userId' parameter is invalid")
    return user_id
