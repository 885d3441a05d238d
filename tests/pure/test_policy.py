"""Send, hold or skip."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.customers.model import DeliveryChannel, Profile
from chalicelib.delivery.model import (
    REASONS,
    Cap,
    Hold,
    Job,
    MachineChannel,
    PastSend,
    Send,
    Skip,
    cap_words,
    parse_cap,
    reason,
)
from chalicelib.delivery.policy import decide
from chalicelib.friends.model import FollowState
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.facts import ReplyToken
from chalicelib.kernel.ids import AccountKey
from chalicelib.kernel.windows import DeliveryWindow
from chalicelib.segments.model import Person
from chalicelib.tracking.model import Activity
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


# Caps, habits, importance ---------------------------------------------------------------------------------------------------


def habit(hour: int) -> Activity:
    return Activity(NIGHT, tuple(9 if at == hour else 0 for at in range(24)))


def past(hours: float, channel: str = "line", source: str = "cmp|x") -> PastSend:
    return PastSend(NIGHT - timedelta(hours=hours), channel, source)


HANAKO = person(friends=(friend(),))
WEEK = timedelta(days=7)


def test_a_reason_to_leave_everybody_out_outweighs_all() -> None:
    assert decide(replace(job(), skip="paused"), person(), NIGHT) == Skip("paused")


def test_over_a_cap_it_waits_until_the_oldest_leaves_the_period_or_is_left_out() -> None:
    delay = replace(job(window=None), caps=(Cap("all", 2, WEEK, "delay"),))
    sends = [past(100), past(50, "email", "scn|s"), past(24 * 7)]  # the last has just left
    assert decide(delay, HANAKO, NIGHT, sends) == Hold(NIGHT - timedelta(hours=100) + WEEK, "cap")
    assert decide(delay, HANAKO, NIGHT - timedelta(hours=100) + WEEK, sends) == Send(MAIN)
    assert decide(replace(delay, caps=(Cap("all", 2, WEEK, "skip"),)), HANAKO, NIGHT, sends) == Skip("cap")


def test_those_whom_a_cap_holds_wait_together_until_the_next_quarter_of_an_hour() -> None:
    one = replace(job(window=None), caps=(Cap("all", 1, timedelta(days=1), "delay"),))
    earlier = PastSend(datetime(2026, 11, 22, 3, 7, 12, 345_000, tzinfo=UTC), "line", "cmp|y")
    assert decide(one, HANAKO, NIGHT, [earlier]) == Hold(datetime(2026, 11, 23, 3, 15, tzinfo=UTC), "cap")


def test_a_cap_that_was_lowered_since_waits_for_as_many_as_are_too_many() -> None:
    one = replace(job(window=None), caps=(Cap("all", 1, WEEK, "delay"),))
    assert decide(one, HANAKO, NIGHT, [past(3), past(1), past(2)]) == Hold(NIGHT - timedelta(hours=1) + WEEK, "cap")


@pytest.mark.parametrize(
    ("cap", "sends", "counts"),
    [
        (Cap("source", 1, WEEK, "skip"), past(1), True),
        (Cap("source", 1, WEEK, "skip"), past(1, source="cmp|y"), False),
        (Cap("channel", 1, WEEK, "skip"), past(1, source="cmp|y"), True),
        (Cap("channel", 1, WEEK, "skip"), past(1, "email"), False),
        (Cap("all", 1, WEEK, "skip"), past(1, "email", "scn|y"), True),
        (Cap("all", 1, WEEK, "skip", "email"), past(1), False),  # binds e-mails only
        (Cap("all", 1, WEEK, "skip", "line"), past(1, "email"), True),
    ],
)
def test_a_cap_counts_what_its_scope_says(cap: Cap, sends: PastSend, counts: bool) -> None:
    decision = decide(replace(job(window=None), caps=(cap,)), HANAKO, NIGHT, [sends])
    assert decision == (Skip("cap") if counts else Send(MAIN))


def test_it_waits_for_the_hour_in_which_he_usually_acts() -> None:
    one = replace(HANAKO, activity=habit(20))
    patient = replace(job(), best_hour=True)
    eight = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
    assert decide(patient, one, NIGHT) == Hold(eight, "best_hour")
    assert decide(patient, one, eight) == Send(MAIN)
    assert decide(patient, one, eight + timedelta(minutes=59)) == Send(MAIN)
    assert decide(patient, one, eight + timedelta(hours=1)) == Hold(eight + timedelta(days=1), "best_hour")
    assert decide(patient, HANAKO, OPENS) == Send(MAIN)  # no habit, no wait


def test_a_habit_of_the_night_is_content_with_the_window() -> None:
    patient = replace(job(), best_hour=True)
    one = replace(HANAKO, activity=habit(2))
    assert decide(patient, one, NIGHT) == Hold(OPENS, "quiet_hours")
    assert decide(patient, one, OPENS) == Send(MAIN)


def test_what_is_important_waits_for_nothing_and_what_was_asked_for_knows_no_cap() -> None:
    full = replace(job(), caps=(Cap("all", 1, WEEK, "skip"),), best_hour=True)
    one = replace(HANAKO, activity=habit(12))
    assert decide(replace(full, important=True), one, NIGHT, [past(1)]) == Send(MAIN)
    asked = replace(full, reply=ReplyToken("t", NIGHT), window=None, best_hour=False)
    assert decide(asked, one, NIGHT, [past(1)]) == Send(MAIN)


def test_a_machine_is_told_whatever_the_person_refused_and_whatever_the_hour() -> None:
    hook = replace(job(), channel=MachineChannel.WEBHOOK, caps=(Cap("all", 1, WEEK, "skip"),))
    assert decide(hook, person(out=tuple(DeliveryChannel)), NIGHT, [past(1)]) == Send()
    assert decide(replace(hook, skip="paused"), person(), NIGHT) == Skip("paused")


CAPS = st.builds(
    Cap,
    st.sampled_from(["all", "source", "channel"]),
    st.integers(1, 4),
    st.integers(1, 31 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    st.sampled_from(["delay", "skip"]),
    st.sampled_from(["", "line", "email"]),
)
CLOCK_TIMES = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
WINDOWS = st.tuples(CLOCK_TIMES, CLOCK_TIMES).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: DeliveryWindow(*pair))
PASTS = st.builds(past, st.floats(0, 31 * 24), st.sampled_from(["line", "email"]), st.sampled_from(["cmp|x", "scn|s"]))


@given(
    st.lists(CAPS, max_size=3),
    st.none() | WINDOWS,
    st.booleans(),
    st.none() | st.integers(0, 23),
    st.booleans(),
    st.lists(PASTS, max_size=8),
    st.integers(0, 24 * 60 - 1),
)
def test_however_often_it_waits_it_ends_soon_never_in_closed_hours_and_never_over_a_cap(
    caps: list[Cap],
    window: DeliveryWindow | None,
    hold: bool,
    hour: int | None,
    important: bool,
    sends: list[PastSend],
    minute: int,
) -> None:
    one = HANAKO if hour is None else replace(HANAKO, activity=habit(hour))
    asked = replace(job(window=window, hold=hold), caps=tuple(caps), best_hour=True, important=important)
    now, whys = NIGHT + timedelta(minutes=minute), list[str]()
    while isinstance(decision := decide(asked, one, now, sends), Hold):
        assert decision.until > now
        now = decision.until
        whys.append(decision.why)
        assert len(whys) <= 4, whys
        assert decision.why != whys[-2] if len(whys) > 1 else True
    if decision == Send(MAIN) and not important:
        assert window is None or window.is_open(now)
        for cap in caps:
            counted = [
                s
                for s in sends
                if now - s.at < cap.per
                and (cap.scope == "all" or getattr(s, cap.scope) == {"source": "cmp|x", "channel": "line"}[cap.scope])
            ]
            assert cap.channel == "email" or len(counted) < cap.most
    else:
        assert decision in (Send(MAIN), Skip("cap"), Skip("outside_window"))


def test_every_word_has_its_sentences() -> None:
    words = {
        "quiet_hours",
        "cap",
        "best_hour",
        "outside_window",
        "paused",
        "opted_out",
        "address_refused",
        "no_address",
        "not_a_friend",
        "blocked",
    }
    assert words <= REASONS.keys()
    assert all(ja and en for ja, en in REASONS.values())
    assert reason("cap") == REASONS["cap"]
    assert reason("something") == ("something", "something")


@given(CAPS)
def test_a_cap_reads_back_as_it_was_written(cap: Cap) -> None:
    assert parse_cap(**cap_words(cap)) == cap


@pytest.mark.parametrize(
    "words",
    [("each", 1, "P1D", "skip"), ("all", 0, "P1D", "skip"), ("all", 101, "P1D", "skip"), ("all", 1, "P32D", "skip"),
     ("all", 1, "P0D", "skip"), ("all", 1, "P1D", "wait"), ("all", 1, "P1D", "skip", "fax"), ("all", 1, "a day", "skip")],
)  # fmt: skip
def test_a_cap_that_cannot_be_kept_is_refused(words: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidError):
        parse_cap(*words)
