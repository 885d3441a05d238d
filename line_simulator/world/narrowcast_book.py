"""Narrowcasts as LINE knows them: how far each has come."""

from __future__ import annotations

from dataclasses import dataclass, field

from line_simulator.world.state import Channel, JsonObject, part


@dataclass(slots=True)
class Narrowcast:
    """One accepted narrowcast. phase: waiting, sending, succeeded or failed. Times are epoch seconds.

    reserved: messages of `month` (yyyymm) it holds back from the quota. limit: at most so many recipients.
    error: the errorCode of a failure (NarrowcastProgressResponse in messaging-api.yml); `doomed` is one it will end with.
    """

    request_id: str
    channel_id: str
    retry_key: str | None
    body: bytes
    messages: int
    accepted_at: float
    filtered_at: float
    done_at: float
    month: str
    limit: int
    reserved: int = 0
    recipient: JsonObject | None = None
    demographic: JsonObject | None = None
    whole: bool = False
    doomed: int = 0
    reason: str = ""
    phase: str = "waiting"
    error: int = 0
    targets: list[str] = field(default_factory=list)
    target_count: int = 0
    success: int = 0
    completed_at: float = 0.0
    sequence: int = 0

    @property
    def running(self) -> bool:
        """Whether it is neither done nor failed."""
        return self.phase in ("waiting", "sending")


@part("narrowcasts")
@dataclass(slots=True)
class NarrowcastBook:
    """All narrowcasts by the request id of their call."""

    narrowcasts: dict[str, Narrowcast] = field(default_factory=dict)

    def of(self, channel: Channel, request_id: str) -> Narrowcast | None:
        """Return the channel's narrowcast of this request id, if there is one."""
        found = self.narrowcasts.get(request_id)
        return found if found is not None and found.channel_id == channel.id else None


def reserve(channel: Channel, narrowcast: Narrowcast, amount: int) -> None:
    """Hold back so many messages for a narrowcast, instead of what it held before."""
    left = channel.reserved.get(narrowcast.month, 0) - narrowcast.reserved + amount
    narrowcast.reserved = amount
    if left:
        channel.reserved[narrowcast.month] = left
    else:
        channel.reserved.pop(narrowcast.month, None)
