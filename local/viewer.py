"""A page that shows what left the product on this machine (mail, SMS, letters), what got stuck, and the virtual clock."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader

from local.child import LocalError
from local.clock import FileClock
from local.time_machine import TimeMachine

_JST = ZoneInfo("Asia/Tokyo")
_LETTERS = "postal/"
_MOST = 200
_LARGEST_FORM = 10_000
# Mail is shown without scripts; a link in it opens beside the page, as a mail program would do it.
_NEW_WINDOW = '<base target="_blank">'
_JUMPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_SCALES = {"real": 1.0, "fast": 3600.0}
_BUTTONS = [
    {"name": "hour", "title": "＋1時間 / +1 hour"},
    {"name": "day", "title": "＋1日 / +1 day"},
    {"name": "week", "title": "＋7日 / +7 days"},
    {"name": "real", "title": "×1"},
    {"name": "fast", "title": "×3600"},
]


@dataclass(frozen=True, slots=True)
class Link:
    """An address worth knowing."""

    title: str
    url: str


class Outbox:
    """Reads what the emulated AWS has sent and kept."""

    def __init__(self, endpoint: str, files: Any, bucket: str) -> None:
        self._endpoint = endpoint
        self._files = files
        self._bucket = bucket

    def mails(self) -> list[dict[str, Any]]:
        """Return e-mails, newest first."""
        accounts = self._get("/_ministack/ses/messages")["messages"]
        mails = [
            {
                "at": datetime.fromtimestamp(float(mail["Timestamp"]), tz=UTC),
                "sender": str(make_header(decode_header(mail["Source"]))),
                "to": ", ".join(mail["To"]),
                "subject": mail["Subject"] or "(no subject)",
                "text": mail["BodyText"] or "",
                "html": mail["BodyHtml"] or "",
            }
            for entries in accounts.values()
            for mail in entries
        ]
        return sorted(mails, key=lambda mail: mail["at"], reverse=True)[:_MOST]

    def texts(self) -> list[dict[str, str]]:
        """Return SMS, the newest of each number first; MiniStack keeps no time with them."""
        phones = self._get("/_ministack/sns/sms-messages")["sms_messages"]
        return [
            {"to": phone, "body": str(sms.get("Message", ""))} for phone, entries in phones.items() for sms in reversed(entries)
        ][:_MOST]

    def letters(self) -> list[str]:
        """Return the keys of letters (CSV and PDF), newest name first."""
        keys: list[str] = []
        for page in self._files.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_LETTERS):
            keys += [entry["Key"] for entry in page.get("Contents", [])]
        return sorted(keys, reverse=True)[:_MOST]

    def letter(self, key: str) -> tuple[bytes, str] | None:
        """Return a letter's file and its content type, nothing for a key that is not one."""
        if key not in self.letters():
            return None
        found = self._files.get_object(Bucket=self._bucket, Key=key)
        return found["Body"].read(), str(found["ContentType"])

    def dead_letters(self) -> list[tuple[str, int]]:
        """Return the dead-letter queues that hold something and how much."""
        queues = self._get("/_enishi/status")["queues"]
        counts = [(name, int(queue["visible"] + queue["taken"])) for name, queue in queues.items() if name.endswith("-dead")]
        return sorted((name, number) for name, number in counts if number)

    def _get(self, path: str) -> Mapping[str, Any]:
        with urllib.request.urlopen(self._endpoint + path, timeout=10) as answer:  # noqa: S310 - our own address
            found: Mapping[str, Any] = json.load(answer)
        return found


class Mover:
    """Moves the clock in the background, one move at a time, and remembers why the last one failed."""

    def __init__(self, machine: TimeMachine) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        self.problem = ""

    @property
    def moving(self) -> bool:
        """Say whether a move is under way."""
        return self._lock.locked()

    def move(self, name: str) -> bool:
        """Start the move of a button; say whether there is such a button and no other move was under way."""
        if name in _SCALES and not self.moving:
            self._machine.run(_SCALES[name])
            return True
        if name not in _JUMPS or not self._lock.acquire(blocking=False):
            return False
        self.problem = ""
        threading.Thread(target=self._advance, args=(_JUMPS[name],), daemon=True).start()
        return True

    def _advance(self, duration: timedelta) -> None:
        try:
            self._machine.run(1.0)
            self._machine.advance(duration)
        except LocalError as error:
            self.problem = str(error)
        finally:
            self._lock.release()


class Viewer:
    """Serves the page on 127.0.0.1."""

    def __init__(self, port: int, outbox: Outbox, machine: TimeMachine, clock_path: Path, links: Iterable[Link]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.outbox = outbox
        self.mover = Mover(machine)
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._clock = FileClock(clock_path)
        self._links = list(links)
        environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
        environment.filters["jst"] = lambda moment: moment.astimezone(_JST).strftime("%Y-%m-%d %H:%M:%S")
        self._page = environment.get_template("viewer.html")
        handler = type("BoundDoor", (_Door,), {"viewer": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True

    def start(self) -> None:
        """Begin to serve."""
        threading.Thread(target=self._server.serve_forever, daemon=True, name="viewer").start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def page(self) -> str:
        """Return the page as it is now."""
        return self._page.render(
            now=self._clock.now(),
            scale=f"{self._clock.setting().scale:g}",
            moving=self.mover.moving,
            problem=self.mover.problem,
            buttons=_BUTTONS,
            token=self.token,
            new_window=_NEW_WINDOW,
            links=self._links,
            dead=self.outbox.dead_letters(),
            mails=self.outbox.mails(),
            texts=self.outbox.texts(),
            letters=self.outbox.letters(),
        )


class _Door(BaseHTTPRequestHandler):
    viewer: Viewer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if not self._is_for_us():
            self._answer(403, b"wrong host", "text/plain")
        elif path == "/":
            self._answer(200, self.viewer.page().encode(), "text/html; charset=utf-8")
        elif path.startswith("/letters/"):
            self._letter(unquote(path.removeprefix("/letters/")))
        else:
            self._answer(404, b"not found", "text/plain")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0) or 0)
        form = parse_qs(self.rfile.read(min(length, _LARGEST_FORM)).decode("utf-8", "replace"))
        token = form.get("token", [""])[0]
        if not self._is_for_us() or not hmac.compare_digest(token.encode(), self.viewer.token.encode()):
            self._answer(403, "このページを開き直してください / reload the page".encode(), "text/plain; charset=utf-8")
            return
        self.viewer.mover.move(form.get("do", [""])[0])
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _is_for_us(self) -> bool:
        """Refuse other host names: a page on the internet may point its own name at 127.0.0.1 and read our mail."""
        return self.headers.get("Host", "") in self.viewer.hosts

    def _letter(self, key: str) -> None:
        found = self.viewer.outbox.letter(key)
        if found is None:
            self._answer(404, b"not found", "text/plain")
        else:
            self._answer(200, *found)

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'self'"
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body)
