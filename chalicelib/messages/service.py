"""Write templates that their channel will take, and fill them for a person."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.ids import TemplateId, new_id
from chalicelib.messages import table
from chalicelib.messages.limits import check_content
from chalicelib.messages.model import LINK_PREFIX, TRIGGER_PREFIX, Template

_ID = re.compile(r"tpl_[0-9A-Za-z_]{1,40}\Z")
_REMEMBER_SECONDS = 5.0  # a corrected text is out within seconds, and a batch reads its template once
KNOWN_PLACEHOLDERS = ("name", "name_kana", "display_name", "member_no", "prefecture", "city", "company", "opt_out_url")


class Messages:
    """Templates."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Template]] = {}

    def create(self, name: str, channel: DeliveryChannel, content: Mapping[str, Any], template_id: str = "") -> Template:
        """Write a new template. Raises InvalidError(`template.invalid`) with every problem, ConflictError(`template.taken`)."""
        now = self._clock.now()
        if template_id and not _ID.match(template_id):
            raise InvalidError("template.id_malformed")
        template = Template(TemplateId(template_id or new_id("tpl", now)), name, channel, content, 1, now)
        self._check(template)
        if not table.put(template):
            raise ConflictError("template.taken")
        return template

    def change(self, template_id: str, name: str, content: Mapping[str, Any]) -> Template:
        """Replace a template's text; what has not been sent yet goes out with the new one."""
        self._known.pop(template_id, None)  # somebody else may have changed it a moment ago
        old = self.get(template_id)
        new = Template(old.template_id, name, old.channel, content, old.version + 1, self._clock.now())
        self._check(new)
        if not table.put(new):
            raise ConflictError("template.changed_meanwhile")
        self._known.pop(template_id, None)
        return new

    def _check(self, template: Template) -> None:
        if not template.name.strip():
            raise InvalidError("template.name_empty")
        problems = check_content(template.channel, template.content)
        for name, _ in template.placeholders():
            if name not in KNOWN_PLACEHOLDERS and not name.startswith((LINK_PREFIX, TRIGGER_PREFIX, "attribute.")):
                problems.append({"path": f"{{{{{name}}}}}", "code": "unknown_placeholder", "known": ", ".join(KNOWN_PLACEHOLDERS)})
        if problems:
            raise InvalidError("template.invalid", problems=problems)

    def get(self, template_id: str) -> Template:
        """Return a template, at most seconds old. Raises NotFoundError(`template.unknown`)."""
        known = self._known.get(template_id)
        if known and self._monotonic() < known[0]:
            return known[1]
        template = table.get(template_id) if _ID.match(template_id) else None
        if template is None:
            raise NotFoundError("template.unknown", template_id=template_id)
        self._known[template_id] = (self._monotonic() + _REMEMBER_SECONDS, template)
        return template

    def everyone(self) -> list[Template]:
        """Return all templates, oldest first."""
        return table.everyone()

    def delete(self, template_id: str) -> None:
        """Remove a template. Raises NotFoundError(`template.unknown`)."""
        self.get(template_id)
        table.delete(template_id)
        self._known.pop(template_id, None)
