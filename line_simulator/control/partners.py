"""Module channels, mission stickers, templates and consent to LINE notification messages under /_sim/."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from line_simulator.control.values import Answer, Verb, need, need_text, snake
from line_simulator.exchange import SimulatorError
from line_simulator.people import notifications
from line_simulator.world.module_book import ModuleBook
from line_simulator.world.partner_book import PartnerBook
from line_simulator.world.state import Channel, JsonObject, PersonRecord

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator


class PartnerDesk:
    """What partners arrange, and what people answer."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/modules"): self._modules,
            ("POST", "/_sim/modules"): self._attach,
            ("POST", "/_sim/modules/codes"): self._code,
            ("POST", "/_sim/mission_stickers"): self._add_sticker,
            ("POST", "/_sim/notice_keys"): lambda body, _: asdict(self._line.notice_keys(**body)),
        }

    def verbs(self) -> dict[str, Verb]:
        """Return what a person can do, by the last word of /_sim/people/{person}/{verb}."""
        return {"answer_notifications": self._decide, "stickers": self._stickers}

    def _modules(self, _: JsonObject, __: dict[str, str]) -> Any:
        """Attachments: {"modules": [{"module", "account", "scopes"}]}."""
        found = self._line.world.part(ModuleBook).attachments
        return {"modules": [{"module": one.module_id, "account": one.account_id, "scopes": one.scopes} for one in found]}

    def _attach(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Attach {"module", "account"} with perhaps {"scopes"}."""
        made = self._line.attach_module(*self._both(body), **_scopes(body))
        return {"module": made.module_id, "account": made.account_id, "scopes": made.scopes}

    def _code(self, body: JsonObject, _: dict[str, str]) -> Any:
        """A code for attachModule: {"module", "account", "redirectUri"} and perhaps {"scopes"}."""
        code = self._line.module_code(*self._both(body), need_text(body, "redirectUri"), **_scopes(body))
        return {"code": code}

    def _both(self, body: JsonObject) -> tuple[Channel, Channel]:
        world = self._line.world
        return world.channel(need_text(body, "module")), world.channel(need_text(body, "account"))

    def _add_sticker(self, body: JsonObject, _: dict[str, str]) -> Any:
        """A set of stickers: {"productId", "channels"} and perhaps {"isMission", "starts", "ends", "apps"}."""
        given = {snake(key): value for key, value in body.items()}
        product, names = need_text(given, "product_id"), need(given, "channels")
        if not isinstance(names, list):
            raise SimulatorError("channels must be a list.")
        channels = [self._line.world.channel(str(one)) for one in names]
        rest = {key: value for key, value in given.items() if key not in ("product_id", "channels")}
        return asdict(self._line.mission_sticker(product, *channels, **rest))

    def _decide(self, person: PersonRecord, _: Channel, body: JsonObject) -> None:
        """Consent to LINE notification messages or refuse them: {"agree": true}, consenting by default."""
        notifications.decide(self._line.world, person, agree=body.get("agree", True) is True)

    def _stickers(self, person: PersonRecord, _: Channel, __: JsonObject) -> Any:
        """The mission stickers the person was given."""
        return {"stickers": self._line.world.part(PartnerBook).given.get(person.id, [])}


def _scopes(body: JsonObject) -> JsonObject:
    if "scopes" not in body:
        return {}
    scopes = body["scopes"]
    if not isinstance(scopes, list) or not all(isinstance(one, str) for one in scopes):
        raise SimulatorError("scopes must be a list of texts.")
    return {"scopes": scopes}
