"""What people do on their phones: adding friends, blocking, talking, tapping. Each does what LINE does, webhook included."""

from __future__ import annotations

import re
from typing import Any, Final

from line_simulator.api import rich_menu_taps
from line_simulator.api.sending import BY_PHONE
from line_simulator.exchange import SimulatorError
from line_simulator.objects.demographics import settle_attributes
from line_simulator.people.notifications import settle
from line_simulator.webhooks.webhook_events import make_event, message_content
from line_simulator.world import activity, friendships, screens
from line_simulator.world.consents import source_of
from line_simulator.world.ids import Ids, is_user_id
from line_simulator.world.partner_book import check_phone, set_phone, settle_options
from line_simulator.world.rich_menu_book import menu_of
from line_simulator.world.state import (
    AccessToken,
    Channel,
    Chat,
    Friendship,
    JsonObject,
    PersonRecord,
    Said,
    World,
)

_CHANNEL_ID: Final = re.compile(r"[0-9]{10}")
_SECRET: Final = re.compile(r"[0-9a-f]{32}")
_WEB_URL: Final = re.compile(r"https?://[^\s/]", re.IGNORECASE)


class People:
    """Verbs of people and creation of people and channels, on one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def add_channel(self, name: str, /, **attributes: Any) -> Channel:
        """Create a channel, or return the one with this id or name after setting the given attributes."""
        world = self._world
        with world.lock:
            channel_id = attributes.pop("channel_id", None)
            settle_options(attributes)
            _check_channel(channel_id, attributes)
            known = world.state.channels.get(channel_id or "")
            if channel_id is None:
                known = next((one for one in world.state.channels.values() if one.name == name), None)
            channel = known or self._new_channel(channel_id, name)
            channel.name = name
            for key, value in attributes.items():
                if value is not None:
                    self._set(channel, key, value)
            return channel

    def _set(self, channel: Channel, key: str, value: Any) -> None:
        if key == "access_token":
            other = self._world.state.tokens.get(value)
            if other is not None and other.channel_id != channel.id:
                raise SimulatorError("This access token is another channel's.", 409)
            self._world.state.tokens.pop(channel.access_token, None)
            self._world.state.tokens[value] = AccessToken(channel.id, "long", None)
        # A monthly limit of zero or more; "none" lifts it.
        setattr(channel, key, None if key == "monthly_limit" and value == "none" else value)

    def _new_channel(self, channel_id: str | None, name: str) -> Channel:
        ids: Ids = self._world.ids
        channel = Channel(
            id=channel_id or ids.channel_id(),
            name=name,
            secret=ids.hex32(),
            bot_user_id=ids.user_id(),
            basic_id=ids.basic_id(),
            provider="main",
            access_token=ids.token(),
        )
        self._world.state.channels[channel.id] = channel
        self._world.state.tokens[channel.access_token] = AccessToken(channel.id, "long", None)
        return channel

    def add_person(self, name: str, /, **attributes: Any) -> PersonRecord:
        """Create a person, or return the one of this name after setting the given attributes."""
        state = self._world.state
        with self._world.lock:
            user_ids = attributes.pop("user_ids", {}) or {}
            _check_person(user_ids, attributes)
            person = state.names.get(name)
            person_id = attributes.pop("person_id", None)
            self._refuse_others(person, person_id, user_ids)
            check_phone(self._world, person, attributes)
            if person is None:
                state.person_count += 1
                while person_id is None and f"p{state.person_count}" in state.people:
                    state.person_count += 1
                person = PersonRecord(person_id or f"p{state.person_count}", name)
                state.people[person.id] = state.names[name] = person
            if "phone" in attributes:
                set_phone(self._world, person, attributes.pop("phone"))
            for key, value in attributes.items():
                setattr(person, key, value)
            if "phone_consent" in attributes or "phone_verified" in attributes:
                settle(self._world, person)
            for provider, user_id in user_ids.items():
                person.user_ids[provider] = user_id
                state.owners[user_id] = (provider, person)
            return person

    def _refuse_others(self, person: PersonRecord | None, person_id: str | None, user_ids: dict[str, str]) -> None:
        """Raise SimulatorError for ids that somebody else has: chats and friendships would be mixed up."""
        state = self._world.state
        if person_id and state.people.get(person_id, person) is not person:
            raise SimulatorError(f"The id {person_id!r} is another person's.", 409)
        for provider, user_id in user_ids.items():
            known = state.owners.get(user_id)
            if known is not None and (known[0] != provider or known[1] is not person):
                raise SimulatorError(f"The user id {user_id} is taken.", 409)

    def user_id(self, person: PersonRecord, channel: Channel) -> str:
        """Return the person's user id as this channel sees it."""
        with self._world.lock:
            return self._world.user_id(person, channel.provider)

    def follow(self, person: PersonRecord, channel: Channel, *, webhook: bool = True) -> None:
        """Add the account as a friend; nothing happens if it is one already. Unblocks if it was blocked."""
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            if chat.status is Friendship.FRIEND:
                return
            unblocked = chat.status is Friendship.BLOCKED
            self._become(channel, chat, Friendship.FRIEND)
            if webhook:
                event = self._event(channel, user_id, "follow", {"follow": {"isUnblocked": unblocked}}, replyable=True)
                self._world.emit(channel, event)

    def block(self, person: PersonRecord, channel: Channel) -> None:
        """Block the account: nothing reaches the person any more."""
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            if chat.status is Friendship.BLOCKED:
                return
            # Who got LINE notification messages blocks an account they never were a friend of (Technical specifications).
            was_friend = chat.status is Friendship.FRIEND or any(one.via in BY_PHONE for one in chat.inbox or ())
            self._become(channel, chat, Friendship.BLOCKED)
            chat.ever_blocked = True
            if was_friend:
                self._world.emit(channel, self._event(channel, user_id, "unfollow", {}))

    def unblock(self, person: PersonRecord, channel: Channel) -> None:
        """Unblock the account. Raises SimulatorError unless it was blocked."""
        with self._world.lock:
            _, chat = self._chat(person, channel)
            if chat.status is not Friendship.BLOCKED:
                raise SimulatorError(f"{person.name} has not blocked {channel.name}.")
            if not chat.ever_friend:
                self._become(channel, chat, Friendship.NONE)
                return
            self.follow(person, channel)

    def say(self, person: PersonRecord, channel: Channel, message: JsonObject, data: bytes = b"") -> str:
        """Send a message to the account: {"type": "text", "text": …} and the like. Returns the message id.

        Raises SimulatorError when the person has blocked the account: LINE's app does not let them write.
        """
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            self._may_talk(person, channel, chat)
            message_id = str(self._world.ids.message_ids(1))
            content = message_content(self._world, channel, message, message_id, data)
            chat.last_said_at = self._world.clock.time()
            self._keep(chat, message_id, message)
            screens.keep_token(self._world, channel, user_id, content["markAsReadToken"])
            self._world.emit(channel, self._event(channel, user_id, "message", {"message": content}, replyable=True))
            return message_id

    def show(self, person: PersonRecord, channel: Channel, message: JsonObject) -> None:
        """Put a message of the person into the chat without telling the account, as LIFF apps may."""
        with self._world.lock:
            _, chat = self._chat(person, channel)
            self._may_talk(person, channel, chat)
            self._keep(chat, str(self._world.ids.message_ids(1)), message, note=True)

    def postback(
        self,
        person: PersonRecord,
        channel: Channel,
        data: str,
        params: dict[str, str] | None = None,
        display_text: str | None = None,
    ) -> None:
        """Send a postback, as a tap on a postback or datetimepicker action does."""
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            self._may_talk(person, channel, chat)
            if display_text:
                self._keep(chat, str(self._world.ids.message_ids(1)), {"type": "text", "text": display_text}, note=True)
            postback: JsonObject = {"data": data}
            if params:
                postback["params"] = params
            self._world.emit(channel, self._event(channel, user_id, "postback", {"postback": postback}, replyable=True))

    def open_chat(self, person: PersonRecord, channel: Channel) -> int:
        """Look at the chat, which counts as an impression of all that was new. Returns how many send calls that were."""
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            rich_menu_taps.enter(self._world, channel, user_id)
            return activity.enter(self._world, chat, user_id)

    def open_menu(self, person: PersonRecord, channel: Channel) -> None:
        """Note that the person opened the rich menu by its bar; one that is `selected` opens with the chat."""
        with self._world.lock:
            user_id, _ = self._chat(person, channel)
            menu = menu_of(self._world, channel, user_id)
            if menu is None:
                raise SimulatorError(f"{channel.name} shows {person.name} no rich menu.", 404)
            rich_menu_taps.see(self._world, menu, user_id)

    def tap_menu(self, person: PersonRecord, channel: Channel, area: int | str) -> JsonObject:
        """Tap an area of the rich menu: count it, switch menus with the postback if that is its action. Returns the action.

        Every other action is left to the caller. Raises SimulatorError when there is no such menu or area.
        """
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            self._may_talk(person, channel, chat)
            action, params = rich_menu_taps.tap(self._world, channel, user_id, area)
            if params is not None:
                self.postback(person, channel, action["data"], params)
            return action

    def click(self, person: PersonRecord, channel: Channel, message_id: str, url: str) -> None:
        """Note that the person tapped a link of a message; to tap it they had to look."""
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            activity.look(self._world, chat, user_id)
            activity.click(self._world, channel, user_id, message_id, url)

    def play(self, person: PersonRecord, channel: Channel, message_id: str, percent: int = 100) -> None:
        """Note that the person played a video or sound of a message, up to `percent`."""
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            activity.look(self._world, chat, user_id)
            activity.play(self._world, channel, user_id, message_id, percent)

    def finish_video(self, person: PersonRecord, channel: Channel, tracking_id: str) -> None:
        """Play a video with a trackingId to its end."""
        with self._world.lock:
            user_id, chat = self._chat(person, channel)
            for sending in chat.inbox or ():
                for index, _ in activity.video_messages(sending, tracking_id):
                    self.play(person, channel, str(sending.first_id + index))
            extra = {"videoPlayComplete": {"trackingId": tracking_id}}
            self._world.emit(channel, self._event(channel, user_id, "videoPlayComplete", extra, replyable=True))

    def account_linked(self, channel: Channel, user_id: str | None, nonce: str) -> None:
        """Report the result of account linking; no user id means it failed, which carries no source and no reply token."""
        with self._world.lock:
            link = {"result": "ok" if user_id else "failed", "nonce": nonce}
            event = self._event(channel, user_id, "accountLink", {"link": link}, replyable=user_id is not None)
            self._world.emit(channel, event)

    def raw_event(self, person: PersonRecord | None, channel: Channel, content: JsonObject) -> None:
        """Send an event with the common properties filled in and `content` laid over them."""
        with self._world.lock:
            user_id = self._world.user_id(person, channel.provider) if person else None
            event = self._event(channel, user_id, str(content.get("type", "custom")), {})
            event.update(content)
            self._world.emit(channel, event)

    def _chat(self, person: PersonRecord, channel: Channel) -> tuple[str, Chat]:
        user_id = self._world.user_id(person, channel.provider)
        return user_id, channel.chat(user_id)

    def _may_talk(self, person: PersonRecord, channel: Channel, chat: Chat) -> None:
        if chat.status is Friendship.BLOCKED:
            raise SimulatorError(f"{person.name} has blocked {channel.name} and cannot write to it.", 409)

    def _become(self, channel: Channel, chat: Chat, status: Friendship) -> None:
        friendships.note(self._world, channel, chat, status)
        chat.status = status
        chat.since = self._world.clock.time()
        chat.history = (*chat.history, (self._world.state.next_sequence(), status))
        if status is Friendship.FRIEND:
            chat.ever_friend = True

    def _keep(self, chat: Chat, message_id: str, message: JsonObject, *, note: bool = False) -> None:
        said = Said(message_id, self._world.clock.time(), message, self._world.state.next_sequence(), note)
        if chat.said is None:
            chat.said = [said]
        else:
            chat.said.append(said)

    def _event(self, channel: Channel, user_id: str | None, kind: str, extra: JsonObject, *, replyable: bool = False) -> JsonObject:
        source = source_of(self._world, user_id) if user_id is not None else None
        return make_event(self._world, channel, kind, extra, source, answer_to=user_id if replyable else None)


def _check_channel(channel_id: object, attributes: JsonObject) -> None:
    """Raise SimulatorError for ids, secrets and attributes that no channel could have."""
    if channel_id is not None and (not isinstance(channel_id, str) or _CHANNEL_ID.fullmatch(channel_id) is None):
        raise SimulatorError(f"A channel id has ten digits; {channel_id!r} has not.")
    for key, value in attributes.items():
        kind = _CHANNEL_ATTRIBUTES.get(key)
        if kind is None:
            raise SimulatorError(f"A channel has no attribute {key!r}; known are {', '.join(_CHANNEL_ATTRIBUTES)}.")
        if value is not None and not isinstance(value, kind) and (key, value) != ("monthly_limit", "none"):
            raise SimulatorError(f"The attribute {key} of a channel cannot be {value!r}.")
    url = attributes.get("webhook_url")
    if url and _WEB_URL.match(url) is None:
        raise SimulatorError(f"A webhook URL begins with http:// or https:// and a host; {url!r} does not.")
    limit = attributes.get("monthly_limit")
    if isinstance(limit, bool) or (isinstance(limit, int) and limit < 0):
        raise SimulatorError(f"The attribute monthly_limit of a channel cannot be {limit!r}.")
    if attributes.get("access_token") == "":
        raise SimulatorError("An access token must not be empty.")
    secret = attributes.get("secret")
    if secret is not None and _SECRET.fullmatch(secret) is None:
        raise SimulatorError("A channel secret has 32 hexadecimal digits.")


def _check_person(user_ids: object, attributes: JsonObject) -> None:
    """Raise SimulatorError for user ids and attributes that no person could have."""
    if not isinstance(user_ids, dict) or not all(is_user_id(one) for one in user_ids.values()):
        raise SimulatorError("user_ids maps providers to user ids, U and 32 hexadecimal digits.")
    for key, value in attributes.items():
        kind = _PERSON_ATTRIBUTES.get(key)
        if kind is None:
            raise SimulatorError(f"A person has no attribute {key!r}; known are {', '.join(_PERSON_ATTRIBUTES)}.")
        if not isinstance(value, kind) and (key, value) != ("person_id", None):
            raise SimulatorError(f"The attribute {key} of a person cannot be {value!r}.")
    settle_attributes(attributes)


_CHANNEL_ATTRIBUTES: Final[dict[str, type]] = {
    "secret": str,
    "bot_user_id": str,
    "basic_id": str,
    "provider": str,
    "access_token": str,
    "webhook_url": str,
    "webhook_active": bool,
    "redelivery": bool,
    "verified": bool,
    "monthly_limit": int,
    "chat_mode": str,
    "picture_url": str,
    "options": list,
}
_PERSON_ATTRIBUTES: Final[dict[str, type]] = {
    "person_id": str,
    "language": str,
    "picture_url": str,
    "status_message": str,
    "consent": bool,
    "gender": str,
    "age": int,
    "area": str,
    "app": str,
    "ifa": str,
    "email": str,
    "phone": str,
    "phone_consent": str,
    "phone_verified": bool,
}
