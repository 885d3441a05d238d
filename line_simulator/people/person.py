"""A scripted person: the Python handle of one simulated human being and their phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from line_simulator.api.memberships import Plan
from line_simulator.exchange import SimulatorError
from line_simulator.pages import walking
from line_simulator.pages.browser import PERSON_COOKIE, Browser, Page
from line_simulator.pages.dialogs import PATH as DIALOG_PATH
from line_simulator.people import customers, notifications
from line_simulator.people.happenings import beacon, image_set, unsend
from line_simulator.people.people import People
from line_simulator.world.partner_book import PartnerBook
from line_simulator.world.rich_menu_book import menu_of
from line_simulator.world.state import Channel, JsonObject, PersonRecord, Received, World

_PICKED: Final = {"date": "%Y-%m-%d", "time": "%H:%M", "datetime": "%Y-%m-%dT%H:%M"}


@dataclass(frozen=True, slots=True)
class Tap:
    """What a tap did: the action, the page when it opened one, and whether the rich menu is open afterwards, None as before."""

    action: JsonObject
    page: Page | None = None
    open_menu: bool | None = None


class Person:
    """What a person can see and do. Everything a phone would report to LINE becomes a webhook."""

    def __init__(self, record: PersonRecord, world: World, people: People) -> None:
        self.record = record
        self._world = world
        self._people = people

    @cached_property
    def browser(self) -> Browser:
        """The in-app browser with the person's cookies."""
        browser = Browser()
        browser.remember("127.0.0.1", PERSON_COOKIE, self.record.id)
        return browser

    def __repr__(self) -> str:
        return f"Person({self.record.id!r}, {self.record.name!r})"

    @property
    def id(self) -> str:
        """The simulator's own id of the person."""
        return self.record.id

    @property
    def name(self) -> str:
        """The display name."""
        return self.record.name

    def user_id(self, channel: Channel) -> str:
        """Return the user id this channel knows the person by."""
        return self._people.user_id(self.record, channel)

    def status(self, channel: Channel) -> str:
        """Return friend, blocked or none."""
        chat = channel.chats.get(self.user_id(channel))
        return chat.status.value if chat else "none"

    def follow(self, channel: Channel) -> None:
        """Add the account as a friend."""
        self._people.follow(self.record, channel)

    def block(self, channel: Channel) -> None:
        """Block the account."""
        self._people.block(self.record, channel)

    def unblock(self, channel: Channel) -> None:
        """Unblock the account. Raises SimulatorError unless it was blocked."""
        self._people.unblock(self.record, channel)

    def say(self, channel: Channel, text: str) -> str:
        """Write to the account and return the message id. Raises SimulatorError when it is blocked."""
        return self._people.say(self.record, channel, {"type": "text", "text": text})

    def send(self, channel: Channel, message: JsonObject, data: bytes = b"") -> str:
        """Send another kind of message: {"type": "image"} with bytes, sticker, location, … Returns the message id."""
        return self._people.say(self.record, channel, message, data)

    def send_images(self, channel: Channel, images: list[bytes]) -> list[str]:
        """Send several images chosen together: a webhook for each, with an imageSet. Returns the message ids."""
        messages = image_set(self._world, len(images))
        return [self.send(channel, message, data) for message, data in zip(messages, images, strict=True)]

    def unsend(self, channel: Channel, message_id: str) -> None:
        """Take a message back. Raises SimulatorError if the person said no such message."""
        unsend(self._world, self.record, channel, message_id)

    def beacon(self, channel: Channel, hwid: str, kind: str = "enter", dm: str | None = None) -> None:
        """Come near a LINE Beacon; kind: enter, banner or stay. Raises SimulatorError unless the person is a friend."""
        beacon(self._world, self.record, channel, hwid, kind, dm)

    def postback(self, channel: Channel, data: str, params: dict[str, str] | None = None) -> None:
        """Send a postback."""
        self._people.postback(self.record, channel, data, params)

    def finish_video(self, channel: Channel, tracking_id: str) -> None:
        """Play a video to its end."""
        self._people.finish_video(self.record, channel, tracking_id)

    def raw_event(self, channel: Channel, event: JsonObject) -> None:
        """Send an event of any kind; common properties are filled in."""
        self._people.raw_event(self.record, channel, event)

    def open_chat(self, channel: Channel) -> int:
        """Look at the chat: an impression of everything new in it. Returns how many send calls that were."""
        return self._people.open_chat(self.record, channel)

    def inbox(self, channel: Channel) -> list[Received]:
        """Return the messages received from the account, oldest first, without looking at them as the person would."""
        with self._world.lock:
            return list(self._world.received(channel, self.user_id(channel)))

    def tap(
        self,
        channel: Channel,
        message: Received | JsonObject,
        action: JsonObject | str | int = 0,
        params: dict[str, str] | None = None,
    ) -> Tap:
        """Tap an action of a message: an action object, its label, or its position.

        A message action says its text, a postback action sends its data, a uri action opens the page.
        `params` is what a datetimepicker was set to. Raises SimulatorError if the message has no such action.
        """
        content = message.message if isinstance(message, Received) else message
        chosen = find_action(content, action)
        match chosen.get("type"):
            case "message":
                self.say(channel, str(chosen["text"]))
            case "postback":
                self._tap_postback(channel, chosen)
            case "datetimepicker":
                chosen_time = params or {str(chosen["mode"]): str(chosen.get("initial", ""))}
                self.postback(channel, str(chosen["data"]), chosen_time)
            case "uri":
                uri = str(chosen.get("uri") or chosen.get("linkUri"))
                if isinstance(message, Received):
                    self._people.click(self.record, channel, message.id, uri)
                return Tap(chosen, self.open(uri) if uri.startswith(("http://", "https://")) else None)
        return Tap(chosen)

    def menu(self, channel: Channel) -> JsonObject | None:
        """Return the rich menu the person sees on opening the chat now (messaging-api.yml, RichMenuResponse), or None."""
        with self._world.lock:
            menu = menu_of(self._world, channel, self.user_id(channel))
            return menu.describe() if menu else None

    def tap_menu(
        self, channel: Channel, area: int | str = 0, params: dict[str, str] | None = None, *, open_link: bool = True
    ) -> Tap:
        """Tap an area of the rich menu, by position, or by label, alias, text or data of its action.

        `params` is what a datetimepicker was set to, by default its initial value or now. With open_link False a link is
        counted but not opened. Raises SimulatorError when the person sees no menu, or none with such an area.
        """
        action = self._people.tap_menu(self.record, channel, area)
        if action["type"] == "richmenuswitch":
            return Tap(action, open_menu=True)
        if action["type"] == "uri" and not open_link:
            return Tap(action)
        if action["type"] == "datetimepicker" and params is None and "initial" not in action:
            params = {action["mode"]: f"{self._world.tokyo():{_PICKED[action['mode']]}}"}
        done = self.tap(channel, {}, action, params)
        option = action.get("inputOption")
        return Tap(done.action, done.page, None if option is None else option == "openRichMenu")

    def _tap_postback(self, channel: Channel, action: JsonObject) -> None:
        if action.get("text"):
            # The deprecated property sends a real message as well (Messaging API reference, Postback action).
            self.say(channel, str(action["text"]))
        self._people.postback(self.record, channel, str(action["data"]), display_text=action.get("displayText"))

    def open(self, url: str) -> Page:
        """Open a page in the in-app browser, which keeps this person's cookies; LINE's own pages are the simulator's."""
        return self.browser.get(walking.at_home(self._world.origin, url))

    def take_coupon(self, channel: Channel, coupon_id: str) -> bool:
        """Take a coupon; returns whether the person has it. Raises SimulatorError when it cannot be taken."""
        return customers.take_coupon(self._world, self.record, channel, coupon_id)

    def use_coupon(self, channel: Channel, coupon_id: str) -> int:
        """Use a coupon; returns how often it was used. Raises SimulatorError when it cannot be used."""
        return customers.use_coupon(self._world, self.record, channel, coupon_id)

    def answer_notifications(self, *, agree: bool = True) -> None:
        """Consent to LINE notification messages (verifying the number by SMS if need be) or refuse them; what waits comes or goes."""
        notifications.decide(self._world, self.record, agree=agree)

    def stickers(self) -> list[str]:
        """Return the package ids of the mission stickers the person was given, oldest first."""
        return list(self._world.part(PartnerBook).given.get(self.record.id, ()))

    def join_membership(self, channel: Channel, plan: Plan | int) -> None:
        """Join a membership plan. Raises SimulatorError when it takes no new members."""
        self._change_membership(channel, plan, "joined")

    def renew_membership(self, channel: Channel, plan: Plan | int) -> None:
        """Pay for another month of a membership. Raises SimulatorError when the person is no member."""
        self._change_membership(channel, plan, "renewed")

    def leave_membership(self, channel: Channel, plan: Plan | int) -> None:
        """Leave a membership plan. Raises SimulatorError when the person is no member."""
        self._change_membership(channel, plan, "left")

    def _change_membership(self, channel: Channel, plan: Plan | int, change: str) -> None:
        plan_id = plan if isinstance(plan, int) else plan.id
        customers.change_membership(self._world, self.record, channel, plan_id, change)

    def link_account(self, url: str | Page, *, agree: bool = True) -> Page:
        """Answer the account link dialog at `url`, or a page that leads there by redirect; returns the last page.

        Raises SimulatorError when no dialog appears.
        """
        page = url if isinstance(url, Page) else self.open(url)
        if urlsplit(page.url).path != DIALOG_PATH:
            raise SimulatorError(f"{page.url} is not the account link dialog (status {page.status}).")
        if not page.forms():
            return page
        form = page.forms()[0]
        fields = {**form.fields, "person": self.record.id, "answer": "allow" if agree else "cancel"}
        return self.browser.post(form.action, fields, page.url)

    def log_in(self, url: str | Page, *, agree: bool = True, add_friend: bool = False) -> Page:
        """Log in with LINE (or open a LIFF app) at `url`, or a page that leads there by redirect; returns the last page.

        agree False cancels. add_friend takes the account that is offered, if one is. Nothing is asked of a person who has
        agreed before. Raises SimulatorError when the pages do not end.
        """
        page = url if isinstance(url, Page) else self.open(url)
        return walking.log_in(self.browser, self.record.id, page, agree=agree, add_friend=add_friend)


def find_action(message: JsonObject, wanted: JsonObject | str | int) -> JsonObject:
    """Return the action of a message by label or position. Raises SimulatorError if there is none."""
    if isinstance(wanted, dict):
        return wanted
    actions = list(actions_of(message))
    if isinstance(wanted, int) and -len(actions) <= wanted < len(actions):
        return actions[wanted]
    for action in actions:
        if wanted in (action.get("label"), action.get("text"), action.get("data")):
            return action
    known = ", ".join(repr(action.get("label")) for action in actions) or "none"
    raise SimulatorError(f"The message has no action {wanted!r}; it has {known}.")


def actions_of(message: Any) -> Iterator[JsonObject]:
    """Yield every action object inside a message, in reading order; imagemap links come as uri actions."""
    if isinstance(message, list):
        for one in message:
            yield from actions_of(one)
    if not isinstance(message, dict):
        return
    for key, value in message.items():
        if key in ("action", "defaultAction") and isinstance(value, dict):
            yield value
        elif key == "actions" and isinstance(value, list):
            yield from (plain_action(action) for action in value if isinstance(action, dict))
        else:
            yield from actions_of(value)


def plain_action(action: JsonObject) -> JsonObject:
    """Return an action with an imagemap's linkUri as uri."""
    return {**action, "uri": action["linkUri"]} if "linkUri" in action else action
