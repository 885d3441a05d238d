"""LINE Login's part of the world: login channels, authorisation codes, users' tokens, consents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from line_simulator.exchange import SimulatorError
from line_simulator.faults.faults import Faults
from line_simulator.world.state import Channel, PersonRecord, World, part

CODE_SECONDS: Final = 600.0
ACCESS_SECONDS: Final = 2_592_000
REFRESH_SECONDS: Final = 90 * 86_400
# The console takes at most 400 callback URLs.
_CALLBACKS_MAX: Final = 400


@dataclass(slots=True)
class LoginChannel:
    """A LINE Login channel for web apps. bot_id: the linked Messaging API channel, or empty.

    email: the permission to ask for addresses, which LINE grants on application.
    """

    id: str
    name: str
    secret: str
    provider: str
    callback_urls: list[str] = field(default_factory=list)
    bot_id: str = ""
    email: bool = True


@dataclass(slots=True)
class Code:
    """An authorisation code: ten minutes, one use even if the token call fails."""

    channel_id: str
    user_id: str
    redirect_uri: str
    scopes: list[str]
    expires_at: float
    amr: str
    nonce: str | None = None
    challenge: str | None = None
    auth_time: int | None = None
    used: bool = False


@dataclass(slots=True)
class UserToken:
    """A user's access token, or the refresh token behind it."""

    channel_id: str
    user_id: str
    scopes: list[str]
    expires_at: float


@part("login")
@dataclass(slots=True)
class LoginBook:
    """Everything LINE Login remembers. consents and emails: scopes agreed to, and the address then, by "channel id/user id"."""

    channels: dict[str, LoginChannel] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, UserToken] = field(default_factory=dict)
    refresh: dict[str, UserToken] = field(default_factory=dict)
    consents: dict[str, list[str]] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)
    # The private number of the ES256 key as hexadecimal digits, made on first need, and its kid.
    key: str = ""
    kid: str = ""


def add_login_channel(world: World, name: str, /, **attributes: Any) -> LoginChannel:
    """Create a login channel, or return the one of this id or name after setting the given attributes.

    attributes: channel_id, secret, provider, callback_urls, bot (a Messaging API channel, its id or name), email.
    Raises SimulatorError for what no channel could have.
    """
    with world.lock:
        bot = _bot(world, attributes.pop("bot", None))
        wanted = {key: value for key, value in attributes.items() if value is not None}
        _check(wanted)
        channel_id = wanted.pop("channel_id", None)
        if channel_id in world.state.channels:
            raise SimulatorError(f"{channel_id} is a Messaging API channel.")
        provider = wanted.setdefault("provider", bot.provider) if bot else wanted.get("provider", "main")
        if bot and bot.provider != provider:
            # Only accounts of the same provider can be linked (Add a LINE Official Account as a friend when logged in).
            raise SimulatorError(f"{bot.name} belongs to another provider, {bot.provider!r}, and cannot be linked.")
        book = world.part(LoginBook)
        known = book.channels.get(channel_id or "") or next(
            (one for one in book.channels.values() if channel_id is None and one.name == name), None
        )
        channel = known or LoginChannel(channel_id or world.ids.channel_id(), name, world.ids.hex32(), provider)
        book.channels[channel.id] = channel
        channel.name = name
        for key, value in wanted.items():
            setattr(channel, key, list(value) if key == "callback_urls" else value)
        channel.bot_id = bot.id if bot else channel.bot_id
        world.state.next_sequence()
        return channel


def find_login_channel(world: World, key: str) -> LoginChannel:
    """Return the login channel of this id or name. Raises SimulatorError if there is none."""
    book = world.part(LoginBook)
    found = book.channels.get(key) or next((one for one in book.channels.values() if one.name == key), None)
    if found is None:
        raise SimulatorError(f"There is no login channel {key!r}.", 404)
    return found


def linked_account(world: World, channel: LoginChannel) -> Channel | None:
    """Return the Messaging API channel linked to a login channel, if any."""
    return world.state.channels.get(channel.bot_id)


def person_of(world: World, user_id: str) -> PersonRecord | None:
    """Return whose user id this is."""
    owner = world.state.owners.get(user_id)
    return owner[1] if owner else None


def issue_code(world: World, code: Code) -> str:
    """Remember an authorisation code and return it."""
    book = world.part(LoginBook)
    for old in [value for value, one in book.codes.items() if one.expires_at <= world.clock.time()]:
        del book.codes[old]
    value = world.ids.url_token(15)
    book.codes[value] = code
    world.state.next_sequence()
    return value


def agree(world: World, channel_id: str, user_id: str, scopes: list[str]) -> None:
    """Remember that a user granted scopes to a login channel."""
    book, key = world.part(LoginBook), f"{channel_id}/{user_id}"
    granted = book.consents.setdefault(key, [])
    granted += [scope for scope in scopes if scope not in granted]
    person = person_of(world, user_id)
    if "email" in scopes and person is not None:
        book.emails[key] = person.email


def agreed(world: World, channel_id: str, user_id: str) -> list[str]:
    """Return the scopes a user granted to a login channel; no longer email if the address has changed since.

    LINE also asks for it again after a time that it does not tell (Integrating LINE Login, When the consent screen is shown).
    """
    book, key = world.part(LoginBook), f"{channel_id}/{user_id}"
    granted, person = book.consents.get(key, []), person_of(world, user_id)
    if person is None or book.emails.get(key, person.email) == person.email:
        return granted
    return [scope for scope in granted if scope != "email"]


def withdraw(world: World, channel_id: str, user_id: str) -> None:
    """Take back everything a user granted to a login channel, tokens included."""
    book = world.part(LoginBook)
    book.consents.pop(f"{channel_id}/{user_id}", None)
    book.emails.pop(f"{channel_id}/{user_id}", None)
    for tokens in (book.access, book.refresh):
        for value in [key for key, one in tokens.items() if (one.channel_id, one.user_id) == (channel_id, user_id)]:
            del tokens[value]


def struck(faults: Faults, kinds: tuple[str, ...], channel: Channel | LoginChannel) -> str | None:
    """Return the first of these kinds of faults that applies to the channel now, or None."""
    return next((kind for kind in kinds if faults.struck(kind, (channel.id, channel.name)) is not None), None)


def is_registered(channel: LoginChannel, redirect_uri: str) -> bool:
    """Tell whether a redirect_uri is a callback URL of the channel; it may carry further query parameters."""
    asked = _split(redirect_uri)
    if asked is None:
        return False
    given = parse_qsl(asked.query, keep_blank_values=True)
    for url in channel.callback_urls:
        known = _split(url)
        if known is None or known._replace(query="") != asked._replace(query=""):
            continue
        if all(pair in given for pair in parse_qsl(known.query, keep_blank_values=True)):
            return True
    return False


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL that can stand in a Location header, else None."""
    if not all("!" <= letter <= "~" for letter in url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.netloc and "#" not in url else None


def _bot(world: World, bot: object) -> Channel | None:
    if bot is None or isinstance(bot, Channel):
        return bot
    return world.channel(str(bot))


def _check(attributes: dict[str, Any]) -> None:
    kinds: dict[str, type | tuple[type, ...]] = {
        "channel_id": str,
        "secret": str,
        "provider": str,
        "callback_urls": (list, tuple),
        "email": bool,
    }
    for key, value in attributes.items():
        if key not in kinds:
            raise SimulatorError(f"A login channel has no attribute {key!r}.")
        if not isinstance(value, kinds[key]):
            raise SimulatorError(f"The attribute {key} of a login channel cannot be {value!r}.")
    channel_id, secret = attributes.get("channel_id", "0" * 10), attributes.get("secret", "0" * 32)
    if len(channel_id) != 10 or not (channel_id.isascii() and channel_id.isdigit()):
        raise SimulatorError(f"A channel id has ten digits; {channel_id!r} has not.")
    if len(secret) != 32 or set(secret) - set("0123456789abcdef"):
        raise SimulatorError("A channel secret has 32 hexadecimal digits.")
    urls = attributes.get("callback_urls", ())
    wrong = [url for url in urls if not isinstance(url, str) or _split(url) is None]
    if wrong or len(urls) > _CALLBACKS_MAX:
        raise SimulatorError(f"Callback URLs are at most 400 http or https URLs without a fragment; {wrong[:1]!r} is wrong.")
