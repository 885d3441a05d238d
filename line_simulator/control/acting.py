"""Creating channels and people under /_sim/, and what people can do there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from line_simulator.control.describe import describe_channel, describe_page, describe_person
from line_simulator.control.values import (
    Answer,
    Verb,
    bytes_of,
    check_tappable,
    message_of,
    need,
    need_object,
    need_text,
    number_of,
    snake,
)
from line_simulator.exchange import SimulatorError
from line_simulator.world.state import Channel, JsonObject, PersonRecord, Received

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator


class Acting:
    """Channels, people and their verbs."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/channels"): lambda _, __: self._channels(),
            ("POST", "/_sim/channels"): self._add_channel,
            ("GET", "/_sim/people"): self._people,
            ("POST", "/_sim/people"): self._add_person,
            ("POST", "/_sim/crowd"): self._crowd,
            ("POST", "/_sim/audiences"): self._add_audience,
        }

    def verbs(self) -> dict[str, Verb]:
        """Return what a person can do, by the last word of /_sim/people/{person}/{verb}."""
        people = self._line.people
        return {
            "follow": lambda person, channel, _: people.follow(person, channel),
            "block": lambda person, channel, _: people.block(person, channel),
            "unblock": lambda person, channel, _: people.unblock(person, channel),
            "look": lambda person, channel, _: {"looked": people.open_chat(person, channel)},
            "say": self._say,
            "postback": self._postback,
            "tap": self._tap,
            "open": self._open,
            "link": self._link,
            "finish_video": lambda person, channel, body: people.finish_video(person, channel, need_text(body, "trackingId")),
            "event": lambda person, channel, body: people.raw_event(person, channel, need_object(body, "event")),
        }

    def _channels(self) -> Any:
        with self._line.world.lock:
            return {"channels": [describe_channel(one) for one in self._line.world.state.channels.values()]}

    def _add_channel(self, body: JsonObject, _: dict[str, str]) -> Any:
        attributes = {snake(key): value for key, value in body.items()}
        name = need_text(attributes, "name")
        attributes["channel_id"] = attributes.pop("id", None) or attributes.pop("channel_id", None)
        return describe_channel(self._line.people.add_channel(name, **{k: v for k, v in attributes.items() if k != "name"}))

    def _people(self, _: JsonObject, query: dict[str, str]) -> Any:
        limit = number_of(query, "limit", 1000)
        with self._line.world.lock:
            people = list(self._line.world.state.people.values())
            return {"people": [describe_person(self._line.world, one) for one in people[:limit]], "total": len(people)}

    def _add_person(self, body: JsonObject, _: dict[str, str]) -> Any:
        attributes = {snake(key): value for key, value in body.items()}
        name = need_text(attributes, "name")
        del attributes["name"]
        attributes["person_id"] = attributes.pop("id", None)
        follows = attributes.pop("follow", None)
        person = self._line.people.add_person(name, **attributes)
        if not isinstance(follows, str | list | None):
            raise SimulatorError("follow must be a channel or a list of channels.")
        for key in [follows] if isinstance(follows, str) else follows or []:
            self._line.people.follow(person, self._line.world.channel(str(key)))
        return describe_person(self._line.world, person)

    def _add_audience(self, body: JsonObject, _: dict[str, str]) -> Any:
        """An audience from elsewhere: {"channel", "name", "userIds"} and perhaps "kind", "route", "shared"."""
        user_ids = need(body, "userIds")
        if not isinstance(user_ids, list) or not all(isinstance(one, str) for one in user_ids):
            raise SimulatorError("userIds must be a list of user ids.")
        channel, name = self._line.world.channel(need_text(body, "channel")), need_text(body, "name")
        extra = {key: str(body[key]) for key in ("kind", "route") if key in body}
        made = self._line.audience(channel, name, user_ids, shared=body.get("shared") is True, **extra)
        return {"audienceGroupId": made.id}

    def _crowd(self, body: JsonObject, _: dict[str, str]) -> Any:
        count = need(body, "count")
        if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= 1_000_000:
            raise SimulatorError("count must be a number from 1 to 1,000,000.")
        channel = self._line.world.channel(str(body["channel"])) if "channel" in body else None
        ids = self._line.crowd(count, channel, str(body.get("prefix", "友だち")))
        return {"count": len(ids), "first": ids[0], "last": ids[-1]}

    def _say(self, person: PersonRecord, channel: Channel, body: JsonObject) -> Any:
        return {"messageId": self._line.people.say(person, channel, message_of(body), bytes_of(body))}

    def _postback(self, person: PersonRecord, channel: Channel, body: JsonObject) -> None:
        params = body.get("params")
        if params is not None and not isinstance(params, dict):
            raise SimulatorError("params must be an object.")
        text = body.get("displayText")
        self._line.people.postback(person, channel, need_text(body, "data"), params, str(text) if text else None)

    def _tap(self, person: PersonRecord, channel: Channel, body: JsonObject) -> Any:
        """Tap {"action": object | label | position} of {"messageId": …}, by default of the newest message.

        A link given as an object with its messageId is noted as tapped but not opened: the caller shows the page.
        """
        human = self._line.handle_of(person)
        action = body.get("action", 0)
        if isinstance(action, dict):
            check_tappable(action)
            if action.get("type") == "uri" and "messageId" in body:
                self._line.people.click(person, channel, str(body["messageId"]), str(action.get("uri") or action.get("linkUri")))
                return {"action": action, "page": None}
        message: JsonObject | Received = {}
        if not isinstance(action, dict):
            inbox = human.inbox(channel)
            chosen = [one for one in inbox if str(body.get("messageId", one.id)) == one.id]
            if not chosen:
                raise SimulatorError("There is no such message in the chat.", 404)
            message = chosen[-1]
        params = body.get("params")
        tap = human.tap(channel, message, action, params if isinstance(params, dict) else None)
        page = tap.page
        return {"action": tap.action, "page": describe_page(page.url, page.status, page.text) if page else None}

    def _open(self, person: PersonRecord, _: Channel, body: JsonObject) -> Any:
        page = self._line.handle_of(person).open(need_text(body, "url"))
        return {"page": describe_page(page.url, page.status, page.text)}

    def _link(self, person: PersonRecord, _: Channel, body: JsonObject) -> Any:
        human = self._line.handle_of(person)
        page = human.link_account(need_text(body, "url"), agree=bool(body.get("agree", True)))
        return {"page": describe_page(page.url, page.status, page.text)}
