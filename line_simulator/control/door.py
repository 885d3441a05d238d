"""The simulator's own interface under /_sim/: create, act, look, break, move time."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from line_simulator.control.acting import Acting
from line_simulator.control.changing import Changing
from line_simulator.control.crowd import Crowd
from line_simulator.control.describe import describe_person
from line_simulator.control.groups import VERB_PATH, Gathering
from line_simulator.control.login import LoginDesk
from line_simulator.control.looking import Looking
from line_simulator.control.menus import IMAGE_PATH, Menus
from line_simulator.control.partners import PartnerDesk
from line_simulator.control.phone import Phoning
from line_simulator.control.selling import Selling
from line_simulator.control.statistics import Statistics
from line_simulator.control.values import Answer, Verb
from line_simulator.control.waiting import Waiting
from line_simulator.exchange import Request, Response, SimulatorError, json_response
from line_simulator.world.clock import ClockError
from line_simulator.world.state import JsonObject

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

_PERSON_VERB = re.compile(r"/_sim/people/([^/]+)/([a-z_]+)")
_REPLAY = re.compile(r"/_sim/webhooks/([0-9]{1,15})/replay")
_FAULT = re.compile(r"/_sim/faults/(\w+)")


class Control:
    """Answers /_sim/ requests. Mistakes get 422 (or 404, 409) with {"message": one sentence}."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line
        self._looking = Looking(line)
        self._menus = Menus(line)
        acting, phoning, selling = Acting(line), Phoning(line), Selling(line)
        desk, partners = LoginDesk(line), PartnerDesk(line)
        self._gathering = Gathering(line)
        self._verbs: dict[str, Verb] = {
            **desk.verbs(),
            **partners.verbs(),
            **self._gathering.verbs(),
            **acting.verbs(),
            **phoning.verbs(),
            **selling.verbs(),
            **self._menus.verbs(),
        }
        self._table: dict[tuple[str, str], Answer] = {
            **acting.routes(),
            **phoning.routes(),
            **selling.routes(),
            **self._menus.routes(),
            **self._looking.routes(),
            **Changing(line).routes(),
            **Crowd(line).routes(),
            **Statistics(line).routes(),
            **desk.routes(),
            **partners.routes(),
            **self._gathering.routes(),
            **Waiting(line).routes(),
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
        return content if isinstance(content, Response) else json_response({} if content is None else content)

    def _find(self, request: Request) -> Answer:
        found = self._table.get((request.method, request.path))
        if found is not None:
            return found
        verb = _PERSON_VERB.fullmatch(request.path)
        if request.method == "POST" and verb is not None:
            return lambda body, _: self._act(unquote(verb[1]), verb[2], body)
        group = VERB_PATH.fullmatch(request.path)
        if request.method == "POST" and group is not None:
            return lambda body, _: self._gathering.act(group[1], group[2], body)
        replay = _REPLAY.fullmatch(request.path)
        if request.method == "POST" and replay is not None:
            return lambda _, __: self._looking.replay(int(replay[1]))
        image = IMAGE_PATH.fullmatch(request.path)
        if request.method == "GET" and image is not None:
            return lambda _, __: self._menus.image(image[1])
        fault = _FAULT.fullmatch(request.path)
        if request.method == "DELETE" and fault is not None:
            return lambda _, __: self._line.faults.remove(fault[1])
        raise SimulatorError(f"There is no {request.method} {request.path}; {self._known(request.path)}.", 404)

    def _known(self, path: str) -> str:
        """Say what there is instead, for a sentence."""
        methods = sorted(method for method, known in self._table if known == path)
        if methods:
            return f"it takes {' and '.join(methods)}"
        return f"known under /_sim/ are {', '.join(sorted({known.removeprefix('/_sim/') for _, known in self._table}))}"

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
        return {**describe_person(self._line.world, person), **(result if isinstance(result, dict) else {})}


def _refuse_other_sites(request: Request) -> None:
    """Keep a web page that happens to be open in the developer's browser from driving the simulator."""
    origin = urlsplit(request.headers.get("origin", "")).hostname
    if origin not in (None, "127.0.0.1", "localhost"):
        raise SimulatorError("Requests from pages of other sites are refused.", 403)


def _refuse(name: str) -> None:
    raise SimulatorError(f"{name} is no JSON: a number must be one that is not endless.")


def _body(request: Request) -> JsonObject:
    if not request.body:
        return {}
    try:
        content = json.loads(request.body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise SimulatorError("The body is not JSON.", 400) from None
    if not isinstance(content, dict):
        raise SimulatorError("The body must be a JSON object.", 400)
    return content
