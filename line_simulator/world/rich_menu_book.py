"""Which rich menus exist, who is linked to which, and what each person sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from line_simulator.exchange import ApiError
from line_simulator.world.state import Channel, Friendship, JsonObject, World, part

NO_IMAGE: Final = "must upload richmenu image before applying it to user"


@dataclass(slots=True)
class Menu:
    """A rich menu; `content` is the rich menu object, without its id.

    by_manager: made in LINE Official Account Manager, so the API neither lists nor finds it.
    """

    id: str
    content: JsonObject
    created_at: float
    by_manager: bool = False
    image: bytes = b""
    content_type: str = ""

    def describe(self) -> JsonObject:
        """Return the rich menu response object (messaging-api.yml, RichMenuResponse)."""
        return {"richMenuId": self.id, **self.content}


@dataclass(frozen=True, slots=True)
class Link:
    """The menu one person was given; `sequence` is the place of that call in the order of everything."""

    menu_id: str
    sequence: int


@dataclass(slots=True)
class Bulk:
    """A bulk link (or, with no menu, unlink) that takes effect at `due`, in epoch seconds."""

    due: float
    sequence: int
    user_ids: list[str]
    menu_id: str | None


@dataclass(slots=True)
class Batch:
    """A batch of replacements that ends at `due`. It leaves alone links made at or after the sequence `before`.

    moves: from menu to menu, or to None for unlinking. everyone: unlink all. failing: half of the people are left out.
    """

    accepted_at: float
    due: float
    sequence: int
    before: int
    moves: dict[str, str | None]
    everyone: bool = False
    failing: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class ResumeKey:
    """A resumeRequestKey: when it was first used (epoch seconds), and at which sequence."""

    at: float
    sequence: int


@dataclass(slots=True)
class ChannelMenus:
    """The rich menus of one channel. fail_batches: how many of the next batches are to fail."""

    menus: dict[str, Menu] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    default_id: str | None = None
    manager_id: str | None = None
    links: dict[str, Link] = field(default_factory=dict)
    bulks: list[Bulk] = field(default_factory=list)
    batches: dict[str, Batch] = field(default_factory=dict)
    keys: dict[str, ResumeKey] = field(default_factory=dict)
    fail_batches: int = 0

    def find(self, menu_id: str | None) -> Menu | None:
        """Return the menu of this id if the API can see it."""
        menu = self.menus.get(menu_id or "")
        return None if menu is None or menu.by_manager else menu


@part("rich_menus")
@dataclass(slots=True)
class RichMenuBook:
    """The rich menus of all channels, by channel id."""

    channels: dict[str, ChannelMenus] = field(default_factory=dict)


def menus_of(world: World, channel: Channel) -> ChannelMenus:
    """Return the channel's menus, with every bulk and batch whose time has come carried out.

    Every look goes through here, and what a job may touch is decided by the order of events, so nobody can tell that it
    was not done at its instant; and it survives a restart.
    """
    book = world.part(RichMenuBook)
    found = book.channels.get(channel.id)
    if found is None:
        found = book.channels[channel.id] = ChannelMenus()
    if found.bulks or found.batches:
        _settle(found, channel, world.clock.time())
    return found


def menu_of(world: World, channel: Channel, user_id: str) -> Menu | None:
    """Return the rich menu this user sees on opening the chat now, or None.

    Their own menu comes before the default of the API, and that before the default of LINE Official Account Manager.
    LINE for PC shows none. Who has blocked the account sees none either (guessed).
    """
    menus = menus_of(world, channel)
    chat = channel.chats.get(user_id)
    owner = world.state.owners.get(user_id)
    if (chat is not None and chat.status is Friendship.BLOCKED) or (owner is not None and owner[1].app == "pc"):
        return None
    own = linked_menu(world, channel, user_id)
    return own or menus.find(menus.default_id) or menus.menus.get(menus.manager_id or "")


def linked_menu(world: World, channel: Channel, user_id: str) -> Menu | None:
    """Return the menu linked to this user, or None. A link to a deleted menu counts as none (guessed)."""
    menus = menus_of(world, channel)
    link = menus.links.get(user_id)
    return menus.find(link.menu_id) if link is not None and _holds(channel, user_id, link) else None


def link_menu(world: World, channel: Channel, user_id: str, menu_id: str | None) -> bool:
    """Give the user this menu, or take theirs away. Tells whether they are a friend; for others nothing happens."""
    menus = menus_of(world, channel)
    chat = channel.chats.get(user_id)
    if chat is None or chat.status is not Friendship.FRIEND:
        return False
    _set(menus, user_id, menu_id, world.state.next_sequence())
    return True


def refusal(status: int, message: str) -> ApiError:
    """Return an error whose answer carries an empty list of details, as the reference shows LINE's rich menu errors do."""
    error = ApiError(status, message)
    error.extra["details"] = []
    return error


def _holds(channel: Channel, user_id: str, link: Link) -> bool:
    """Tell whether a link still counts: blocking ends it, and unblocking does not bring it back (LINE's FAQ)."""
    chat = channel.chats.get(user_id)
    if chat is None or chat.status is not Friendship.FRIEND:
        return False
    return not chat.history or link.sequence > chat.history[-1][0]


def _set(menus: ChannelMenus, user_id: str, menu_id: str | None, sequence: int) -> None:
    if menu_id is None:
        menus.links.pop(user_id, None)
    else:
        menus.links[user_id] = Link(menu_id, sequence)


def _settle(menus: ChannelMenus, channel: Channel, now: float) -> None:
    due: list[Bulk | Batch] = [one for one in menus.bulks if one.due <= now]
    due += [one for one in menus.batches.values() if one.due <= now and not one.done]
    for job in sorted(due, key=lambda one: (one.due, one.sequence)):
        if isinstance(job, Bulk):
            menus.bulks.remove(job)
            _carry_out_bulk(menus, channel, job)
        else:
            job.done = True
            _carry_out_batch(menus, channel, job)


def _carry_out_bulk(menus: ChannelMenus, channel: Channel, bulk: Bulk) -> None:
    for user_id in bulk.user_ids:
        if _holds(channel, user_id, Link("", bulk.sequence)):
            _set(menus, user_id, bulk.menu_id, bulk.sequence)


def _carry_out_batch(menus: ChannelMenus, channel: Channel, batch: Batch) -> None:
    """Move everyone at once, so that A to B and B to C in one batch leave nobody of A on C (reference, batch control)."""
    affected = [
        (user_id, link)
        for user_id, link in menus.links.items()
        if link.sequence < batch.before and _holds(channel, user_id, link) and (batch.everyone or link.menu_id in batch.moves)
    ]
    for user_id, link in affected[::2] if batch.failing else affected:
        _set(menus, user_id, None if batch.everyone else batch.moves[link.menu_id], batch.sequence)
