"""The account link dialog of access.line.me, where a person agrees on their phone."""

from __future__ import annotations

from html import escape
from typing import Final

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.exchange import Response, SimulatorError
from line_simulator.faults.faults import Faults
from line_simulator.pages import look
from line_simulator.people.people import People
from line_simulator.world.login_book import struck
from line_simulator.world.state import LinkToken, World

PATH: Final = "/dialog/bot/accountLink"
_TITLE: Final = "アカウント連携"
# Messaging API, Link accounts: a nonce has 10 to 255 characters.
_NONCE_MIN, _NONCE_MAX = 10, 255


class Dialogs:
    """Three outcomes: the owner of the token agrees (ok), someone else does (failed), or the token is bad (no webhook)."""

    def __init__(self, world: World, people: People, faults: Faults) -> None:
        self._world = world
        self._people = people
        self._faults = faults

    def operations(self) -> dict[str, Operation]:
        """Return the two halves of the dialog."""
        return {
            "openAccountLink": Operation(self._ask, account=False),
            "answerAccountLink": Operation(self._decide, Reads.FORM, account=False),
        }

    def _ask(self, call: Context) -> Response:
        given = call.query
        token = self._token(given)
        if token is None:
            return _refused()
        channel = self._world.state.channels[token.channel_id]
        person = look.owner_of_phone(self._world, call.request) or self._world.state.owners[token.user_id][1]
        return look.page(
            _TITLE,
            f"<p><strong>{escape(channel.name)}</strong> とLINEアカウントを連携しますか？</p>"
            f'<form method="post" action="{PATH}">'
            f"{look.hidden({'linkToken': given['linkToken'], 'nonce': given['nonce']})}"
            f'<p class="who">LINEにログイン中の人{look.people_choice(self._world, person)}</p>'
            '<button name="answer" value="allow">連携する</button>'
            '<button name="answer" value="cancel" class="plain">キャンセル</button></form>',
            name=channel.name,
            note="LINE公式アカウント",
        )

    def _decide(self, call: Context) -> Response:
        given = call.form
        if given.get("answer") == "cancel":
            return look.outcome(_TITLE, "連携をやめました。", good=False)
        token = self._token(given)
        if token is None:
            return _refused()
        owner = self._world.state.owners[token.user_id][1]
        try:
            person = self._world.person(given["person"]) if "person" in given else look.owner_of_phone(self._world, call.request)
        except SimulatorError:
            return _refused()
        token.used = True
        channel = self._world.state.channels[token.channel_id]
        fault = struck(self._faults, ("link_failed", "link_no_webhook"), channel)
        agreed = (person or owner) is owner and fault != "link_failed"
        if fault != "link_no_webhook":
            self._people.account_linked(channel, token.user_id if agreed else None, given["nonce"])
        if agreed:
            return look.outcome(_TITLE, "連携が完了しました。トーク画面に戻ってください。", good=True)
        return look.outcome(_TITLE, "連携できませんでした。別のLINEアカウントでログインしています。", good=False)

    def _token(self, given: dict[str, str]) -> LinkToken | None:
        token = self._world.state.link_tokens.get(given.get("linkToken", ""))
        if token is None or token.used or token.expires_at <= self._world.clock.time():
            return None
        if not _NONCE_MIN <= len(given.get("nonce", "")) <= _NONCE_MAX:
            return None
        return token


def _refused() -> Response:
    sentence = "リンクの有効期限が切れているか、すでに使用されています。もう一度お試しください。"
    return look.outcome("エラー", sentence, good=False, status=400)
