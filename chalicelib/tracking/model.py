"""Tracked links, the tokens in them, and the grading of what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.facts import Evidence
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.signing import read_token, sign_token
from chalicelib.ports.database import Item

ACTIVITY_SK = "A"
HOURS = tuple(f"h{hour:02}" for hour in range(24))
_FEWEST_ACTS = 3  # fewer are chance and no habit
CLICK, OPEN, OPT_OUT, SITE = "r", "o", "u", "s"
# A page that is fetched this soon after the message left was fetched by a machine (mail scanners, previews).
MACHINE_SPEED = timedelta(seconds=2)
_BROWSERS = ("mozilla/", "opera/")
# Beyond what crawler-user-agents knows.
_MACHINES = ("line-poker", "linespider", "ms-office", "bitlybot", "preview", "scanner", "monitor", "curl/", "wget/", "python-")


@dataclass(frozen=True, slots=True)
class Activity:
    """When a person last did something himself, and how often he did by the JST hour (24 counts, or none at all)."""

    last_at: datetime | None = None
    hours: tuple[int, ...] = ()

    def best_hour(self) -> int | None:
        """Return the JST hour at which he usually acts, the earlier of two; None as long as there is no habit.

        An hour counts double and its neighbours once, so that 20:55 and 21:05 belong together.
        """
        if sum(self.hours) < _FEWEST_ACTS:
            return None
        around = [self.hours[hour - 1] + 2 * self.hours[hour] + self.hours[(hour + 1) % 24] for hour in range(24)]
        return around.index(max(around))


def activity_of(collection: Mapping[str, Item]) -> Activity:
    """Return a person's activity from his core items."""
    item = collection.get(ACTIVITY_SK)
    if not item:
        return Activity()
    return Activity(from_text(item["last_at"]), tuple(item.get(hour, 0) for hour in HOURS))


@dataclass(frozen=True, slots=True)
class TrackedLink:
    """An address of ours that leads to `url` and remembers who came by.

    identifies: `url` is told who comes (`?en=…`), so that the site script there can tell us of the pages he looks at.
    """

    link_id: str
    name: str
    url: str
    created_at: datetime
    identifies: bool = False

    def onward(self, token: str) -> str:
        """Return the address to lead on to, with a token of the site script where the link identifies."""
        if not self.identifies:
            return self.url
        page, hash_sign, fragment = self.url.partition("#")
        return f"{page}{'&' if '?' in page else '?'}en={token}{hash_sign}{fragment}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a token was sent: to whom, by which delivery, when. link_id is empty for e-mail pictures and opt-outs."""

    cid: Cid
    source: str
    sent_at: datetime
    link_id: str = ""


_ORIGIN = re.compile(r"https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?\Z")
_LOCAL_ORIGIN = re.compile(r"http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?\Z")


def is_origin(text: str, *, local: bool) -> bool:
    """Say whether a text is a web origin as browsers write it: `https://shop.example`. local: of this machine too."""
    return bool(_ORIGIN.match(text) or (local and _LOCAL_ORIGIN.match(text)))


def is_of(url: str, origins: Iterable[str]) -> bool:
    """Say whether an address lies on one of these origins, as browsers and not as parsers of ours read it: by its first letters."""
    return any(
        url[: len(origin)].lower() == origin and url[len(origin) : len(origin) + 1] in ("", "/", "?", "#") for origin in origins
    )


def make_token(key: bytes, purpose: str, origin: Origin) -> str:
    """Return the signed token of an address for one person."""
    return sign_token(key, purpose, [int(origin.cid), origin.source, int(origin.sent_at.timestamp()), origin.link_id])


def read_origin(key: bytes, purpose: str, token: str) -> Origin:
    """Return what a token says. Raises InvalidError(`token.invalid`)."""
    payload = read_token(key, purpose, token)
    match payload:
        case [int(cid), str(source), int(sent), str(link_id)]:
            return Origin(Cid(cid), source, datetime.fromtimestamp(sent, tz=UTC), link_id)
    raise InvalidError("token.invalid")


def grade_click(method: str, user_agent: str, is_crawler: bool, sent_at: datetime, at: datetime) -> Evidence | None:
    """Return what a visit of a tracked link proves, None when a machine made it (line-platform.md section 3).

    is_crawler: the verdict of a kept list of crawlers.
    """
    agent = user_agent.lower()
    if method != "GET" or not agent or is_crawler or any(word in agent for word in _MACHINES):
        return None
    if not agent.startswith(_BROWSERS) or at - sent_at < MACHINE_SPEED:
        return Evidence.WEAK
    return Evidence.PROBABLE
