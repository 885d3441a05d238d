"""A shop with friends, a group, a membership plan and a signing key: what the official SDKs are driven against."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from PIL import Image

from line_simulator import Channel, LineSimulator, Person, Settings

FRIENDS = 120
PHONE = "+818000001234"
# Its SHA-256, as LINE's documentation writes it.
PHONE_DIGEST = "d41e0ad70dddfeb68f149ad6fc61574b9c5780ab7bcb2fba5517771ffbb2409c"
REDIRECT = "https://example.com/callback"
DAY = 86_400.0


class Stage:
    """The world of one run. Ids are what LINE would have told the account."""

    def __init__(self, line: LineSimulator) -> None:
        self.line = line
        self.shop: Channel = line.channel("花屋", options=["pnp", "pnp_templated", "mission_stickers"])
        self.hanako: Person = line.person("花子", phone=PHONE, picture_url="https://example.com/h.png", status_message="元気")
        self.hanako.follow(self.shop)
        self.user_id = self.hanako.user_id(self.shop)
        self.friends = line.crowd(FRIENDS, self.shop)

    @property
    def url(self) -> str:
        return self.line.url

    def day(self, days: int = 0) -> str:
        """Return a date of Japan as LINE writes it."""
        return f"{self.line.world.tokyo() + timedelta(days=days):%Y%m%d}"

    def wait(self, seconds: float) -> None:
        """Let virtual time pass, and everything that falls due in it."""
        self.line.live(seconds)

    def reply_token(self) -> str:
        """Let Hanako write, and return the reply token of it."""
        return str(self.said()["replyToken"])

    def said(self) -> dict[str, object]:
        """Let Hanako write, and return the event of it."""
        self.hanako.say(self.shop, "こんにちは")
        event: dict[str, object] = json.loads(self.line.webhooks[-1].body)["events"][0]
        return event

    def picture(self, width: int = 800, height: int = 400) -> bytes:
        """Return a PNG of this size."""
        written = io.BytesIO()
        Image.new("RGB", (width, height), "#c9e4ca").save(written, "PNG")
        return written.getvalue()

    def group(self, *, is_room: bool = False) -> str:
        """Return the id of a group or room with Hanako, a friend and the account in it."""
        friend = self.line.handle_of(self.line.world.person(self.friends[0]))
        group = self.line.group("花の会", [self.hanako, friend], channel=self.shop, is_room=is_room)
        return group.id

    def reads_by_hand(self) -> None:
        """Grant the older call for marking as read, which switches the automatic mark off."""
        self.line.channel(self.shop.name, options=[*self.shop.options, "mark_as_read"])

    def module(self) -> tuple[Channel, str]:
        """Return a module channel, and a code by which it may be attached to the shop."""
        module = self.line.channel("予約モジュール", options=["module"])
        return module, self.line.module_code(module, self.shop, REDIRECT)

    def assertion(self, **claims: object) -> str:
        """Return a JSON Web Token signed with a key that is registered for the account."""
        return self.line.assertion(self.shop, **claims)

    def everybody_looks_and_taps(self, url: str) -> None:
        """Let every friend open the chat and tap a link of the newest message."""
        for user_id in self.friends:
            person = self.line.handle_of(self.line.world.person(user_id))
            person.open_chat(self.shop)
            self.line.people.click(person.record, self.shop, person.inbox(self.shop)[-1].id, url)


@contextmanager
def staged() -> Iterator[Stage]:
    """Run a simulator with the stage set."""
    with LineSimulator(seed=11, settings=Settings(redelivery_delays=())) as line:
        yield Stage(line)
