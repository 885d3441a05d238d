"""LINE at the edge of the world: remembers what was sent, forgets no retry key, refuses what it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chalicelib.ports.line import BotInfo, LineCredentials, Profile, Quota, SendAccepted
from chalicelib.ports.line_setup import LineSetup


class FakeInspector:
    """An account that is set up as it should be."""

    def inspect(self, credentials: LineCredentials) -> LineSetup:
        return LineSetup("縁商店", "bot", "https://crm.test/webhook/main", True, True, "OK", 200, 3)


@dataclass
class FakeLine:
    sent: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    used_reply_tokens: set[str] = field(default_factory=set)
    profiles: dict[str, Profile] = field(default_factory=dict)
    problems: list[Exception | None] = field(default_factory=list)
    link_tokens: int = 0
    month: Quota = Quota(None, 0)

    def _trouble(self) -> None:
        if self.problems:
            problem = self.problems.pop(0)
            if problem is not None:
                raise problem

    def send(self, credentials: LineCredentials, verb: str, body: dict[str, Any], retry_key: str = "") -> SendAccepted:
        self._trouble()
        if verb == "reply":
            from chalicelib.kernel.errors import PermanentError

            if body["replyToken"] in self.used_reply_tokens:
                raise PermanentError("LINE /v2/bot/message/reply 400: Invalid reply token")
            self.used_reply_tokens.add(body["replyToken"])
        if retry_key and retry_key in self.keys:
            return SendAccepted(self.keys[retry_key], already=True)
        self.sent.append((verb, body, retry_key))
        request_id = f"req-{len(self.sent)}"
        if retry_key:
            self.keys[retry_key] = request_id
        return SendAccepted(request_id)

    def profile(self, credentials: LineCredentials, user_id: str) -> Profile | None:
        return self.profiles.get(user_id)

    def link_token(self, credentials: LineCredentials, user_id: str) -> str:
        self.link_tokens += 1
        return f"linktoken{self.link_tokens}"

    def bot_info(self, credentials: LineCredentials) -> BotInfo:
        self._trouble()
        return BotInfo("U" + "b" * 32, "@enishi", "縁商店", "bot")

    def validate(self, credentials: LineCredentials, verb: str, messages: list[dict[str, Any]]) -> list[str]:
        return []

    def quota(self, credentials: LineCredentials) -> Quota:
        return self.month

    def received_by(self, user_id: str) -> list[Any]:
        """Return the message lists that a user id was sent by push or multicast."""
        found = []
        for _, body, _ in self.sent:
            to = body.get("to")
            if to == user_id or (isinstance(to, list) and user_id in to):
                found.append(body["messages"])
        return found
