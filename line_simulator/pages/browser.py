"""LINE's in-app browser, reduced to what a test needs: cookies, redirects, forms."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from html.parser import HTMLParser
from http.client import HTTPException, HTTPMessage
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import IO, Final

from line_simulator.exchange import SimulatorError

USER_AGENT: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 Safari Line/15.12.0"
)
PERSON_COOKIE: Final = "linesim_person"


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a page: where it goes, and its fields with their present values."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A loaded page: the URL after redirects, the status, the text, and the headers (lower case)."""

    url: str
    status: int
    text: str
    headers: dict[str, str]

    def forms(self) -> list[Form]:
        """Return the forms of the page."""
        reader = _Forms(self.url)
        reader.feed(self.text)
        return reader.forms


class Browser:
    """Loads pages with its own cookies. `timeout` in real seconds."""

    def __init__(self, user_agent: str = USER_AGENT, timeout: float = 10.0) -> None:
        # Browsers treat local origins as trustworthy, so cookies marked Secure return over plain http there.
        self.cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("https", "http")))
        self._user_agent = user_agent
        self._timeout = timeout
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.cookies), urllib.request.ProxyHandler({}), _Redirects()
        )

    def get(self, url: str) -> Page:
        """Load a page, following redirects. Error statuses are pages too.

        Raises OSError if nothing answers, or not in HTTP; SimulatorError for what is no address of a page.
        """
        return self._open(_request(url))

    def post(self, url: str, fields: dict[str, str], referer: str | None = None) -> Page:
        """Send a form."""
        try:
            content = urllib.parse.urlencode(fields).encode("ascii")
        except UnicodeError:
            raise SimulatorError("Half a character cannot be sent in a form.") from None
        request = _request(url, content)
        request.add_header("Content-Type", "application/x-www-form-urlencoded")
        parts = urllib.parse.urlsplit(referer or url)
        request.add_header("Origin", f"{parts.scheme}://{parts.netloc}")
        if referer:
            request.add_header("Referer", referer)
        return self._open(request)

    def submit(self, page: Page, index: int = 0, **fields: str) -> Page:
        """Fill in and send one of the page's forms. Raises IndexError if there is no such form."""
        form = page.forms()[index]
        values = {**form.fields, **fields}
        if form.method == "post":
            return self.post(form.action, values, page.url)
        return self.get(form.action.partition("?")[0] + "?" + urllib.parse.urlencode(values))

    def remember(self, host: str, name: str, value: str) -> None:
        """Put a session cookie for `host` into the jar."""
        domain = host if "." in host else f"{host}.local"
        self.cookies.set_cookie(
            Cookie(0, name, value, None, False, domain, False, False, "/", True, False, None, True, None, None, {})
        )

    def _open(self, request: urllib.request.Request) -> Page:
        request.add_header("User-Agent", self._user_agent)
        request.add_header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        request.add_header("Accept-Language", "ja-JP,ja;q=0.9")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return _page(answer.geturl(), answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return _page(error.geturl(), error.code, error.read(), error.headers)
        except HTTPException as error:
            raise OSError(f"{type(error).__name__}: the server does not speak HTTP") from None
        except ValueError:
            raise SimulatorError(f"{request.full_url[:200]!r}, or where it leads to, is no address of a page.") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows 307 and 308 after a POST too, as browsers do; other redirects become GET."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if code in (307, 308) and req.get_method() == "POST":
            kept = {name: value for name, value in req.headers.items() if name.lower() not in ("host", "cookie")}
            return urllib.request.Request(newurl, req.data, kept, method="POST")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _request(url: str, body: bytes | None = None) -> urllib.request.Request:
    # urllib would open files and FTP as well, which no phone does.
    if not url.lower().startswith(("http://", "https://")):
        raise SimulatorError(f"{url[:200]!r} is no address of a page.")
    try:
        return urllib.request.Request(url, body, method="GET" if body is None else "POST")
    except ValueError:
        raise SimulatorError(f"{url[:200]!r} is no address of a page.") from None


def _page(url: str, status: int, body: bytes, headers: Message) -> Page:
    charset = headers.get_content_charset() or "utf-8"
    try:
        text = body.decode(charset, "replace")
    except (LookupError, UnicodeError):
        text = body.decode("utf-8", "replace")
    return Page(url, status, text, {name.lower(): value for name, value in headers.items()})


class _Forms(HTMLParser):
    """Collects forms with the values a browser would send."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._base = base
        self._form: Form | None = None
        self._select: str | None = None
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            try:
                action = urllib.parse.urljoin(self._base, values.get("action") or self._base)
            except ValueError:
                action = self._base
            self._form = Form(action, values.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(self._form, tag, values)

    def _field(self, form: Form, tag: str, values: dict[str, str]) -> None:
        name = values.get("name", "")
        if tag == "input" and name:
            kind = values.get("type", "text").lower()
            if kind in ("checkbox", "radio") and "checked" not in values:
                return
            if kind not in ("submit", "button", "image", "file"):
                form.fields[name] = values.get("value", "on" if kind == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in values or self._select not in form.fields):
            form.fields[self._select] = values.get("value", "")
        elif tag == "textarea" and name:
            self._area = name
            form.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._form is not None and self._area is not None:
            self._form.fields[self._area] += data
