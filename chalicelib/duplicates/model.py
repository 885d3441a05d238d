"""What makes two customers look like one person, and what a merge has taken along; pure."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Any

from chalicelib.customers.model import PROFILE_FIELDS, Customer, Profile
from chalicelib.kernel.ids import Cid

# A telephone number or an address that more people share is a family's, a shop's or a placeholder.
MOST_SHARING = 5


class Reason(StrEnum):
    """What two customers have in common."""

    EMAIL = "email"
    PHONE = "phone"
    NAME_BIRTHDAY = "name_birthday"


class Confidence(StrEnum):
    """HIGH: an e-mail address of their own, or two things at once. MEDIUM: families share telephones, and strangers a birthday."""

    HIGH = "high"
    MEDIUM = "medium"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two customers who may be one person; the one with the smaller number first."""

    first: Cid
    second: Cid
    reasons: tuple[Reason, ...]

    @property
    def confidence(self) -> Confidence:
        """How sure it is."""
        return Confidence.HIGH if Reason.EMAIL in self.reasons or len(self.reasons) > 1 else Confidence.MEDIUM


@dataclass(frozen=True, slots=True)
class Merge:
    """That `gone` has become part of `kept`, and what `kept` got by it: what an undoing takes back.

    numbers: all that `gone` had. filled: profile fields; attributes; tags; accounts: which friend (his LINE user id) of which
    LINE account came along; empty where that was not noted. refusals: what `kept` had refused before, when and where by channel.
    """

    kept: Cid
    gone: Cid
    at: str
    by: str
    consent: str = ""
    numbers: tuple[int, ...] = ()
    filled: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    accounts: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parted:
    """What an undoing did with the friends that had come along: LINE accounts whose friend went back, and whose friend stayed."""

    returned: tuple[str, ...]
    stayed: tuple[str, ...]


def signs(profile: Profile) -> Iterator[tuple[Reason, str]]:
    """Yield what others who have it too may be the same person by."""
    if profile.email:
        yield Reason.EMAIL, profile.email
    if profile.phone:
        yield Reason.PHONE, profile.phone
    kana = plain_kana(profile.name_kana)
    if kana and profile.birthday:
        yield Reason.NAME_BIRTHDAY, f"{kana}|{profile.birthday.isoformat()}"


def plain_kana(text: str) -> str:
    """Return a reading without blanks, in full-width katakana."""
    kana = re.sub(r"\s", "", unicodedata.normalize("NFKC", text))
    return "".join(chr(ord(letter) + 0x60) if "ぁ" <= letter <= "ゖ" else letter for letter in kana)


def pairs(groups: Iterable[tuple[Reason, Iterable[int]]]) -> list[Pair]:
    """Return every two of those who share something, the surest first."""
    shared: dict[tuple[Cid, Cid], set[Reason]] = defaultdict(set)
    for reason, cids in groups:
        members = sorted(set(cids))
        if len(members) <= MOST_SHARING:
            for one, other in combinations(members, 2):
                shared[Cid(one), Cid(other)].add(reason)
    found = [Pair(one, other, tuple(sorted(reasons))) for (one, other), reasons in shared.items()]
    return sorted(found, key=lambda pair: (pair.confidence is not Confidence.HIGH, -len(pair.reasons), pair.first, pair.second))


def lacking(kept: Customer, gone: Customer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the profile fields and the attributes that one has and the other lacks; nothing of his own is overwritten."""
    names = [name for name in PROFILE_FIELDS if name not in ("member_no", "attributes")]
    values = {name: getattr(gone.profile, name) for name in names}
    filled = {name: value for name, value in values.items() if value and not getattr(kept.profile, name)}
    attributes = {name: value for name, value in gone.profile.attributes.items() if name not in kept.profile.attributes}
    return filled, attributes
