"""One call to LINE while it is being answered, and what an area says of each operation it offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from line_simulator.exchange import ApiError, Request, Response
from line_simulator.faults.faults import Fault
from line_simulator.world.state import Channel, JsonObject


class Reads(Enum):
    """What an operation takes from the body of the request."""

    NOTHING = "nothing"
    JSON = "json"
    FORM = "form"
    BYTES = "bytes"


@dataclass(slots=True)
class Context:
    """One call. `parameters` are those in the path; `body` and `form` are read as the operation wants them.

    client_id: the LINE Login channel it belongs to, for the journal. module: the module channel that calls for `channel`.
    """

    request: Request
    request_id: str
    operation_id: str
    parameters: dict[str, str]
    channel: Channel | None = None
    body: JsonObject = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    notes: list[str] = field(default_factory=list)
    client_id: str = ""
    module: Channel | None = None

    @property
    def owner(self) -> Channel:
        """The authenticated channel."""
        if self.channel is None:
            raise ApiError(401, "Authentication failed due to the following reason: missing authorization header")
        return self.channel

    @property
    def query(self) -> dict[str, str]:
        """The query string; the last of repeated names wins."""
        return self.request.parameters()


Act = Callable[[Context], Response]


@dataclass(frozen=True, slots=True)
class Operation:
    """How to answer one operation.

    account: it needs a channel access token. locked: the world's lock is held meanwhile.
    optional_body: a missing JSON body reads as an empty object. retry_key: X-Line-Retry-Key is supported.
    partial: what of it is missing, if anything. What its answer rests on stands in evidence.py.
    """

    act: Act
    reads: Reads = Reads.NOTHING
    account: bool = True
    locked: bool = True
    optional_body: bool = False
    retry_key: bool = False
    partial: str = ""


class Area(Protocol):
    """A part of the platform: rich menus, tokens, insight, …"""

    def operations(self) -> Mapping[str, Operation]:
        """Return the operations this area answers, by operationId."""
