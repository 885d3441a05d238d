"""What LINE's staff and administrators of accounts arrange for partners, as methods of LineSimulator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from line_simulator.objects import notice
from line_simulator.world import module_book, partner_book
from line_simulator.world.module_book import Attachment
from line_simulator.world.partner_book import MissionSticker
from line_simulator.world.state import Channel, World

_SCOPES: Final = ("message:send", "message:receive")


class Partners:
    """Module channels, mission stickers, templates. What else an account is granted is in its options."""

    world: World

    def attach_module(self, module: Channel, account: Channel, scopes: Sequence[str] = _SCOPES) -> Attachment:
        """Attach a module channel (one with the option "module") to an account, or widen its scopes, without attachModule.

        scopes: see module_book.SCOPES. Raises SimulatorError for what LINE does not attach.
        """
        with self.world.lock:
            return module_book.attach(self.world, module, account, scopes)

    def module_code(
        self,
        module: Channel,
        account: Channel,
        redirect_uri: str,
        scopes: Sequence[str] = _SCOPES,
        challenge: str | None = None,
        **given: str,
    ) -> str:
        """Return the code for attachModule that an account's administrator gives by agreeing on the page of LINE.

        challenge: a code_challenge. given: region, basic_search_id, scope, brand_type if the page was opened with them.
        """
        with self.world.lock:
            return module_book.issue_code(self.world, module, account, scopes, {"redirect_uri": redirect_uri, **given}, challenge)

    def mission_sticker(self, product_id: str, /, *channels: Channel, **attributes: Any) -> MissionSticker:
        """Add a set of stickers that these accounts may give to people.

        attributes: is_mission False for one that is sold; starts and ends, epoch seconds; apps, of ios, android, pc.
        """
        with self.world.lock:
            return partner_book.set_sticker(self.world, product_id, list(channels), **attributes)

    def notice_keys(self, /, **more: dict[str, str]) -> notice.NoticeBook:
        """Add keys of LINE notification messages (template): templates, items, buttons, each {key: Japanese wording}."""
        with self.world.lock:
            return notice.add_keys(self.world, **more)
