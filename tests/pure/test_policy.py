"""Send, hold or skip."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from chalicelib.customers.model import DeliveryChannel, Profile
from chalicelib.delivery.model import Hold, Job, Send, Skip
from chalicelib.delivery.policy import decide
from chalicelib.friends.model import FollowState
from chalicelib.kernel.ids import AccountKey
from chalicelib.kernel.windows import DeliveryWindow
from chalicelib.segments.model import Person
from tests.pure.test_segments import MAIN, SUB, friend, person

NIGHT = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)  # 23:00 in Japan
OPENS = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)  # 09:00
DAY = DeliveryWindow(time(9), time(21))


def job(
    channel: DeliveryChannel = DeliveryChannel.LINE,
    account: AccountKey | None = MAIN,
    window: DeliveryWindow | None = DAY,
    hold: bool = True,
) -> Job:
    return Job("b", "c", "v", channel, "tpl", "cmp|x|y", NIGHT, account, window, hold)


WITH_EMAIL = Profile(email="a@b.test")


@pytest.mark.parametrize(
    ("one", "channel", "why"),
    [
        (
            person(WITH_EMAIL, out=(DeliveryChannel.EMAIL,), suppressed=frozenset({DeliveryChannel.EMAIL})),
            DeliveryChannel.EMAIL,
            "opted_out",
        ),
        (person(out=(DeliveryChannel.EMAIL,)), DeliveryChannel.EMAIL, "opted_out"),
        (person(WITH_EMAIL, suppressed=frozenset({DeliveryChannel.EMAIL})), DeliveryChannel.EMAIL, "address_refused"),
        (person(), DeliveryChannel.EMAIL, "no_address"),
        (person(Profile(phone="+81312345678")), DeliveryChannel.SMS, "no_address"),
        (person(WITH_EMAIL), DeliveryChannel.POSTAL, "no_address"),
        (person(), DeliveryChannel.LINE, "not_a_friend"),
        (person(friends=(friend(SUB),)), DeliveryChannel.LINE, "not_a_friend"),
        (person(friends=(friend(state=FollowState.BLOCKED),)), DeliveryChannel.LINE, "blocked"),
        (person(friends=(friend(),), out=(DeliveryChannel.LINE,)), DeliveryChannel.LINE, "opted_out"),
    ],
)
def test_a_refusal_outweighs_a_missing_address_and_both_outweigh_the_hour(one: Person, channel: DeliveryChannel, why: str) -> None:
    assert decide(job(channel), one, NIGHT) == Skip(why)


def test_a_refusal_on_one_channel_is_none_on_another() -> None:
    one = person(WITH_EMAIL, friends=(friend(),), out=(DeliveryChannel.EMAIL,))
    assert decide(job(window=None), one, NIGHT) == Send(MAIN)


def test_it_holds_until_the_window_opens_and_sends_then() -> None:
    one = person(friends=(friend(),))
    assert decide(job(), one, NIGHT) == Hold(OPENS, "quiet_hours")
    assert decide(job(), one, OPENS - timedelta(microseconds=1)) == Hold(OPENS, "quiet_hours")
    assert decide(job(), one, OPENS) == Send(MAIN)


def test_it_skips_outside_the_window_when_it_may_not_hold() -> None:
    assert decide(job(hold=False), person(friends=(friend(),)), NIGHT) == Skip("outside_window")


def test_without_an_account_any_reachable_friendship_serves_and_blocks_are_called_so() -> None:
    anywhere = job(account=None, window=None)
    assert decide(anywhere, person(friends=(friend(MAIN, FollowState.BLOCKED), friend(SUB))), NIGHT) == Send(SUB)
    assert decide(anywhere, person(friends=(friend(MAIN, FollowState.BLOCKED),)), NIGHT) == Skip("blocked")
    assert decide(anywhere, person(), NIGHT) == Skip("not_a_friend")


def test_only_line_names_an_account() -> None:
    assert decide(job(DeliveryChannel.EMAIL, window=None), person(WITH_EMAIL), NIGHT) == Send(None)
