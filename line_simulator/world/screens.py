"""What a bot shows on a person's screen besides messages: loading dots, and which of the person's messages it has read."""

from __future__ import annotations

from dataclasses import dataclass, field

from line_simulator.world.state import Channel, Friendship, Said, World, part


@part("screens")
@dataclass(slots=True)
class Screens:
    """loading: by channel id/user id, until when (epoch seconds) and since which sequence number the dots are shown.

    tokens: by markAsReadToken, the chat (channel id/user id) and the sequence number of the message it came with.
    read: by channel id/user id, the sequence number up to which the bot has read.
    """

    loading: dict[str, tuple[float, int]] = field(default_factory=dict)
    tokens: dict[str, tuple[str, int]] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)


def start_loading(world: World, channel: Channel, user_id: str, seconds: float) -> None:
    """Show loading dots to a friend for `seconds` of virtual time, or until the next message; others see nothing.

    LINE shows them only in a chat that is open just then, on iOS and Android (reference, Display a loading animation). Phones
    here have no such moment, so every friend's chat counts as open.
    """
    chat = channel.chats.get(user_id)
    owner = world.state.owners.get(user_id)
    if chat is None or chat.status is not Friendship.FRIEND or (owner is not None and owner[1].app == "pc"):
        return
    until = world.clock.time() + seconds
    world.part(Screens).loading[_key(channel, user_id)] = (until, world.state.next_sequence())


def loading_seconds(world: World, channel: Channel, user_id: str) -> float:
    """Return how long the loading dots are still shown; 0.0 when they are not."""
    until, since = world.part(Screens).loading.get(_key(channel, user_id), (0.0, 0))
    chat = channel.chats.get(user_id)
    if chat is not None and chat.inbox and chat.inbox[-1].sequence > since:
        return 0.0
    return max(0.0, until - world.clock.time())


def keep_token(world: World, channel: Channel, user_id: str, token: str) -> None:
    """Remember which message a markAsReadToken was given out with: the newest one."""
    world.part(Screens).tokens[token] = (_key(channel, user_id), world.state.sequence)


def mark_as_read(world: World, token: str) -> None:
    """Note that the bot read everything up to the message of this token. Unknown tokens are ignored."""
    screens = world.part(Screens)
    key, sequence = screens.tokens.get(token, ("", 0))
    if key:
        screens.read[key] = max(sequence, screens.read.get(key, 0))
        world.state.next_sequence()


def mark_all_as_read(world: World, channel: Channel, user_id: str) -> None:
    """Note that the bot read everything the user wrote so far."""
    world.part(Screens).read[_key(channel, user_id)] = world.state.next_sequence()


def reads_by_hand(channel: Channel) -> bool:
    """Say whether messages show as read only when the bot says so: with chat on, or with the older call by user id.

    Source: BotInfoResponse.markAsReadMode; Mark as read (old), which switches the automatic mark off.
    """
    return channel.chat_mode == "chat" or "mark_as_read" in channel.options


def is_read(world: World, channel: Channel, user_id: str, said: Said) -> bool:
    """Say whether a person's message shows as read: at once unless the account has chat on (BotInfoResponse.markAsReadMode)."""
    if not reads_by_hand(channel):
        return True
    return said.sequence <= world.part(Screens).read.get(_key(channel, user_id), 0)


def _key(channel: Channel, user_id: str) -> str:
    return f"{channel.id}/{user_id}"
