"""What people do with rich menus: see them, tap their areas, switch between them. Its statistics are computed from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from line_simulator.exchange import SimulatorError
from line_simulator.world.rich_menu_book import Menu, link_menu, menu_of, menus_of
from line_simulator.world.state import Channel, JsonObject, World, part

Days = dict[str, dict[str, int]]


@dataclass(slots=True)
class MenuCounts:
    """How often each user saw a menu and tapped its areas, by day (yyyymmdd in Japan); taps by position of the area."""

    impressions: Days = field(default_factory=dict)
    clicks: dict[int, Days] = field(default_factory=dict)


@part("rich_menu_counts")
@dataclass(slots=True)
class MenuActivity:
    """Counts by rich menu id."""

    menus: dict[str, MenuCounts] = field(default_factory=dict)

    def of(self, menu: Menu) -> MenuCounts:
        """Return the counts of a menu, begun if need be."""
        found = self.menus.get(menu.id)
        if found is None:
            found = self.menus[menu.id] = MenuCounts()
        return found


def enter(world: World, channel: Channel, user_id: str) -> None:
    """Note that the user opened the chat: a menu that opens by itself (`selected`) is seen."""
    menu = menu_of(world, channel, user_id)
    if menu is not None and menu.content["selected"]:
        see(world, menu, user_id)


def see(world: World, menu: Menu, user_id: str) -> None:
    """Note that the user sees the menu open."""
    _count(world, world.part(MenuActivity).of(menu).impressions, user_id)


def tap(world: World, channel: Channel, user_id: str, area: int | str) -> tuple[JsonObject, dict[str, str] | None]:
    """Tap an area of the menu the user sees, by position, or by label, alias, text or data of its action.

    Returns the action, and for richmenuswitch the params of its postback (reference, postback.params object for rich menu
    switch action). Raises SimulatorError when there is no such menu or area.
    """
    menu = menu_of(world, channel, user_id)
    if menu is None:
        raise SimulatorError(f"{channel.name} shows this person no rich menu.", 404)
    index = _find(menu, area)
    counts = world.part(MenuActivity).of(menu)
    if user_id not in counts.impressions.get(_today(world), {}):
        # To tap it they had to see it.
        see(world, menu, user_id)
    _count(world, counts.clicks.setdefault(index, {}), user_id)
    action: JsonObject = menu.content["areas"][index]["action"]
    params = _switch(world, channel, user_id, action["richMenuAliasId"]) if action["type"] == "richmenuswitch" else None
    return action, params


def _switch(world: World, channel: Channel, user_id: str, alias_id: str) -> dict[str, str]:
    menus = menus_of(world, channel)
    menu_id = menus.aliases.get(alias_id)
    if menu_id is None:
        return {"status": "RICHMENU_ALIAS_ID_NOTFOUND"}
    menu = menus.find(menu_id)
    if menu is None:
        return {"status": "RICHMENU_NOTFOUND"}
    # LINE does not say what fails; menus are linked to friends only, so for others switching does (guessed).
    if not link_menu(world, channel, user_id, menu.id):
        return {"status": "FAILED"}
    see(world, menu, user_id)
    return {"newRichMenuAliasId": alias_id, "status": "SUCCESS"}


def _find(menu: Menu, area: int | str) -> int:
    actions = [one["action"] for one in menu.content["areas"]]
    if isinstance(area, int) and not isinstance(area, bool) and -len(actions) <= area < len(actions):
        return area % len(actions)
    for index, action in enumerate(actions):
        if isinstance(area, str) and area in [action.get(name) for name in ("label", "richMenuAliasId", "text", "data")]:
            return index
    known = ", ".join(repr(action.get("label")) for action in actions) or "none"
    raise SimulatorError(f"The rich menu has no area {area!r}; it has {known}.")


def _count(world: World, days: Days, user_id: str) -> None:
    users = days.setdefault(_today(world), {})
    users[user_id] = users.get(user_id, 0) + 1


def _today(world: World) -> str:
    return f"{world.tokyo():%Y%m%d}"
