"""The page of LINE Official Account Manager on which an account's administrator lets a module channel in."""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import quote, urlsplit

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.exchange import Response, SimulatorError
from line_simulator.pages import look
from line_simulator.world import module_book
from line_simulator.world.partner_book import is_granted
from line_simulator.world.state import Channel, World

PATH: Final = "/module/auth/v1/authorize"
_KEPT: Final = (
    "client_id", "redirect_uri", "scope", "state", "region", "basic_search_id", "brand_type", "code_challenge",
)  # fmt: skip
_REPEATED: Final = ("redirect_uri", "scope", "region", "basic_search_id", "brand_type")
_DUTIES: Final = {
    "message:send": "メッセージの送信",
    "message:receive": "メッセージの受信",
    "account:manage": "アカウントの設定と統計",
    "message:mark_as_read": "既読の表示",
    "message:templated_pnp": "LINE通知メッセージの送信",
    "profile:read": "プロフィールの取得",
    "coupon:manage": "クーポンの管理",
    "crm:manage": "顧客情報の管理",
}


class ModulePages:
    """Asks which account to attach to, and sends the browser back with a code (documentation, Attach the module channel)."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the two halves of the page."""
        return {
            "authorizeModule": Operation(self._ask, account=False),
            "answerModule": Operation(self._decide, Reads.FORM, account=False),
        }

    def _ask(self, call: Context) -> Response:
        given = call.query
        module, scopes = self._module(given), given.get("scope", "").split()
        accounts = self._accounts(given)
        if module is None or given.get("response_type") != "code" or not _is_known(scopes) or not accounts:
            return _refused()
        choices = "".join(
            f'<option value="{escape(one.id)}">{escape(one.name)} {escape(one.basic_id)}</option>' for one in accounts
        )
        duties = "".join(f"<li>{_DUTIES[one]}</li>" for one in scopes)
        return look.page(
            "モジュールチャネルの連携",
            f"<p><strong>{escape(module.name)}</strong> に次の権限を許可しますか？</p><ul>{duties}</ul>"
            f'<form method="post" action="{PATH}">{look.hidden({name: given[name] for name in _KEPT if name in given})}'
            f'<p class="who">連携するLINE公式アカウント<select name="account" aria-label="連携するLINE公式アカウント">{choices}</select></p>'
            '<button name="answer" value="allow">連携</button>'
            '<button name="answer" value="cancel" class="plain">キャンセル</button></form>',
            name=module.name,
            note="LINE Official Account Manager",
        )

    def _decide(self, call: Context) -> Response:
        given = call.form
        module, account = self._module(given), self._world.state.channels.get(given.get("account", ""))
        if module is None or account is None:
            return _refused()
        back = {"state": given.get("state", "")}
        if given.get("answer") != "allow":
            return _sent_back(
                given, {"error": "access_denied", "error_description": "The resource owner denied the request."} | back
            )
        repeated: dict[str, str] = {name: given[name] for name in _REPEATED if name in given}
        scopes, challenge = given.get("scope", "").split(), given.get("code_challenge")
        try:
            code = module_book.issue_code(self._world, module, account, scopes, repeated, challenge)
        except SimulatorError:
            return _refused()
        return _sent_back(given, {"code": code} | back)

    def _module(self, given: dict[str, str]) -> Channel | None:
        module = self._world.state.channels.get(given.get("client_id", ""))
        try:
            target = urlsplit(given.get("redirect_uri", ""))
        except ValueError:
            return None
        if module is None or not is_granted(module, "module") or target.scheme not in ("http", "https") or not target.netloc:
            return None
        return module

    def _accounts(self, given: dict[str, str]) -> list[Channel]:
        wanted = given.get("basic_search_id")
        found = [one for one in self._world.state.channels.values() if not is_granted(one, "module")]
        return [one for one in found if wanted in (None, one.basic_id)]


def _is_known(scopes: list[str]) -> bool:
    return bool(scopes) and all(one in module_book.SCOPES for one in scopes)


def _sent_back(given: dict[str, str], answer: dict[str, str]) -> Response:
    target = given["redirect_uri"]
    added = "&".join(f"{name}={quote(value.encode('utf-8', 'replace'), safe='')}" for name, value in answer.items())
    location = quote(target.encode("utf-8", "replace"), safe="!#$%&'()*+,/:;=?@[]~-._")
    return Response(
        302, b"", headers={"Location": f"{location}{'&' if '?' in target else '?'}{added}", "Cache-Control": "no-store"}
    )


def _refused() -> Response:
    return look.outcome("エラー", "このページを開けません。モジュールチャネルの設定を確認してください。", good=False, status=400)
