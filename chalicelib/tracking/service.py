"""Make links that remember, and note what people did."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from chalicelib.kernel.clock import EVER, Clock
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import EmailOpened, Fact, LinkClicked, Occurred
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.pages import Page, decode_cursor, encode_cursor
from chalicelib.ports.database import Database, Item
from chalicelib.ports.secrets import Secrets
from chalicelib.settings import settings
from chalicelib.tracking import table
from chalicelib.tracking.model import (
    CLICK,
    OPEN,
    OPT_OUT,
    SITE,
    Origin,
    TrackedLink,
    grade_click,
    is_of,
    is_origin,
    make_token,
    read_origin,
)

SIGNING_SECRET = "signing"
_ID = re.compile(r"[a-z0-9_]{1,40}\Z")
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")  # the address goes into a header
_REMEMBER_SECONDS = 30.0
_SHORT = re.compile(r"[0-9A-Za-z_-]{22}\Z")
_SHORT_LIFE = timedelta(days=400)
_OCCURRENCE_LIFE = timedelta(days=90)
_SITE_TOKEN_LIFE = timedelta(days=400)
_PAGE_SECONDS = 5  # a person's pages within so many seconds are one visit: whoever holds his token cannot flood us
_MOST_SITES = 50


class Tracking:
    """Tracked links, e-mail pictures, opt-out addresses and the timeline."""

    def __init__(self, secrets: Secrets, database: Database, clock: Clock, public_url: str) -> None:
        self._secrets = secrets
        self._database = database
        self._clock = clock
        self._public_url = public_url
        self._links: dict[str, tuple[float, TrackedLink]] = {}
        self._origins: tuple[float, frozenset[str]] = (-1.0, frozenset())
        self._monotonic: Callable[[], float] = time.monotonic

    def create_link(self, link_id: str, name: str, url: str, *, identifies: bool = False) -> TrackedLink:
        """Make a link. Raises InvalidError(`link.id_malformed`, `link.url_malformed`), ConflictError(`link.taken`)."""
        if not _ID.match(link_id):
            raise InvalidError("link.id_malformed")
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise InvalidError("link.url_malformed") from error
        if _UNSAFE.search(url) or parts.scheme not in ("https", "http") or not parts.hostname or len(url) > 2000:
            raise InvalidError("link.url_malformed")
        link = TrackedLink(link_id, name, url, self._clock.now(), identifies)
        if not table.create(link):
            raise ConflictError("link.taken", link_id=link_id)
        return link

    def link(self, link_id: str) -> TrackedLink:
        """Return a link. Raises NotFoundError(`link.unknown`)."""
        known = self._links.get(link_id)
        if known and self._monotonic() < known[0]:
            return known[1]
        link = table.get(link_id)
        if link is None:
            raise NotFoundError("link.unknown", link_id=link_id)
        self._links[link_id] = (self._monotonic() + _REMEMBER_SECONDS, link)
        return link

    def links(self) -> list[TrackedLink]:
        """Return all links by id."""
        return table.everyone()

    def click_url(self, link_id: str, cid: Cid, source: str, sent_at: datetime) -> str:
        """Return the address of a link for one person and one delivery."""
        return f"{self._public_url}/r/{make_token(self._key(), CLICK, Origin(cid, source, sent_at, link_id))}"

    def short_click_url(self, link_id: str, cid: Cid, source: str, sent_at: datetime) -> str:
        """Return the same as `click_url` in 22 characters: an SMS is paid for by the part, and a QR code wants to be coarse.

        The code is made of the token, so that a retry makes the same; 128 bits of it, so that nobody guesses one.
        """
        token = make_token(self._key(), CLICK, Origin(cid, source, sent_at, link_id))
        code = base64.urlsafe_b64encode(hmac.digest(self._key(), token.encode(), hashlib.sha256)[:16]).decode().rstrip("=")
        table.put_short(self._database, code, token, sent_at + _SHORT_LIFE)
        return f"{self._public_url}/r/{code}"

    def open_url(self, cid: Cid, source: str, sent_at: datetime) -> str:
        """Return the address of the picture that says an e-mail was loaded."""
        return f"{self._public_url}/o/{make_token(self._key(), OPEN, Origin(cid, source, sent_at))}"

    def opt_out_url(self, cid: Cid, source: str, sent_at: datetime) -> str:
        """Return the address at which a person refuses further e-mail."""
        return f"{self._public_url}/u/{make_token(self._key(), OPT_OUT, Origin(cid, source, sent_at))}"

    def onward(self, link: TrackedLink, origin: Origin) -> str:
        """Return where a link leads on to, for who follows it now; a page that is none of the company's learns nothing."""
        if not link.identifies or not is_of(link.url, self.sites()):
            return link.url
        return link.onward(make_token(self._key(), SITE, replace(origin, sent_at=self._clock.now())))

    def origin(self, purpose: str, token: str) -> Origin:
        """Return what a token, or a short code for one, says. Raises InvalidError(`token.invalid`)."""
        if _SHORT.match(token):
            token = table.short(self._database, token) or ""
        return read_origin(self._key(), purpose, token)

    def _key(self) -> bytes:
        data = self._secrets.get(SIGNING_SECRET)
        if data is None:
            raise LookupError("the signing secret is missing: the template makes it at deployment")
        return str(data["key"]).encode()

    def clicked(self, token: str, method: str, user_agent: str, at: datetime, visit_id: str) -> list[Fact]:
        """Return the fact of a visit, nothing when a machine made it. visit_id: the same when the visit is told again."""
        import crawleruseragents  # 13 ms, and no other door needs it

        origin = self.origin(CLICK, token)
        crawler = bool(crawleruseragents.is_crawler(user_agent))
        evidence = grade_click(method, user_agent, crawler, origin.sent_at, at)
        if evidence is None:
            return []
        return [
            LinkClicked(fact_id=visit_id, cid=origin.cid, at=at, link_id=origin.link_id, source=origin.source, evidence=evidence)
        ]

    def opened(self, token: str, at: datetime, visit_id: str) -> list[Fact]:
        """Return the fact of an e-mail's picture being loaded: weak evidence, machines load them too."""
        origin = self.origin(OPEN, token)
        return [EmailOpened(fact_id=visit_id, cid=origin.cid, at=at, source=origin.source)]

    def visited(self, token: str, page: str, user_agent: str, at: datetime, is_there: Callable[[Cid], bool]) -> list[Occurred]:
        """Return the fact that a person looked at a page of a site, nothing where it was a machine or his token is too old.

        is_there: whether somebody still has this number; of who was erased not even a row is written.
        Several pages within five seconds are one visit, the first; so a visit that is told again is the same.
        """
        import crawleruseragents

        origin = self.origin(SITE, token)
        crawler = bool(crawleruseragents.is_crawler(user_agent))
        evidence = grade_click("GET", user_agent, crawler, origin.sent_at, at)
        if evidence is None or at - origin.sent_at > _SITE_TOKEN_LIFE:
            return []
        slot = int(at.timestamp()) // _PAGE_SECONDS
        data = {name: text for name, text in (("link", origin.link_id), ("source", origin.source)) if text}
        fact = Occurred(fact_id=f"visited|site|{origin.cid}|{slot}", cid=origin.cid, at=at, event="visited", name=page, data=data)
        return self.keep_occurrences([fact]) if is_there(fact.cid) else []

    def sites(self) -> frozenset[str]:
        """Return the origins whose pages may carry the site script; a change is seen half a minute later."""
        until, known = self._origins
        if self._monotonic() >= until:
            known = frozenset(table.origins(self._database))
            self._origins = (self._monotonic() + _REMEMBER_SECONDS, known)
        return known

    def set_sites(self, origins: Sequence[str]) -> None:
        """Say which origins may carry the site script. Raises InvalidError(`site.origin_malformed`)."""
        local = settings().line_api_url.startswith("http://")  # allowed by settings for this machine alone
        wrong = [origin for origin in origins if not is_origin(origin, local=local)]
        if wrong or len(origins) > _MOST_SITES:
            raise InvalidError("site.origin_malformed", most=_MOST_SITES)
        table.put_origins(self._database, sorted(set(origins)))
        self._origins = (-1.0, frozenset())

    def note(self, fact: Fact, kind: str, **details: Any) -> None:
        """Write a fact into the person's timeline."""
        table.note(self._database, fact, kind, details)

    def note_all(self, facts: Iterable[Occurred]) -> None:
        """Write what happened long ago into people's timelines, where it starts nothing any more."""
        table.note_all(self._database, facts)

    def keep_occurrences(self, facts: Sequence[Occurred]) -> list[Occurred]:
        """Keep what other systems report, each once for its fact_id; return it as it was told first."""
        table.keep_occurrences(self._database, facts, self._clock.now() + _OCCURRENCE_LIFE)
        kept = table.occurrences(self._database, [fact.fact_id for fact in facts])
        return [kept[fact.fact_id] for fact in facts]

    def occurrences(self, fact_ids: Iterable[str]) -> list[Occurred]:
        """Return what was kept under these ids."""
        return list(table.occurrences(self._database, fact_ids).values())

    def forget_occurrences(self, fact_ids: Iterable[str]) -> None:
        """Delete what was kept under these ids."""
        table.forget_occurrences(self._database, fact_ids)

    def acted(self, cid: Cid, at: datetime) -> None:
        """Note that a person did something himself at this instant: not a purchase, not what a machine did for him."""
        table.acted(cid, at)

    def page(self, cids: Iterable[Cid], cursor: str | None, size: int) -> Page[Item]:
        """Return what a person did under all his numbers, oldest first. Raises InvalidError(`cursor.malformed`)."""
        after = decode_cursor(cursor) or ""
        if not isinstance(after, str) or (after and not table.is_place(after)):
            raise InvalidError("cursor.malformed")
        # So many of each number that whatever comes first among them is there; a fact noted under two of them is one.
        found = {item["sk"]: item for cid in cids for item in table.page(self._database, cid, after, size + 1)}
        names = sorted(found)
        next_cursor = encode_cursor(names[size - 1]) if len(names) > size else None
        return Page([found[name] for name in names[:size]], next_cursor)

    def timeline(self, cid: Cid, since: datetime = EVER) -> list[Item]:
        """Return what a person did at this instant and later, oldest first."""
        return table.timeline(self._database, cid, since)
