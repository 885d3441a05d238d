"""Durable hand-over between functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that failed too often. receipt: to delete it with, short-lived."""

    message_id: str
    body: str
    attributes: dict[str, str]
    receipt: str


class Queue(Protocol):
    """Raises TemporaryError when the queue cannot be reached."""

    def put(self, body: str, attributes: dict[str, str], delay_seconds: int = 0) -> None:
        """Add a message; when this returns, it is kept."""
        ...

    def depth(self) -> int:
        """Return about how many messages wait or are being worked on."""
        ...


class DeadLetters(Protocol):
    """The messages that a queue gave up. Raises TemporaryError when the queue cannot be reached."""

    def peek(self, most: int) -> list[DeadLetter]:
        """Return up to `most` messages; they stay and are hidden from other readers for a moment."""
        ...

    def remove(self, letter: DeadLetter) -> None:
        """Delete a message that has been put back to work."""
        ...
