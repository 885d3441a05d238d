"""The staff is told once, whatever happens on the way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.delivery.notices import Notices
from chalicelib.kernel.errors import InvalidError, TemporaryError
from chalicelib.kernel.ids import Cid, customer_id
from tests.builders import Stage
from tests.rooms.crashes import every_crash


def notices(stage: Stage, *emails: str) -> Notices:
    made: Notices = stage.world.notices
    made.set_addresses(emails)
    return made


def test_a_notice_is_kept_and_goes_to_everybody_once(stage: Stage) -> None:
    told = notices(stage, "A@shop.test", "b@shop.test", "a@shop.test")
    assert told.addresses() == ["a@shop.test", "b@shop.test"]
    hanako = stage.customer("m1", name="花子<b>")
    for _ in range(2):
        told.tell("scn|s|page1", "休眠\r\nのお客様", "ご連絡ください", [hanako])
    assert sorted(email.to for email in stage.email.sent) == ["a@shop.test", "b@shop.test"]
    email = stage.email.sent[0]
    assert "\n" not in email.subject and "休眠 のお客様" in email.subject
    assert f"花子<b> {customer_id(hanako)}" in email.text and "花子&lt;b&gt;" in email.html
    (notice,) = told.latest()
    assert (notice.title, notice.text, notice.count, notice.customers) == ("休眠\r\nのお客様", "ご連絡ください", 1, (hanako,))
    assert notice.at == stage.clock.now()


def test_it_names_twenty_and_counts_the_rest_and_the_newest_comes_first(stage: Stage) -> None:
    told = notices(stage, "a@shop.test")
    customers = [stage.customer(f"m{n}") for n in range(25)]
    told.tell("k1", "一", "", customers)
    stage.clock.advance(seconds=1)
    told.tell("k2", "二", "", [Cid(999_999)])
    assert [notice.title for notice in told.latest()] == ["二", "一"]
    assert (told.latest()[1].count, len(told.latest()[1].customers)) == (25, 20)
    assert "25名" in stage.email.sent[0].text and "ほか5名" in stage.email.sent[0].text
    assert "m19" in stage.email.sent[0].text and "m20" not in stage.email.sent[0].text


def test_without_addresses_it_is_only_kept(stage: Stage) -> None:
    told = notices(stage)
    told.tell("k", "一", "", [])
    told.set_addresses(["late@shop.test"])
    told.tell("k", "一", "", [])
    assert len(told.latest()) == 1
    assert stage.email.sent == []


def test_an_email_that_cannot_leave_now_leaves_when_the_reconciler_comes_by(stage: Stage) -> None:
    told = notices(stage, "a@shop.test", "b@shop.test")
    stage.email.problems = [None, TemporaryError("SES")]
    told.tell("k", "一", "", [])
    assert len(stage.email.sent) == 1
    stage.clock.advance(minutes=20)
    stage.world.delivery.reconcile(timedelta(minutes=15))
    assert [email.to for email in stage.email.sent] == ["a@shop.test", "b@shop.test"]


def test_a_death_anywhere_heals_by_telling_again(stage: Stage) -> None:
    told = notices(stage, "a@shop.test")
    for number, _after, act in every_crash(lambda number: lambda: told.tell(f"k{number}", f"{number}", "", [])):
        for email in stage.email.sent:  # the provider's own word
            stage.world.delivery.note_event(email.tags["delivery"], "Send", stage.clock.now())
        act()
        stage.clock.advance(minutes=31)  # a call that was begun and not ended is made again when its maker must be dead
        act()
        assert len([notice for notice in told.latest() if notice.title == f"{number}"]) == 1
    assert len(stage.email.sent) == len(told.latest()), "a crash lost an e-mail, or sent one twice"


@pytest.mark.parametrize("emails", [["nobody"], [""], [f"a{n}@shop.test" for n in range(21)]])
def test_addresses_are_checked(stage: Stage, emails: list[str]) -> None:
    with pytest.raises(InvalidError):
        stage.world.notices.set_addresses(emails)
