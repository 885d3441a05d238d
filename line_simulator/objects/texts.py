"""Checking of text messages, with LINE emoji and mentions in them (Messaging API reference, Text message and v2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from line_simulator.objects.findings import TEMPLATE, Findings
from line_simulator.world.ids import is_user_id

TEXT_MAX: Final = 5000
EMOJIS_MAX: Final = 20
MENTIONS_MAX: Final = 20
SUBSTITUTIONS_MAX: Final = 100
_ID_MAX: Final = 100
_KEY: Final = re.compile("[a-zA-Z0-9_]{1,20}")
_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check_text(found: Findings, path: str, message: dict[str, Any]) -> None:
    """Note everything wrong with a text message at `path`."""
    _quote(found, path, message)
    # The length with LINE emoji is that with their alternative texts, which LINE does not disclose; here each counts as its $.
    if not found.text(f"{path}.text", message.get("text"), TEXT_MAX) or message.get("emojis") is None:
        return
    units = message["text"].encode("utf-16-le", "surrogatepass")
    for index, item in enumerate(found.items(f"{path}.emojis", message["emojis"], 0, EMOJIS_MAX)):
        here = f"{path}.emojis[{index}]"
        emoji = found.mapping(here, item)
        if emoji is None:
            continue
        _emoji_ids(found, here, emoji)
        position: Any = emoji.get("index")
        if found.number(f"{here}.index", position, 0, TEXT_MAX) and units[position * 2 : position * 2 + 2] != b"$\0":
            found.add(f"{here}.index", "The character at the index must be $")


def check_text_v2(found: Findings, path: str, message: dict[str, Any]) -> None:
    """Note everything wrong with a textV2 message at `path`. How LINE words faults of placeholders, but one, is guessed."""
    _quote(found, path, message)
    usable = found.text(f"{path}.text", message.get("text"), TEXT_MAX)
    substitution = found.mapping(f"{path}.substitution", message.get("substitution"), required=False) or {}
    inside = found.inside(path, TEMPLATE)
    if len(substitution) > SUBSTITUTIONS_MAX:
        inside.add("substitution", f"must not be more than {SUBSTITUTIONS_MAX} items")
    for name, item in substitution.items():
        _substitute(inside, name, item)
    if not usable:
        return
    kinds = [item.get("type") for item in substituted(message)]
    for kind, most in (("emoji", EMOJIS_MAX), ("mention", MENTIONS_MAX)):
        if kinds.count(kind) > most:
            inside.add("substitution", f"must not be more than {most} {kind} objects")
    for key in dict.fromkeys(_placeholders(message["text"])):
        if key is None:
            inside.add("text", "'{' and '}' must be used in pairs.")
        elif _KEY.fullmatch(key) is None:
            # Quoted by users of n8n.
            inside.add("text", f"The key '{key}' enclosed in '{{}}' does not match the pattern '^[a-zA-Z0-9_]{{1,20}}$'.")
        elif key not in substitution:
            inside.add("text", f"The key '{key}' enclosed in '{{}}' is not specified in substitution.")


def substituted(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the substitution objects of a textV2 message in the order its text uses them, as often as it does."""
    substitution, text = message.get("substitution"), message.get("text")
    if not isinstance(substitution, dict) or not isinstance(text, str):
        return []
    used = [substitution.get(key) for key in _placeholders(text) if key is not None]
    return [one for one in used if isinstance(one, dict)]


def _placeholders(text: str) -> Iterator[str | None]:
    """Yield what stands in each pair of braces, None for a brace without its fellow; {{ and }} are braces as such."""
    for match in _BRACES.finditer(text):
        if match[0] not in ("{{", "}}"):
            yield match[1]


def _substitute(found: Findings, name: str, item: Any) -> None:
    here = f"substitution.{name}"
    if _KEY.fullmatch(name) is None:
        found.add("substitution", f"The key '{name}' does not match the pattern '^[a-zA-Z0-9_]{{1,20}}$'.")
        return
    entry = found.mapping(here, item)
    if entry is None or not found.one_of(f"{here}.type", entry.get("type"), ("emoji", "mention")):
        return
    if entry["type"] == "emoji":
        _emoji_ids(found, here, entry)
        return
    whom = found.mapping(f"{here}.mentionee", entry.get("mentionee"))
    here = f"{here}.mentionee"
    if whom is None or not found.one_of(f"{here}.type", whom.get("type"), ("user", "all")) or whom["type"] == "all":
        return
    if whom.get("userId") is None:
        found.missing(f"{here}.userId")
    elif not is_user_id(whom["userId"]):
        found.add(f"{here}.userId", "invalid property")


def _emoji_ids(found: Findings, path: str, emoji: dict[str, Any]) -> None:
    found.text(f"{path}.productId", emoji.get("productId"), _ID_MAX)
    found.text(f"{path}.emojiId", emoji.get("emojiId"), _ID_MAX)


def _quote(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.text(f"{path}.quoteToken", message.get("quoteToken"), 2 * TEXT_MAX, required=False)
