"""LIFF apps: what a login channel registered, and where a LIFF URL leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from line_simulator.world.state import JsonObject, part

APPS_MAX: Final = 30
# LIFF server API, Adding the LIFF app to a channel: the scopes of an app that names none.
SCOPES_DEFAULT: Final = ("profile", "chat_message.write")


@dataclass(slots=True)
class LiffApp:
    """A LIFF app. `settings` are view, description, features, scope, botPrompt as given (liff.yml, LiffApp)."""

    id: str
    channel_id: str
    settings: JsonObject

    @property
    def endpoint(self) -> str:
        """The endpoint URL."""
        return str(self.settings["view"]["url"])

    @property
    def scopes(self) -> list[str]:
        """The scopes of the app's access tokens."""
        return list(self.settings.get("scope") or SCOPES_DEFAULT)

    def describe(self) -> JsonObject:
        """Return the app as getAllLIFFApps shows it."""
        return {"liffId": self.id, **self.settings, "permanentLinkPattern": "concat"}


@part("liff")
@dataclass(slots=True)
class LiffBook:
    """All LIFF apps by id."""

    apps: dict[str, LiffApp] = field(default_factory=dict)

    def of(self, channel_id: str) -> list[LiffApp]:
        """Return the apps of a login channel, oldest first."""
        return [app for app in self.apps.values() if app.channel_id == channel_id]


def is_local(parts: SplitResult) -> bool:
    """Tell whether a URL lies on this machine, where plain http is taken although LINE takes https only."""
    return parts.hostname in ("127.0.0.1", "localhost", "::1")


def first_url(app: LiffApp, added: str, session: dict[str, str]) -> str:
    """Return the primary redirect URL of a LIFF URL: the endpoint, what was added as liff.state, the session as fragment.

    Source: Opening a LIFF app, primary redirect URL.
    """
    url = app.endpoint
    if added:
        url += ("&" if "?" in url else "?") + "liff.state=" + quote(added, safe="", errors="replace")
    return f"{url}#{urlencode(session)}"


def added_to(app: LiffApp, target: str) -> str | None:
    """Return what a page of the app adds to its endpoint, None if it does not lie under it."""
    try:
        wanted, endpoint = urlsplit(target), urlsplit(app.endpoint)
    except ValueError:
        return None
    base = endpoint.path.rstrip("/")
    path = wanted.path or "/"
    if wanted[:2] != endpoint[:2] or (path != base and not path.startswith(f"{base}/")):
        return None
    rest = path[len(base) :].lstrip("/")
    query = wanted.query if wanted.query != endpoint.query else ""
    return rest + (f"?{query}" if query else "")
