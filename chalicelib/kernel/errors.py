"""The errors of the house answer two questions only: whose fault is it, and is it worth repeating?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


class EnishiError(Exception):
    """Base of every error that this product raises on purpose."""


class DomainError(EnishiError):
    """Somebody asked for something that cannot be done.

    code: stable word for machines, e.g. `tag.name_taken`; the Japanese sentence is found by it in entrypoints/problems.py.
    details: values for the sentence, and for the caller; never personal data.
    """

    status = 400

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details

    def __str__(self) -> str:
        extra = ", ".join(f"{key}={value!r}" for key, value in self.details.items())
        return f"{self.code}({extra})"


class NotFoundError(DomainError):
    """The thing named does not exist."""

    status = 404


class ConflictError(DomainError):
    """The thing is not in a state that allows this."""

    status = 409


class InvalidError(DomainError):
    """The input breaks a rule; `details` says where."""

    status = 422


class DeniedError(DomainError):
    """The caller may not do this."""

    status = 403


class UnauthenticatedError(DomainError):
    """The caller gave no valid proof of who he is."""

    status = 401


class PortError(EnishiError):
    """Something outside did not do what we asked."""


class TemporaryError(PortError):
    """The same call may succeed later.

    retry_after_seconds: the earliest moment that makes sense, 0 when the other side said nothing.
    maybe_done: True when the other side may have acted on the call (time-out, 5xx after sending).
    """

    def __init__(self, reason: str, *, retry_after_seconds: float = 0.0, maybe_done: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.maybe_done = maybe_done


class PermanentError(PortError):
    """The same call will never succeed; `reason` is for a person, without personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SendingStoppedError(PermanentError):
    """Nothing can be sent on this account until a person has done something; nobody has got anything by this call."""


class AccountRefusedError(SendingStoppedError):
    """LINE does not take our credentials or the account lacks the right (401, 403)."""


class QuotaExceededError(SendingStoppedError):
    """The month's messages are used up (LINE: "You have reached your monthly limit.")."""


def to_each(things: Iterable[T], do: Callable[[T], object]) -> None:
    """Do something to each, whatever becomes of the others; raise the first failure when all have had their turn."""
    failed: Exception | None = None
    for thing in things:
        try:
            do(thing)
        except Exception as error:  # noqa: BLE001 - raised below: the others must not wait for this one
            failed = failed or error
    if failed is not None:
        raise failed
