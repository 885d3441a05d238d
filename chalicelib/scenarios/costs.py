"""What a rehearsed scenario would cost: the company's messages in yen, its AWS bill in dollars; pure.

Prices are assumptions that whoever asks may set. AWS: price list of Tokyo (engines.md 1.1). LINE: the Standard plan without
tax (line-platform.md section 8). SMS and letters have no one price in Japan: set your contract's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

_SMS_ALONE, _SMS_PART = 70, 66  # UCS-2 units of a Japanese SMS, and of each part of a longer one (messages/limits.py)
_TRANSITION = 0.025 / 1_000
WRITE, READ = 0.715 / 1_000_000, 0.1425 / 1_000_000  # units of DynamoDB on demand
_LAMBDA_CALL, _LAMBDA_GB_SECOND = 0.2 / 1_000_000, 16.67 / 1_000_000
# What delivery costs per page of 500 besides a write per member: batch, attempt, result, marks (engines.md 1.5).
_WRITES_A_BATCH = 12
# What a call and each member in it last, waiting for DynamoDB and LINE included; the function has half a gigabyte.
_SECONDS_A_MEMBER, _SECONDS_A_CALL, _GIGABYTES = 0.001, 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Prices:
    """Yen per message. line_fee, line_included: of the plan and month.

    line_used: what else is sent in the month in which it begins; None: what LINE has counted so far, if that is known.
    """

    line_fee: float = 15_000
    line_included: int = 30_000
    line_used: int | None = None
    line_extra: float = 3.0
    sms_part: float = 11.0
    postal: float = 110.0  # a postcard's 85 yen since October 2024, and its print
    email: float = 0.015  # SES: 0.10 dollars a thousand, at 150 yen


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars of AWS by service; transitions and writes are what was counted."""

    transitions: int
    writes: int
    calls: int
    step_functions: float
    dynamodb: float
    lambda_: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.step_functions + self.dynamodb + self.lambda_


def line_yen(by_month: Mapping[str, int], prices: Prices, first: str) -> float:
    """Return what messages of several months add to the plan's fee: those beyond what each month includes.

    line_used is counted in the first month only: nobody knows what else later ones will see.
    """
    total = 0.0
    for month, messages in by_month.items():
        left = max(0, prices.line_included - ((prices.line_used or 0) if month == first else 0))
        total += max(0, messages - left) * prices.line_extra
    return total


def sms_parts(text: str) -> int:
    """Return how many messages a Japanese SMS is charged as."""
    return 1 if len(text) <= _SMS_ALONE else ceil(len(text) / _SMS_PART)


def bill(*, transitions: int, calls: int, writes: int, sends: int) -> Bill:
    """Return the AWS bill. writes: enrollments, pointers, hints, headers; sends: messages that were claimed or left out."""
    written = writes + sends + ceil(sends / 500) * _WRITES_A_BATCH
    # Each write follows a strongly consistent read of the same item.
    dynamodb = written * WRITE + written * READ
    seconds = calls * _SECONDS_A_CALL + sends * _SECONDS_A_MEMBER
    return Bill(
        transitions,
        written,
        calls,
        transitions * _TRANSITION,
        dynamodb,
        calls * _LAMBDA_CALL + seconds * _GIGABYTES * _LAMBDA_GB_SECOND,
    )
