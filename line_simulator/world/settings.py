"""The switches of the simulated LINE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from line_simulator.exchange import SimulatorError

_DAY_SECONDS: Final = 86_400.0
_LONGEST_SECONDS: Final = 1e9
_LANES_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """How this simulated LINE behaves where the real one is a choice, secret or contradictory."""

    strict_reply_tokens: bool = True
    # The prose of LINE's documentation says 200 without delivery, its error table says 400.
    multicast_foreign_id: int = 400
    # LINE keeps its redelivery schedule secret; these are real seconds between attempts.
    redelivery_delays: tuple[float, ...] = (0.3, 1.0, 3.0)
    webhook_timeout_seconds: float = 2.0
    webhook_lanes: int = 1
    # False takes any certificate of a bot on https; LINE takes only those of public authorities.
    webhook_verify_tls: bool = True
    # Virtual seconds of nothing but failures after which webhooks are switched off; LINE does not tell its own. None: never.
    webhook_suspend_seconds: float | None = None
    # Virtual seconds until a video or sound can be fetched, and until content is deleted (None: never); LINE tells neither.
    transcoding_seconds: float = 0.0
    content_seconds: float | None = None
    # Virtual seconds. LINE says that audiences may take hours, and nothing about narrowcasts.
    audience_seconds: float = 2.0
    narrowcast_waiting_seconds: float = 2.0
    narrowcast_sending_seconds: float = 3.0
    # "Several days" pass before what people did appears in statistics (documentation, Get statistics of sent messages).
    statistics_delay_days: float = 3.0
    # The OpenAPI text reserves aggregation units for corporate users with an application; the documentation does not.
    units_corporate_only: bool = False
    # The OpenAPI lists unavailable_for_privacy for all delivery counts, the reference only for LINE notification messages.
    small_delivery_counts_hidden: bool = False
    # Most of LINE's reference says 100 calls an hour ("100h"), some sections 2,000 a second ("2000s").
    rich_menu_progress_limit: str = "100h"
    # Virtual seconds until bulk links ("within a few seconds") and batches take effect; LINE names no time for batches.
    rich_menu_bulk_seconds: float = 1.0
    rich_menu_batch_seconds: float = 10.0
    accept_sim_clock: bool = True
    journal_size: int = 20_000

    def __post_init__(self) -> None:
        """Raise SimulatorError for numbers that no waiting could take."""
        times = [name for name in self.__slots__ if name.endswith(("_seconds", "_days", "_delays"))]
        for name in times:
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None and not 0 <= one <= _LONGEST_SECONDS:
                    raise SimulatorError(f"The setting {name} must be from 0 to {_LONGEST_SECONDS:,.0f}.")
        if not 0 < self.webhook_timeout_seconds <= _DAY_SECONDS or any(one > _DAY_SECONDS for one in self.redelivery_delays):
            raise SimulatorError("Webhooks wait for at most a day, and for an answer longer than no time.")
        if not 1 <= self.webhook_lanes <= _LANES_MAX or self.journal_size < 1:
            raise SimulatorError(f"There are 1 to {_LANES_MAX} webhook lanes, and the journal keeps at least one call.")
        if self.multicast_foreign_id not in (200, 400) or self.rich_menu_progress_limit not in ("100h", "2000s"):
            raise SimulatorError("multicast_foreign_id is 200 or 400, rich_menu_progress_limit 100h or 2000s.")
