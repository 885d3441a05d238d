"""A sample that stands for many says nearly what all of them would: what is counted by people, and what is counted by cohorts."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from chalicelib.customers.model import Consent, Customer, DeliveryChannel, Profile
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId, ScenarioId
from chalicelib.orders.model import PurchaseStats
from chalicelib.scenarios.afar import Asked, from_afar
from chalicelib.scenarios.costs import Prices
from chalicelib.scenarios.dry import Rate
from chalicelib.scenarios.expectations import DEFAULT, expectations
from chalicelib.scenarios.forecast import Forecast, Known, forecast
from chalicelib.scenarios.graph import parse
from chalicelib.scenarios.model import Version
from chalicelib.scenarios.rehearsal import Assumptions, Rehearsal
from chalicelib.scenarios.rehearsals import _with_others
from chalicelib.scenarios.reports import Report, StepReport
from chalicelib.segments.model import Person
from chalicelib.tracking.model import Activity
from local.rehearse import ACCOUNT, crowd, drawing, templates_of

BEGIN = datetime(2026, 12, 1, tzinfo=UTC)
RATES = {"first_try": Rate(0.28), "second_try": Rate(0.15), "goal": Rate(0.03, (24, 200))}


def played(people: dict[Cid, Person], known: Known) -> Forecast:
    graph = parse(drawing("dormant90"))
    templates = templates_of(graph)
    done = Rehearsal(Version(ScenarioId("x"), 1, graph), people, templates, [ACCOUNT], Assumptions(BEGIN, rates=RATES))
    done.run()
    return forecast(done, templates, Prices(), known)


def test_a_sample_of_five_hundred_says_nearly_what_thirty_thousand_do() -> None:
    everybody = crowd(30_000, ACCOUNT, 0.9, 0.3, 0.2)
    some = dict(list(everybody.items())[:500])
    whole = played(everybody, Known(30_000))
    sample = played(_with_others(some, 10_000), Known(30_000, rehearsed=500))
    assert (sample.rehearsed, sample.played, sample.audience, sample.aws_is_exact) == (500, 10_000, 30_000, False)
    assert sample.aws.transitions == pytest.approx(whole.aws.transitions, rel=0.15)
    assert sample.aws.writes == pytest.approx(whole.aws.writes, rel=0.1)
    assert sum(sample.line_by_month.values()) == pytest.approx(sum(whole.line_by_month.values()), rel=0.05)
    # Kept as they were counted among five hundred, the transitions would be a small part of it.
    assert played(some, Known(30_000)).aws.transitions < 0.2 * whole.aws.transitions


def test_more_members_than_calls_take_need_more_calls() -> None:
    people = crowd(200, ACCOUNT, 1, 0, 0)
    few, many = (played(people, Known(audience)).aws for audience in (200_000, 1_000_000))
    assert many.calls > few.calls == played(people, Known(200)).aws.calls
    assert many.transitions - few.transitions == 2 * (many.calls - few.calls)


# Expected rates -----------------------------------------------------------------------------------------------------------------


def report(entered: int, goal: int, **steps: tuple[int, int]) -> Report:
    made = [StepReport(node, "send", node, sent=sent, responded=responded) for node, (sent, responded) in steps.items()]
    return Report(1, entered, 0, {}, {}, goal, made, is_exact=True)


def test_what_is_given_comes_before_what_was_seen_and_that_before_what_is_assumed() -> None:
    graph = parse(drawing("dormant90"))
    nothing = expectations(graph, {}, [])
    assert {(one.rate, one.origin, one.seen) for one in nothing.values()} == {(DEFAULT.rate, "default", 0)}
    assert set(nothing) == {"first_try", "second_try", "voices", "sms", "letter", "goal"}
    reports = [report(15, 3, first_try=(10, 5), sms=(19, 19)), report(5, 1, first_try=(10, 3))]
    found = expectations(graph, {"letter": Rate(0.0, (5, 6))}, reports)
    assert (found["first_try"].rate, found["first_try"].origin, found["first_try"].seen) == (0.4, "history", 20)
    assert (found["sms"].rate, found["sms"].origin, found["sms"].seen) == (round(27 / 39, 4), "history_of_all", 39)
    assert (found["letter"].rate, found["letter"].origin, found["letter"].within_hours) == (0.0, "given", (5, 6))
    assert (found["goal"].rate, found["goal"].origin, found["goal"].seen) == (0.2, "history", 20)


# From afar ----------------------------------------------------------------------------------------------------------------------


def test_nothing_is_left_of_a_person_but_what_is_asked_and_how_he_is_reached() -> None:
    profile = Profile(
        member_no="77", name="花子", name_kana="ハナコ", birthday=date(1990, 1, 2), email="hanako@example.jp", phone="+819099998888",
        postal_code="150-0001", prefecture="東京都", city="渋谷区", address="神宮前1-2-3", building="縁ビル",
        attributes={"size": "M", "note": "電話は夜に"},
    )  # fmt: skip
    main = AccountKey("main")
    friend = Friend(
        Cid(7), main, LineUserId("U" + "a" * 32), FollowState.BLOCKED, BEGIN, BEGIN, "はなちゃん", "https://p.test/1", "ja"
    )
    consents = {DeliveryChannel.SMS: Consent(is_opted_out=True, at="2026", source="店頭で本人")}
    person = Person(
        Customer(Cid(7), profile, consents, (Cid(9),)), PurchaseStats(1, 2, BEGIN, BEGIN), frozenset({"tag_a", "tag_b"}),
        {main: friend}, frozenset({DeliveryChannel.EMAIL}), Activity(BEGIN),
    )  # fmt: skip
    seen = from_afar(person, Asked([{"field": "profile.city", "is": "渋谷区"}, {"tag": "tag_a"}, {"field": "attribute.size"}]))
    assert [seen.can_reach(channel, main) for channel in DeliveryChannel] == [
        person.can_reach(channel, main) for channel in DeliveryChannel
    ]
    assert (seen.customer.profile.city, dict(seen.customer.profile.attributes), seen.tags) == ("渋谷区", {"size": "M"}, {"tag_a"})
    told = repr(seen)
    for secret in (
        "花子",
        "ハナコ",
        "hanako",
        "9999",
        "150-0001",
        "神宮前",
        "縁ビル",
        "はなちゃん",
        "aaaa",
        "p.test",
        "店頭",
        "電話",
        "77",
    ):
        assert secret not in told, secret
    assert seen.activity == Activity()
    habits = from_afar(person, Asked([{"nodes": {"a": {"best_hour": True}}}]))
    assert habits.activity == person.activity
