"""The simulator's own interface under /_sim/: create, act, look, break, move time."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from line_simulator.clock import ClockError, parse_duration, parse_moment
from line_simulator.exchange import Request, Response, SimulatorError, json_response
from line_simulator.faults import FAULTS
from line_simulator.state import Channel, JsonObject, PersonRecord, Received, unpack

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

_PERSON_VERB = re.compile(r"/_sim/people/([^/]+)/([a-z_]+)")
_REPLAY = re.compile(r"/_sim/webhooks/(\d+)/replay")
_FAULT = re.compile(r"/_sim/faults/(\w+)")
_CALLS_DEFAULT: Final = 200

Answer = Callable[[JsonObject, dict[str, str]], Any]


class Control:
    """Answers /_sim/ requests. Mistakes get 422 (or 404, 409) with {"message": one sentence}."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line
        self._verbs: dict[str, Callable[[PersonRecord, Channel, JsonObject], Any]] = {
            "follow": lambda person, channel, _: self._line.people.follow(person, channel),
            "block": lambda person, channel, _: self._line.people.block(person, channel),
            "unblock": lambda person, channel, _: self._line.people.unblock(person, channel),
            "say": self._say,
            "postback": self._postback,
            "tap": self._tap,
            "open": self._open,
            "link": self._link,
            "finish_video": lambda person, channel, body: self._line.people.finish_video(
                person, channel, str(_need(body, "trackingId"))
            ),
            "event": lambda person, channel, body: self._line.people.raw_event(person, channel, _object(body, "event")),
        }
        self._table: dict[tuple[str, str], Answer] = {
            ("GET", "/_sim/channels"): lambda _, __: self._channels(),
            ("POST", "/_sim/channels"): self._add_channel,
            ("GET", "/_sim/people"): self._people,
            ("POST", "/_sim/people"): self._add_person,
            ("POST", "/_sim/crowd"): self._crowd,
            ("GET", "/_sim/messages"): self._messages,
            ("GET", "/_sim/chats"): self._chats,
            ("GET", "/_sim/requests"): self._requests,
            ("GET", "/_sim/webhooks"): self._webhooks,
            ("POST", "/_sim/webhooks"): self._send_webhook,
            ("GET", "/_sim/invariants"): self._invariants,
            ("GET", "/_sim/coverage"): lambda _, __: {"operations": self._line.api.coverage()},
            ("GET", "/_sim/faults"): lambda _, __: {"faults": self._line.faults.describe(), "kinds": FAULTS},
            ("POST", "/_sim/faults"): self._add_fault,
            ("DELETE", "/_sim/faults"): lambda _, __: self._line.faults.remove(),
            ("GET", "/_sim/clock"): lambda _, __: self._clock(),
            ("POST", "/_sim/clock"): self._move_clock,
            ("GET", "/_sim/status"): lambda _, __: dict(self._line.status()),
            ("GET", "/_sim/version"): lambda _, __: self._version(),
            ("POST", "/_sim/reset"): lambda _, __: self._line.reset(),
        }

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            _refuse_other_sites(request)
            answer = self._find(request)
            content = answer(_body(request), request.parameters())
        except (SimulatorError, ClockError) as error:
            return json_response({"message": str(error)}, error.status if isinstance(error, SimulatorError) else 422)
        except OSError as error:
            return json_response({"message": f"The page did not open: {error}."}, 502)
        return json_response({} if content is None else content)

    def _find(self, request: Request) -> Answer:
        found = self._table.get((request.method, request.path))
        if found is not None:
            return found
        verb = _PERSON_VERB.fullmatch(request.path)
        if request.method == "POST" and verb is not None:
            return lambda body, _: self._act(unquote(verb[1]), verb[2], body)
        replay = _REPLAY.fullmatch(request.path)
        if request.method == "POST" and replay is not None:
            return lambda _, __: self._replay(int(replay[1]))
        fault = _FAULT.fullmatch(request.path)
        if request.method == "DELETE" and fault is not None:
            return lambda _, __: self._line.faults.remove(fault[1])
        raise SimulatorError(f"There is no {request.method} {request.path}.", 404)

    # -- channels and people

    def _channels(self) -> Any:
        with self._line.world.lock:
            return {"channels": [describe_channel(one) for one in self._line.world.state.channels.values()]}

    def _add_channel(self, body: JsonObject, _: dict[str, str]) -> Any:
        attributes = {_snake(key): value for key, value in body.items()}
        name = str(_need(attributes, "name"))
        attributes["channel_id"] = attributes.pop("id", None) or attributes.pop("channel_id", None)
        return describe_channel(self._line.people.add_channel(name, **{k: v for k, v in attributes.items() if k != "name"}))

    def _people(self, _: JsonObject, query: dict[str, str]) -> Any:
        limit = _number(query, "limit", 1000)
        with self._line.world.lock:
            people = list(self._line.world.state.people.values())
            return {"people": [self._describe_person(one) for one in people[:limit]], "total": len(people)}

    def _add_person(self, body: JsonObject, _: dict[str, str]) -> Any:
        attributes = {_snake(key): value for key, value in body.items()}
        name = str(_need(attributes, "name"))
        del attributes["name"]
        attributes["person_id"] = attributes.pop("id", None)
        follows = attributes.pop("follow", None)
        person = self._line.people.add_person(name, **attributes)
        for key in [follows] if isinstance(follows, str) else follows or []:
            self._line.people.follow(person, self._line.world.channel(str(key)))
        return self._describe_person(person)

    def _crowd(self, body: JsonObject, _: dict[str, str]) -> Any:
        count = _need(body, "count")
        if not isinstance(count, int) or not 0 < count <= 1_000_000:
            raise SimulatorError("count must be a number from 1 to 1,000,000.")
        channel = self._line.world.channel(str(body["channel"])) if "channel" in body else None
        ids = self._line.crowd(count, channel, str(body.get("prefix", "友だち")))
        return {"count": len(ids), "first": ids[0], "last": ids[-1]}

    def _describe_person(self, person: PersonRecord) -> JsonObject:
        chats = {}
        for channel in self._line.world.state.channels.values():
            user_id = person.user_ids.get(channel.provider, "")
            chat = channel.chats.get(user_id)
            chats[channel.id] = {"userId": user_id, "status": chat.status if chat else "none"}
        return {
            "id": person.id,
            "name": person.name,
            "language": person.language,
            "pictureUrl": person.picture_url,
            "userIds": person.user_ids,
            "channels": chats,
        }

    # -- acting

    def _act(self, person_key: str, verb: str, body: JsonObject) -> Any:
        act = self._verbs.get(verb)
        if act is None:
            raise SimulatorError(f"A person cannot {verb!r}; they can {', '.join(sorted(self._verbs))}.", 404)
        person = self._line.world.person(person_key)
        channels = list(self._line.world.state.channels.values())
        if "channel" not in body and len(channels) != 1:
            raise SimulatorError("Name the channel, by id or name.")
        channel = self._line.world.channel(str(body["channel"])) if "channel" in body else channels[0]
        result = act(person, channel, body)
        return {**self._describe_person(person), **(result if isinstance(result, dict) else {})}

    def _say(self, person: PersonRecord, channel: Channel, body: JsonObject) -> Any:
        message = body["message"] if "message" in body else {"type": "text", "text": str(_need(body, "text"))}
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise SimulatorError("message must be an object with a type.")
        try:
            data = base64.b64decode(str(body.get("data", "")), validate=True)
        except binascii.Error:
            raise SimulatorError("data must be Base64.") from None
        return {"messageId": self._line.people.say(person, channel, message, data)}

    def _postback(self, person: PersonRecord, channel: Channel, body: JsonObject) -> None:
        params = body.get("params")
        if params is not None and not isinstance(params, dict):
            raise SimulatorError("params must be an object.")
        text = body.get("displayText")
        self._line.people.postback(person, channel, str(_need(body, "data")), params, str(text) if text else None)

    def _tap(self, person: PersonRecord, channel: Channel, body: JsonObject) -> Any:
        """Tap {"action": object | label | position} of {"messageId": …}, by default of the newest message."""
        human = self._line.handle_of(person)
        action = body.get("action", 0)
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
        return {"action": tap.action, "page": _describe_page(page.url, page.status, page.text) if page else None}

    def _open(self, person: PersonRecord, _: Channel, body: JsonObject) -> Any:
        page = self._line.handle_of(person).open(str(_need(body, "url")))
        return {"page": _describe_page(page.url, page.status, page.text)}

    def _link(self, person: PersonRecord, _: Channel, body: JsonObject) -> Any:
        human = self._line.handle_of(person)
        page = human.link_account(str(_need(body, "url")), agree=bool(body.get("agree", True)))
        return {"page": _describe_page(page.url, page.status, page.text)}

    # -- looking

    def _messages(self, _: JsonObject, query: dict[str, str]) -> Any:
        """Messages received, of ?user= (user id, person id or name) and ?channel= if given."""
        world = self._line.world
        with world.lock:
            channels = [world.channel(query["channel"])] if "channel" in query else list(world.state.channels.values())
            if "user" not in query:
                wanted = {one.id for one in channels}
                return {"messages": [describe_message(m) for m in self._line.messages if m.channel_id in wanted]}
            person = world.person(query["user"])
            found = [
                received for channel in channels for received in world.received(channel, person.user_ids.get(channel.provider, ""))
            ]
        return {"messages": [describe_message(one) for one in found]}

    def _chats(self, _: JsonObject, query: dict[str, str]) -> Any:
        """Both sides of one chat, in order, for the phone page."""
        world = self._line.world
        with world.lock:
            channel, person = world.channel(_need(query, "channel")), world.person(_need(query, "person"))
            user_id = person.user_ids.get(channel.provider, "")
            chat = channel.chats.get(user_id)
            lines: list[tuple[int, JsonObject]] = []
            for sending in (chat.inbox or ())[-100:] if chat else ():
                pack = [describe_message(m) for m in unpack(sending, user_id)]
                lines += [(sending.sequence, {"from": "account", **one}) for one in pack]
            for said in (chat.said or ())[-100:] if chat else ():
                lines.append((said.sequence, {"from": "person", "id": said.id, "message": said.message, "at": said.at}))
        lines.sort(key=lambda line: line[0])
        return {"status": chat.status if chat else "none", "userId": user_id, "lines": [line for _, line in lines]}

    def _requests(self, _: JsonObject, query: dict[str, str]) -> Any:
        calls = [
            call
            for call in self._line.requests
            if query.get("path", call.path) == call.path and query.get("status", str(call.status)) == str(call.status)
        ]
        limit = _number(query, "limit", _CALLS_DEFAULT)
        return {"requests": [call.describe() for call in calls[-limit:]], "total": self._line.journal.total}

    def _webhooks(self, _: JsonObject, query: dict[str, str]) -> Any:
        log = [one for one in self._line.webhooks if query.get("channel", one.channel_id) == one.channel_id]
        return {"webhooks": [one.describe() for one in log[-_number(query, "limit", _CALLS_DEFAULT) :]]}

    def _send_webhook(self, body: JsonObject, _: dict[str, str]) -> Any:
        events = _need(body, "events")
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise SimulatorError("events must be a list of objects.")
        return self._line.send_events(self._line.world.channel(str(_need(body, "channel"))), events).describe()

    def _replay(self, delivery_id: int) -> Any:
        try:
            return self._line.webhook_queue.replay(delivery_id).describe()
        except KeyError:
            raise SimulatorError(f"There is no webhook {delivery_id}.", 404) from None

    def _invariants(self, _: JsonObject, query: dict[str, str]) -> Any:
        verdict = self._line.invariants(unique_content=query.get("content") == "unique")
        return {
            "ok": verdict.ok,
            "broken": verdict.broken,
            "repeatedContent": verdict.repeated,
            "delivered": verdict.delivered,
        }

    # -- breaking and moving time

    def _add_fault(self, body: JsonObject, _: dict[str, str]) -> Any:
        conditions = dict(body)
        kind = conditions.pop("kind", None) or conditions.pop("fault", None)
        if not isinstance(kind, str):
            raise SimulatorError(f"Name the kind of fault; known are {', '.join(sorted(FAULTS))}.")
        rule = self._line.faults.add(kind, **conditions)
        return {"id": rule.id, "kind": rule.kind}

    def _clock(self) -> JsonObject:
        now = self._line.clock.now()
        return {"now": now.isoformat(), "epoch": now.timestamp(), "scale": self._line.clock.scale}

    def _move_clock(self, body: JsonObject, _: dict[str, str]) -> Any:
        if not self._line.world.settings.accept_sim_clock:
            raise SimulatorError("This simulator's clock is not moved from here.", 409)
        if not body or not set(body) <= {"advance", "set", "scale"}:
            raise SimulatorError('Say {"advance": "20m"}, {"set": "2026-11-22T09:00:00+09:00"} or {"scale": 60}.')
        if "set" in body:
            self._line.clock.set(parse_moment(body["set"]))
        if "advance" in body:
            self._line.clock.advance(parse_duration(body["advance"]))
        if "scale" in body:
            self._line.clock.set_scale(parse_duration(body["scale"]))
        return self._clock()

    def _version(self) -> JsonObject:
        state = self._line.world.state
        hooks = self._line.webhook_queue
        seen = f"{state.sequence}.{len(state.people)}.{len(state.channels)}.{hooks.total}.{hooks.pending}"
        return {"version": seen}


def describe_channel(channel: Channel) -> JsonObject:
    """Return a channel as JSON values, with the secret its owner needs for signatures and tokens."""
    return {
        "id": channel.id,
        "name": channel.name,
        "secret": channel.secret,
        "accessToken": channel.access_token,
        "botUserId": channel.bot_user_id,
        "basicId": channel.basic_id,
        "provider": channel.provider,
        "webhookUrl": channel.webhook_url,
        "webhookActive": channel.webhook_active,
        "redelivery": channel.redelivery,
        "verified": channel.verified,
        "monthlyLimit": channel.monthly_limit,
        "friends": sum(chat.status == "friend" for chat in channel.chats.values()),
        "used": channel.used,
    }


def describe_message(received: Received) -> JsonObject:
    """Return a received message as JSON values."""
    return {
        "id": received.id,
        "message": received.message,
        "at": received.at.isoformat(),
        "requestId": received.request_id,
        "retryKey": received.retry_key,
        "via": received.via,
        "channel": received.channel_id,
        "userId": received.user_id,
    }


def _describe_page(url: str, status: int, text: str) -> JsonObject:
    return {"url": url, "status": status, "text": text}


def _refuse_other_sites(request: Request) -> None:
    """Keep a web page that happens to be open in the developer's browser from driving the simulator."""
    origin = urlsplit(request.headers.get("origin", "")).hostname
    if origin not in (None, "127.0.0.1", "localhost"):
        raise SimulatorError("Requests from pages of other sites are refused.", 403)


def _body(request: Request) -> JsonObject:
    if not request.body:
        return {}
    try:
        content = json.loads(request.body)
    except ValueError:
        raise SimulatorError("The body is not JSON.", 400) from None
    if not isinstance(content, dict):
        raise SimulatorError("The body must be a JSON object.", 400)
    return content


def _need(body: Any, name: str) -> Any:
    if body.get(name) in (None, ""):
        raise SimulatorError(f"{name} is missing.")
    return body[name]


def _object(body: JsonObject, name: str) -> JsonObject:
    value = _need(body, name)
    if not isinstance(value, dict):
        raise SimulatorError(f"{name} must be an object.")
    return value


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise SimulatorError(f"{name} must be a number greater than zero.")
    return int(text)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda letter: "_" + letter[1].lower(), name)
