"""What LINE grants to accounts on application, and what it keeps for it: phone numbers, messages on hold, mission stickers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Final

from line_simulator.exchange import SimulatorError
from line_simulator.world.state import DAY_SECONDS, Channel, JsonObject, PersonRecord, World, part

# pnp and pnp_templated: LINE notification messages (flexible, template). mark_as_read: the older call, by user id.
# mission_stickers. module: this is no account's channel but one to attach to accounts; default_active: it takes all chats over.
OPTIONS: Final = ("pnp", "pnp_templated", "mark_as_read", "mission_stickers", "module", "default_active")
CONSENTS: Final = ("on", "off", "unset")
# A message waits 24 hours for consent or SMS (Technical specifications of the LINE notification messages API).
HOLD_SECONDS: Final = DAY_SECONDS
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SERVED: Final = ("+81", "+66", "+886")


@dataclass(slots=True)
class Held:
    """A LINE notification message that waits until its reader consents or verifies the number. digest: the hashed number."""

    person_id: str
    channel_id: str
    via: str
    digest: str
    data: str
    body: bytes
    request_id: str
    at: float


@dataclass(slots=True)
class MissionSticker:
    """A set of stickers. is_mission False: one that is sold. channels: ids of accounts that may give it.

    starts, ends: epoch seconds, None for no bound. apps: ios, android, pc, where it can be used.
    """

    product_id: str
    channels: list[str]
    is_mission: bool = True
    starts: float | None = None
    ends: float | None = None
    apps: list[str] = field(default_factory=lambda: ["ios", "android", "pc"])


@part("partners")
@dataclass(slots=True)
class PartnerBook:
    """phones: person ids by hashed phone number. stickers: by product id. given: product ids by person id."""

    phones: dict[str, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    stickers: dict[str, MissionSticker] = field(default_factory=dict)
    given: dict[str, list[str]] = field(default_factory=dict)


def is_granted(channel: Channel, option: str) -> bool:
    """Say whether the account has this of OPTIONS."""
    return option in channel.options


def settle_options(attributes: JsonObject) -> None:
    """Write the options among a channel's attributes as a list without repetition. Raises SimulatorError for unknown ones."""
    given = attributes.get("options")
    if given is None:
        return
    if not isinstance(given, (list, tuple, set, frozenset)) or not all(isinstance(one, str) for one in given):
        raise SimulatorError("options of a channel must be a list.")
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        raise SimulatorError(f"There is no option {unknown[0]!r}; known are {', '.join(OPTIONS)}.")
    attributes["options"] = [one for one in OPTIONS if one in given]


def check_phone(world: World, person: PersonRecord | None, attributes: JsonObject) -> None:
    """Raise SimulatorError for a phone number or consent that no person could have."""
    phone, consent = attributes.get("phone", ""), attributes.get("phone_consent", "on")
    if phone and _PHONE.fullmatch(phone) is None:
        raise SimulatorError(f"A phone number is written as +818000001234 (E.164); {phone!r} is not.")
    owner = world.part(PartnerBook).phones.get(digest_of(phone)) if phone else None
    if owner is not None and (person is None or owner != person.id):
        raise SimulatorError(f"The phone number {phone} is somebody else's.", 409)
    if consent not in CONSENTS:
        raise SimulatorError(f"phone_consent is one of {', '.join(CONSENTS)}, not {consent!r}.")


def set_phone(world: World, person: PersonRecord, phone: str) -> None:
    """Give a person this number; what was on its way to the old one never arrives (Flow when receiving a message)."""
    book = world.part(PartnerBook)
    if person.phone and person.phone != phone:
        book.phones.pop(digest_of(person.phone), None)
        book.held = [one for one in book.held if one.person_id != person.id]
    person.phone = phone
    if phone:
        book.phones[digest_of(phone)] = person.id


def digest_of(phone: str) -> str:
    """Return what stands for a phone number in the API: SHA-256 of E.164, in hexadecimal."""
    return hashlib.sha256(phone.encode("utf-8", "replace")).hexdigest()


def person_of(world: World, digest: str) -> PersonRecord | None:
    """Return who can be sent LINE notification messages by this hashed number, on hold or not.

    None for a number nobody has, one of a country without the service, and people who refuse.
    """
    person = world.state.people.get(world.part(PartnerBook).phones.get(digest, ""))
    if person is None or not person.phone.startswith(_SERVED) or person.phone_consent == "off":
        return None
    return person


def take_held(world: World, person: PersonRecord) -> list[Held]:
    """Take from the book, oldest first, what waits for this person and is not too old."""
    book, now = world.part(PartnerBook), world.clock.time()
    taken = [one for one in book.held if one.person_id == person.id]
    book.held = [one for one in book.held if one.person_id != person.id]
    return [one for one in taken if now - one.at <= HOLD_SECONDS]


def set_sticker(world: World, product_id: str, channels: list[Channel], /, **attributes: Any) -> MissionSticker:
    """Add or replace a set of stickers; see MissionSticker. Raises SimulatorError for what no set could be."""
    made = MissionSticker(product_id, [one.id for one in channels])
    for name, value in attributes.items():
        kinds = _STICKER_KINDS.get(name)
        if kinds is None or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise SimulatorError(f"A set of stickers cannot have {name} {value!r}.")
        setattr(made, name, value)
    if not product_id.isascii() or not product_id.isdigit():
        raise SimulatorError("The id of a set of stickers is a number, written as text.")
    world.part(PartnerBook).stickers[product_id] = made
    world.state.next_sequence()
    return made


_STICKER_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "is_mission": (bool,),
    "starts": (int, float, type(None)),
    "ends": (int, float, type(None)),
    "apps": (list,),
}
