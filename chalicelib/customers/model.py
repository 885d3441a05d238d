"""A customer and how he may be reached."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from typing import Any

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import Cid
from chalicelib.ports.database import Item

PROFILE_SK = "P"
DONE = "done"  # beside the profile: which of the latest changes of attributes have taken place
Scalar = str | int | float | bool
_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+\Z")
_POSTAL_CODE = re.compile(r"(\d{3})-?(\d{4})\Z")
_MEMBER_NO = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}\Z")
# What people and keyboards write between digits (NFKC has made － and ｰ into - and ー): also − (macOS), – and —.
_DASHES = "ー‐–—―−─-"
# Year, month and day in digits: eight of them, or with something between; 199011 would be a guess.
_DATE = re.compile(r"(?=\d{8}\D?\Z|\d{4}\D\d{1,2}\D)(\d{4})\D?(\d{1,2})\D?(\d{1,2})\D?\Z")
_MOBILE = re.compile(r"\+81[6-9]0[1-9]\d{7}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class DeliveryChannel(StrEnum):
    """The ways in which something reaches a person."""

    LINE = "line"
    EMAIL = "email"
    SMS = "sms"
    POSTAL = "postal"


class Gender(StrEnum):
    """As the customer told it."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the company knows about a customer. Empty text means unknown; attributes are the company's own typed fields."""

    member_no: str = ""
    name: str = ""
    name_kana: str = ""
    birthday: date | None = None
    gender: Gender | None = None
    email: str = ""
    phone: str = ""
    postal_code: str = ""
    prefecture: str = ""
    city: str = ""
    address: str = ""
    building: str = ""
    attributes: dict[str, Scalar] = field(default_factory=dict)


PROFILE_FIELDS = tuple(entry.name for entry in fields(Profile))


@dataclass(frozen=True, slots=True)
class Consent:
    """A person's word on one channel, with its proof: when, and where he gave it."""

    is_opted_out: bool
    at: str
    source: str


@dataclass(frozen=True, slots=True)
class Customer:
    """A person as the company knows him. merged_into: he became part of another person by identity link."""

    cid: Cid
    profile: Profile
    consents: Mapping[DeliveryChannel, Consent] = field(default_factory=dict)
    aliases: tuple[Cid, ...] = ()
    merged_into: Cid | None = None
    created_at: str = ""

    def has_opted_out(self, channel: DeliveryChannel) -> bool:
        """Say whether he refused this channel."""
        consent = self.consents.get(channel)
        return consent is not None and consent.is_opted_out


def customer_of(cid: Cid, collection: Mapping[str, Item]) -> Customer:
    """Return the customer from his core items; an empty record when he has no profile yet."""
    item = collection.get(PROFILE_SK, {})
    values: dict[str, Any] = {name: item[name] for name in PROFILE_FIELDS if item.get(name)}
    if "birthday" in values:
        values["birthday"] = date.fromisoformat(values["birthday"])
    if "gender" in values:
        values["gender"] = Gender(values["gender"])
    consents: dict[DeliveryChannel, Consent] = {}
    for channel in DeliveryChannel:
        text = item.get(f"consent_{channel}")
        if text:
            word, at, source = text.split(" ", 2)
            consents[channel] = Consent(word == "out", at, source)
    merged = item.get("merged_into")
    return Customer(
        cid=cid,
        profile=Profile(**values),
        consents=consents,
        aliases=tuple(Cid(int(alias)) for alias in item.get("aliases") or ()),
        merged_into=Cid(int(merged)) if merged else None,
        created_at=item.get("created_at") or "",
    )


def clean(name: str, text: str) -> Any:
    """Return the kept form of one profile field given as text, None for an empty one.

    Full-width letters and digits become half-width (NFKC) in codes and addresses of machines, e-mail is lower case, a
    Japanese phone number becomes E.164. Raises InvalidError(`customer.<field>_malformed`) when it cannot be understood.
    """
    value = text.strip()
    if not value:
        return None
    if _CONTROL.search(value) or len(value) > 500:
        raise InvalidError("customer.text_malformed", field=name)
    cleaner = _CLEANERS.get(name)
    return cleaner(value) if cleaner else value


def _member_no(value: str) -> str:
    code = unicodedata.normalize("NFKC", value)
    if not _MEMBER_NO.match(code):
        raise InvalidError("customer.member_no_malformed", field="member_no")
    return code


def _birthday(value: str) -> date:
    match = _DATE.match(unicodedata.normalize("NFKC", value))
    try:
        if match:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass
    raise InvalidError("customer.birthday_malformed", field="birthday")


def _gender(value: str) -> Gender:
    words = {"female": Gender.FEMALE, "f": Gender.FEMALE, "女": Gender.FEMALE, "女性": Gender.FEMALE,
             "male": Gender.MALE, "m": Gender.MALE, "男": Gender.MALE, "男性": Gender.MALE,
             "other": Gender.OTHER, "その他": Gender.OTHER}  # fmt: skip
    gender = words.get(value.lower())
    if gender is None:
        raise InvalidError("customer.gender_malformed", field="gender")
    return gender


def _email(value: str) -> str:
    address = unicodedata.normalize("NFKC", value).lower()
    if not _EMAIL.match(address) or len(address) > 254:
        raise InvalidError("customer.email_malformed", field="email")
    return address


def _phone(value: str) -> str:
    digits = re.sub(rf"[\s(){_DASHES}]", "", unicodedata.normalize("NFKC", value))
    digits = re.sub(r"\A\+810", "+81", digits)  # +81 (0)90-…
    if re.match(r"0\d{9,10}\Z", digits):
        return "+81" + digits[1:]
    if re.match(r"\+\d{8,15}\Z", digits):
        return digits
    raise InvalidError("customer.phone_malformed", field="phone")


def _postal_code(value: str) -> str:
    code = unicodedata.normalize("NFKC", value).removeprefix("〒").strip()
    match = _POSTAL_CODE.match(re.sub(rf"[\s{_DASHES}]", "-", code))
    if not match:
        raise InvalidError("customer.postal_code_malformed", field="postal_code")
    return f"{match[1]}-{match[2]}"


_CLEANERS = {
    "member_no": _member_no,
    "birthday": _birthday,
    "gender": _gender,
    "email": _email,
    "phone": _phone,
    "postal_code": _postal_code,
}


def is_mobile(phone: str) -> bool:
    """Say whether a number can take an SMS: in Japan 060, 070, 080, 090, not 0800; abroad we cannot tell and say yes."""
    return not phone.startswith("+81") or _MOBILE.match(phone) is not None


def has_postal_address(profile: Profile) -> bool:
    """Say whether a letter could be addressed to him."""
    return bool(profile.postal_code and profile.name and (profile.prefecture or profile.city) and profile.address)
