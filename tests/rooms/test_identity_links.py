"""The threats are those of line-platform.md 4.1; each has a test that says what is tried and what comes of it."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.friends.model import FollowState
from chalicelib.identity_links.model import new_nonce, redirect_payload
from chalicelib.kernel.errors import DeniedError, InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.facts import Fact, IdentityLinked, IdentityUnlinked, LinkAnswered
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from tests.builders import HANAKO, MAIN, TARO, Stage
from tests.rooms.crashes import Crash, every_crash, every_intrusion, interrupted

OTHER = AccountKey("other")
_everybody = count(1)
_events = count(1)


def somebody() -> LineUserId:
    return LineUserId(f"U{next(_everybody):032x}")


def nonce_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["nonce"][0]


def asked(stage: Stage, member_no: str, account: str = MAIN) -> str:
    """The member has signed in and the site says so; return the nonce that LINE will bring back."""
    return nonce_of(stage.world.identity_links.request(account, member_no, "linktoken1"))


def answer(stage: Stage, nonce: str, user_id: LineUserId = HANAKO, account: AccountKey = MAIN, event_id: str = "") -> LinkAnswered:
    at = stage.clock.now()
    friend = stage.world.friends.observe(account, user_id, at)
    return LinkAnswered(
        fact_id=event_id or f"link-{next(_events)}", cid=friend.cid, at=at, account=account, line_user_id=user_id, nonce=nonce
    )


def linked(stage: Stage, member_no: str, user_id: LineUserId = HANAKO) -> list[Fact]:
    return stage.world.identity_links.complete(answer(stage, asked(stage, member_no), user_id))


def are_one(stage: Stage, user_id: LineUserId, member: Cid, own: Cid) -> None:
    """The friend is the member, by every way of asking, and his own number is nobody."""
    friend = stage.world.friends.get(MAIN, user_id)
    assert friend.cid == member
    assert stage.world.identity_links.of(member, MAIN).line_user_id == user_id
    assert stage.world.identity_links.of(member, MAIN).former_cid == own
    assert stage.world.customers.get(own).cid == member
    assert own in stage.world.customers.get(member).aliases
    people = stage.world.segments.load([own, member], [MAIN])
    assert people[own] == people[member]
    assert people[member].friends[MAIN].line_user_id == user_id
    records = stage.world.customers.load([own, member])
    assert (records[own].merged_into, records[member].merged_into) == (member, None)


def are_two(stage: Stage, user_id: LineUserId, member: Cid, own: Cid) -> None:
    """Friend and member have nothing to do with each other any more."""
    assert stage.world.friends.get(MAIN, user_id).cid == own
    with pytest.raises(NotFoundError):
        stage.world.identity_links.of(member, MAIN)
    assert stage.world.customers.get(own).cid == own
    assert own not in stage.world.customers.get(member).aliases
    people = stage.world.segments.load([own, member], [MAIN])
    assert people[own].friends[MAIN].line_user_id == user_id
    assert people[member].friends == {}, "nothing personal of the member may reach the former friend"


# The way in ------------------------------------------------------------------------------------------------------------------


def test_an_invitation_leads_to_the_member_site_with_a_link_token(stage: Stage) -> None:
    stage.friend()
    url = stage.world.identity_links.invitation(MAIN, stage.world.friends.get(MAIN, HANAKO))
    assert url == "https://shop.test/line-login?linkToken=linktoken1&account=main"


def test_an_account_without_a_member_site_invites_nobody(stage: Stage) -> None:
    stage.world.line_accounts.connect("other", "別店", "1234567891", "e" * 32)
    friend = stage.world.friends.observe(OTHER, HANAKO, stage.clock.now())
    with pytest.raises(InvalidError, match="no_member_site"):
        stage.world.identity_links.invitation(OTHER, friend)


def test_a_link_makes_friend_and_customer_one_person(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    facts = linked(stage, "M1")
    assert [(type(fact), fact.cid) for fact in facts] == [(IdentityLinked, member)]
    are_one(stage, HANAKO, member, own)
    assert [person.cid for person in stage.world.segments.find({"all": []}, stage.clock.now())] == [member]


# Threats ---------------------------------------------------------------------------------------------------------------------


def test_nonce_guess_finds_nothing(stage: Stage) -> None:
    own = stage.friend()
    stage.customer("M1")
    asked(stage, "M1")
    for guess in ("", "a", "1" * 43, new_nonce()):
        assert stage.world.identity_links.complete(answer(stage, guess)) == []
    assert stage.world.friends.get(MAIN, HANAKO).cid == own


def test_nonce_guess_is_hopeless_because_nonces_are_256_random_bits(stage: Stage) -> None:
    nonces = {new_nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert all(10 <= len(nonce) <= 255 and len(nonce) == 43 for nonce in nonces)


def test_nonce_replay_by_another_event_is_refused(stage: Stage) -> None:
    stage.friend()
    thief = stage.friend(TARO)
    member = stage.customer("M1")
    nonce = asked(stage, "M1")
    stage.world.identity_links.complete(answer(stage, nonce, event_id="first"))
    assert stage.world.identity_links.complete(answer(stage, nonce, TARO, event_id="second")) == []
    assert stage.world.friends.get(MAIN, TARO).cid == thief
    assert stage.world.friends.get(MAIN, HANAKO).cid == member


def test_nonce_replay_is_refused_although_the_first_link_died_half_way(stage: Stage) -> None:
    stage.friend()
    thief, member = stage.friend(TARO), stage.customer("M1")
    nonce = asked(stage, "M1")
    first, second = answer(stage, nonce), answer(stage, nonce, TARO)
    with interrupted(8), pytest.raises(Crash):
        stage.world.identity_links.complete(first)
    assert stage.world.identity_links.complete(second) == []
    assert stage.world.friends.get(MAIN, TARO).cid == thief
    stage.world.identity_links.complete(first)
    assert stage.world.friends.get(MAIN, HANAKO).cid == member


def test_nonce_expiry_refuses_a_link_after_ten_minutes(stage: Stage) -> None:
    own = stage.friend()
    stage.customer("M1")
    nonce = asked(stage, "M1")
    stage.clock.advance(minutes=10)
    assert stage.world.identity_links.complete(answer(stage, nonce)) == []
    assert stage.world.friends.get(MAIN, HANAKO).cid == own


def test_a_link_made_in_time_counts_although_our_queue_was_late(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    in_time = answer(stage, asked(stage, "M1"))
    stage.clock.advance(hours=2)
    assert stage.world.identity_links.complete(in_time)
    are_one(stage, HANAKO, member, own)


def test_other_accounts_nonce_is_refused(stage: Stage) -> None:
    stage.world.line_accounts.connect("other", "別店", "1234567891", "e" * 32, "https://other.test/")
    own = stage.friend()
    stage.customer("M1")
    nonce = asked(stage, "M1", OTHER)
    assert stage.world.identity_links.complete(answer(stage, nonce)) == []
    assert stage.world.friends.get(MAIN, HANAKO).cid == own


def test_nonce_before_login_session_fixation_is_impossible_because_inviting_makes_none(stage: Stage) -> None:
    stage.friend()
    stage.customer("M1")
    url = stage.world.identity_links.invitation(MAIN, stage.world.friends.get(MAIN, HANAKO))
    assert "nonce" not in url
    # What came with the invitation proves nothing.
    assert stage.world.identity_links.complete(answer(stage, "linktoken1")) == []


@pytest.mark.parametrize(
    "token", ["", "short", "a&nonce=evil1", "token#fragment", "token/../x?y", "とーくん12345", "a" * 513, "abcdefgh\n"]
)
def test_link_token_leak_malformed_tokens_are_refused(stage: Stage, token: str) -> None:
    stage.customer("M1")
    with pytest.raises(InvalidError, match="link.token_malformed"):
        stage.world.identity_links.request(MAIN, "M1", token)


def test_link_token_leak_a_token_brings_nothing_else_into_lines_address(stage: Stage) -> None:
    stage.customer("M1")
    url = stage.world.identity_links.request(MAIN, "M1", "abc+def/ghi==")
    query = parse_qs(urlsplit(url).query)
    assert url.startswith("https://access.line.me/dialog/bot/accountLink?linkToken=abc%2Bdef%2Fghi%3D%3D&nonce=")
    assert query["linkToken"] == ["abc+def/ghi=="]


def test_attackers_own_link_makes_the_attacker_himself_and_nobody_else(stage: Stage) -> None:
    """The victim opened the attacker's link: LINE reports a failure without a person; with our nonce nobody else gets in."""
    victim, attacker = stage.friend(HANAKO), stage.friend(TARO)
    member = stage.customer("ATTACKER")
    nonce = asked(stage, "ATTACKER")
    stage.world.identity_links.complete(answer(stage, nonce, TARO))
    assert stage.world.friends.get(MAIN, HANAKO).cid == victim
    are_one(stage, TARO, member, attacker)


def sign(key: str, *parts: Any) -> str:
    return hmac.new(key.encode(), redirect_payload(*parts).encode(), hashlib.sha256).hexdigest()


def expires(stage: Stage, **ahead: float) -> int:
    return int((stage.clock.now() + timedelta(**ahead)).timestamp())


def test_signature_of_the_member_site_leads_on_to_line(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    stage.secrets.put("member-site", {"key": "k" * 32})
    until = expires(stage, minutes=5)
    signature = sign("k" * 32, "main", "M1", "linktoken1", until)
    url = stage.world.identity_links.request_signed("main", "M1", "linktoken1", str(until), signature)
    stage.world.identity_links.complete(answer(stage, nonce_of(url)))
    are_one(stage, HANAKO, member, own)


@pytest.mark.parametrize(
    "given",
    [
        ("main", "M2", "linktoken1", None, None),
        ("other", "M1", "linktoken1", None, None),
        ("main", "M1", "linktoken2", None, None),
        ("main", "M1", "linktoken1", "9" * 10, None),
        ("main", "M1", "linktoken1", "9" * 5000, None),
        ("main", "M1", "linktoken1", "-1", None),
        ("main", "M1", "linktoken1", "", None),
        ("main", "M1", "linktoken1", "１７", None),
        ("main", "M1", "linktoken1", None, ""),
        ("main", "M1", "linktoken1", None, "署名"),
        ("main", "M1", "linktoken1", None, "\ud800"),
        ("main", "M1\ud800", "linktoken1", None, None),
    ],
)
def test_signature_wrong_is_refused(stage: Stage, given: tuple[str, str, str, str | None, str | None]) -> None:
    for member_no in ("M1", "M2"):
        stage.customer(member_no)
    stage.secrets.put("member-site", {"key": "k" * 32})
    until = expires(stage, minutes=5)
    signature = sign("k" * 32, "main", "M1", "linktoken1", until)
    account, member_no, token, when, proof = given
    with pytest.raises(DeniedError, match="link.signature_refused"):
        stage.world.identity_links.request_signed(
            account, member_no, token, str(until) if when is None else when, signature if proof is None else proof
        )


@pytest.mark.parametrize("ahead", [-1, 601, 86_400])
def test_signature_expired_or_good_for_too_long_is_refused(stage: Stage, ahead: int) -> None:
    stage.customer("M1")
    stage.secrets.put("member-site", {"key": "k" * 32})
    until = expires(stage, seconds=ahead)
    with pytest.raises(DeniedError, match="link.expired"):
        stage.world.identity_links.request_signed(
            "main", "M1", "linktoken1", str(until), sign("k" * 32, "main", "M1", "linktoken1", until)
        )


def test_signature_by_a_foreign_key_is_refused(stage: Stage) -> None:
    stage.customer("M1")
    until = expires(stage, minutes=5)
    foreign = sign("x" * 32, "main", "M1", "linktoken1", until)
    with pytest.raises(DeniedError, match="link.signature_refused"):
        stage.world.identity_links.request_signed("main", "M1", "linktoken1", str(until), foreign)
    stage.secrets.put("member-site", {"key": "k" * 32})
    with pytest.raises(DeniedError, match="link.signature_refused"):
        stage.world.identity_links.request_signed("main", "M1", "linktoken1", str(until), foreign)


def test_nobody_is_linked_to_a_member_who_does_not_exist(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="customer.unknown"):
        stage.world.identity_links.request(MAIN, "nobody", "linktoken1")
    for account in ("nowhere", "", "main\nM1", "x" * 3000):
        with pytest.raises(NotFoundError, match="account.unknown"):
            stage.world.identity_links.request(account, "M1", "linktoken1")


# One to one ------------------------------------------------------------------------------------------------------------------


def test_two_lines_on_one_member_the_newest_proof_counts(stage: Stage) -> None:
    hanako, taro, member = stage.friend(HANAKO), stage.friend(TARO), stage.customer("M1")
    linked(stage, "M1", HANAKO)
    linked(stage, "M1", TARO)
    are_one(stage, TARO, member, taro)
    assert stage.world.friends.get(MAIN, HANAKO).cid == hanako
    assert stage.world.customers.get(hanako).cid == hanako
    assert stage.world.customers.get(member).aliases == (taro,)


def test_one_line_on_two_members_the_newest_proof_counts(stage: Stage) -> None:
    own, one, two = stage.friend(), stage.customer("M1"), stage.customer("M2")
    linked(stage, "M1")
    linked(stage, "M2")
    are_one(stage, HANAKO, two, own)
    with pytest.raises(NotFoundError):
        stage.world.identity_links.of(one, MAIN)
    assert stage.world.customers.get(one).aliases == ()
    assert stage.world.segments.load([one], [MAIN])[one].friends == {}


def test_one_member_may_have_a_line_on_each_account(stage: Stage) -> None:
    stage.world.line_accounts.connect("other", "別店", "1234567891", "e" * 32, "https://other.test/")
    member = stage.customer("M1")
    linked(stage, "M1")
    stage.world.identity_links.complete(answer(stage, asked(stage, "M1", OTHER), HANAKO, OTHER))
    assert set(stage.world.segments.load([member], [MAIN, OTHER])[member].friends) == {MAIN, OTHER}


def test_linking_again_what_is_linked_changes_nothing(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    linked(stage, "M1")
    assert [type(fact) for fact in linked(stage, "M1")] == [IdentityLinked]
    are_one(stage, HANAKO, member, own)


def test_link_answered_told_twice_tells_its_fact_twice_and_changes_nothing(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    told = answer(stage, asked(stage, "M1"))
    first = stage.world.identity_links.complete(told)
    stage.clock.advance(minutes=30)
    assert stage.world.identity_links.complete(told) == first
    are_one(stage, HANAKO, member, own)


def test_link_answered_told_again_after_an_unlink_does_not_link_again(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    told = answer(stage, asked(stage, "M1"))
    stage.world.identity_links.complete(told)
    stage.world.identity_links.undo(stage.world.identity_links.of(member, MAIN))
    assert stage.world.identity_links.complete(told) == []
    are_two(stage, HANAKO, member, own)


def test_link_answered_told_again_after_another_link_does_not_take_it_back(stage: Stage) -> None:
    own, _, two = stage.friend(), stage.customer("M1"), stage.customer("M2")
    told = answer(stage, asked(stage, "M1"))
    stage.world.identity_links.complete(told)
    linked(stage, "M2")
    assert stage.world.identity_links.complete(told) == []
    are_one(stage, HANAKO, two, own)


# The way out -----------------------------------------------------------------------------------------------------------------


def test_unlink_at_any_time_and_link_again(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    for _ in range(3):
        linked(stage, "M1")
        are_one(stage, HANAKO, member, own)
        facts = stage.world.identity_links.undo(stage.world.identity_links.of(member, MAIN))
        assert [(type(fact), fact.cid) for fact in facts] == [(IdentityUnlinked, own)]
        are_two(stage, HANAKO, member, own)


def test_after_unlink_the_friends_events_go_to_his_own_number(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    linked(stage, "M1")
    stage.world.identity_links.undo(stage.world.identity_links.of(member, MAIN))
    later = stage.clock.now() + timedelta(seconds=9)
    facts = stage.world.friends.block(MAIN, HANAKO, later, event_id="b")
    assert [fact.cid for fact in facts] == [own]
    assert stage.world.segments.load([member], [MAIN])[member].friends == {}


def test_while_linked_the_friends_events_go_to_the_member(stage: Stage) -> None:
    stage.friend()
    member = stage.customer("M1")
    linked(stage, "M1")
    later = stage.clock.now() + timedelta(seconds=9)
    assert [fact.cid for fact in stage.world.friends.block(MAIN, HANAKO, later, event_id="b")] == [member]


def test_blocked_state_survives_link_and_unlink(stage: Stage) -> None:
    stage.friend()
    member = stage.customer("M1")
    stage.world.friends.block(MAIN, HANAKO, stage.clock.now() + timedelta(seconds=1), event_id="b")
    linked(stage, "M1")
    assert stage.world.friends.get(MAIN, HANAKO).state is FollowState.BLOCKED
    stage.world.identity_links.undo(stage.world.identity_links.of(member, MAIN))
    assert stage.world.friends.get(MAIN, HANAKO).state is FollowState.BLOCKED


def refuse(stage: Stage, cid: Cid, *, opted_out: bool = True) -> None:
    stage.clock.advance(seconds=1)
    stage.world.customers.set_consent(cid, DeliveryChannel.LINE, opted_out=opted_out, source="line postback x")


def refuses(stage: Stage, cid: Cid) -> bool:
    return stage.world.customers.get(cid).has_opted_out(DeliveryChannel.LINE)


def test_a_refusal_of_line_survives_link_and_unlink(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    refuse(stage, own)
    linked(stage, "M1")
    assert refuses(stage, member)
    stage.world.identity_links.undo(stage.world.identity_links.of(member, MAIN))
    assert refuses(stage, own)


def test_a_refusal_of_line_while_linked_stays_with_the_friend(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    linked(stage, "M1")
    refuse(stage, member)
    stage.world.identity_links.undo(stage.world.identity_links.of(member, MAIN))
    assert refuses(stage, own)


def test_of_two_words_on_line_the_later_one_counts_after_a_link(stage: Stage) -> None:
    own, member = stage.friend(), stage.customer("M1")
    refuse(stage, own)
    refuse(stage, member, opted_out=False)
    linked(stage, "M1")
    assert not refuses(stage, member)


# Friends who came with their customer from another system ----------------------------------------------------------------------


def imported(stage: Stage, member_no: str, user_id: LineUserId) -> Cid:
    member = stage.customer(member_no)
    assert stage.world.friends.enter(MAIN, user_id, member, stage.clock.now())
    return member


def test_an_imported_friend_who_links_himself_is_linked(stage: Stage) -> None:
    member = imported(stage, "M1", HANAKO)
    assert [fact.cid for fact in linked(stage, "M1")] == [member]
    assert stage.world.friends.get(MAIN, HANAKO).cid == member


def test_an_imported_friend_can_unlink_too(stage: Stage) -> None:
    member = imported(stage, "M1", HANAKO)
    link = stage.world.identity_links.of(member, MAIN)
    assert stage.world.identity_links.of(member, MAIN) == link
    stage.world.identity_links.undo(link)
    are_two(stage, HANAKO, member, link.former_cid)


def test_an_imported_friend_who_links_another_member_leaves_the_first_whole(stage: Stage) -> None:
    first, second = imported(stage, "M1", HANAKO), stage.customer("M2")
    linked(stage, "M2")
    assert stage.world.customers.by_member_no("M1").cid == first
    assert stage.world.customers.by_member_no("M1").merged_into is None
    assert stage.world.friends.get(MAIN, HANAKO).cid == second
    assert stage.world.segments.load([first], [MAIN])[first].friends == {}


def test_a_second_line_on_a_member_with_an_imported_friend_frees_the_first(stage: Stage) -> None:
    member = imported(stage, "M1", HANAKO)
    taro = stage.friend(TARO)
    linked(stage, "M1", TARO)
    are_one(stage, TARO, member, taro)
    hanako = stage.world.friends.get(MAIN, HANAKO)
    assert hanako.cid not in (member, taro)
    assert hanako.line_user_id == HANAKO


def test_a_friend_who_is_no_member_has_no_link(stage: Stage) -> None:
    own = stage.friend()
    with pytest.raises(NotFoundError, match="link.none"):
        stage.world.identity_links.of(own, MAIN)


# Crashes and races -------------------------------------------------------------------------------------------------------------


class Cast:
    """For each scene a fresh friend, a fresh member and what LINE said."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.user: dict[int, LineUserId] = {}
        self.own: dict[int, Cid] = {}
        self.member: dict[int, Cid] = {}
        self.told: dict[int, LinkAnswered] = {}

    def enter(self, number: int) -> LinkAnswered:
        self.user[number] = somebody()
        self.own[number] = self.stage.friend(self.user[number])
        member_no = f"M{self.user[number][-6:]}"
        self.member[number] = self.stage.customer(member_no)
        self.told[number] = answer(self.stage, asked(self.stage, member_no), self.user[number])
        return self.told[number]


def test_a_crash_at_every_step_of_linking_then_again_makes_one_person(stage: Stage) -> None:
    cast = Cast(stage)

    def scene(number: int) -> Callable[[], Any]:
        told = cast.enter(number)
        return lambda: stage.world.identity_links.complete(told)

    for number, _, again in every_crash(scene):
        assert [(type(fact), fact.cid) for fact in again()] == [(IdentityLinked, cast.member[number])]
        are_one(stage, cast.user[number], cast.member[number], cast.own[number])


def test_a_crash_at_every_step_of_unlinking_then_again_makes_two_people(stage: Stage) -> None:
    cast = Cast(stage)

    def scene(number: int) -> Callable[[], Any]:
        stage.world.identity_links.complete(cast.enter(number))
        link = stage.world.identity_links.of(cast.member[number], MAIN)
        return lambda: stage.world.identity_links.undo(link)

    for number, after, again in every_crash(scene):
        again()
        are_two(stage, cast.user[number], cast.member[number], cast.own[number])


def test_a_crash_at_every_step_of_linking_to_another_member_then_again_makes_one_person(stage: Stage) -> None:
    cast = Cast(stage)
    first: dict[int, Cid] = {}

    def scene(number: int) -> Callable[[], Any]:
        stage.world.identity_links.complete(cast.enter(number))
        first[number] = cast.member[number]
        member_no = f"S{cast.user[number][-6:]}"
        cast.member[number] = stage.customer(member_no)
        told = answer(stage, asked(stage, member_no), cast.user[number])
        return lambda: stage.world.identity_links.complete(told)

    for number, after, again in every_crash(scene):
        again()
        are_one(stage, cast.user[number], cast.member[number], cast.own[number])
        assert stage.world.customers.get(first[number]).aliases == (), (number, after)
        assert stage.world.segments.load([first[number]], [MAIN])[first[number]].friends == {}


def test_a_crash_at_every_step_of_a_second_line_on_a_member_then_again_frees_the_first(stage: Stage) -> None:
    cast = Cast(stage)
    second: dict[int, LineUserId] = {}
    seconds_own: dict[int, Cid] = {}

    def scene(number: int) -> Callable[[], Any]:
        stage.world.identity_links.complete(cast.enter(number))
        second[number] = somebody()
        seconds_own[number] = stage.friend(second[number])
        told = answer(stage, asked(stage, f"M{cast.user[number][-6:]}"), second[number])
        return lambda: stage.world.identity_links.complete(told)

    for number, _, again in every_crash(scene):
        again()
        are_one(stage, second[number], cast.member[number], seconds_own[number])
        assert stage.world.friends.get(MAIN, cast.user[number]).cid == cast.own[number]
        assert stage.world.customers.get(cast.member[number]).aliases == (seconds_own[number],)


def until_done(act: Callable[[], Any]) -> None:
    """As the queue does: again when it fails."""
    for _ in range(3):
        try:
            act()
        except Exception:  # noqa: BLE001
            continue
        return
    raise AssertionError("never done")


def test_the_same_answer_worked_through_by_two_at_once_makes_one_person(stage: Stage) -> None:
    cast = Cast(stage)

    def scene(number: int) -> Callable[[], Any]:
        told = cast.enter(number)
        return lambda: until_done(lambda: stage.world.identity_links.complete(told))

    def twin(number: int) -> Callable[[], Any]:
        return lambda: until_done(lambda: stage.world.identity_links.complete(cast.told[number]))

    for number, _, _ in every_intrusion(scene, twin):
        are_one(stage, cast.user[number], cast.member[number], cast.own[number])


def test_two_lines_that_link_one_member_at_once_do_not_both_stay(stage: Stage) -> None:
    cast = Cast(stage)
    rival: dict[int, LinkAnswered] = {}

    def scene(number: int) -> Callable[[], Any]:
        told = cast.enter(number)
        other = somebody()
        stage.friend(other)
        rival[number] = answer(stage, asked(stage, f"M{cast.user[number][-6:]}"), other)
        return lambda: until_done(lambda: stage.world.identity_links.complete(told))

    def intruder(number: int) -> Callable[[], Any]:
        def act() -> None:
            try:
                stage.world.identity_links.complete(rival[number])
            except TemporaryError:
                waiting.add(number)

        return act

    waiting: set[int] = set()
    for number, after, _ in every_intrusion(scene, intruder):
        if number in waiting:
            stage.world.identity_links.complete(rival[number])
        member = cast.member[number]
        users = (cast.user[number], rival[number].line_user_id)
        on_it = [user for user in users if stage.world.friends.get(MAIN, user).cid == member]
        assert len(on_it) == 1, (number, after)
        assert stage.world.identity_links.of(member, MAIN).line_user_id == on_it[0]
        assert stage.world.segments.load([member], [MAIN])[member].friends[MAIN].line_user_id == on_it[0]


def test_one_line_that_links_two_members_at_once_ends_on_one(stage: Stage) -> None:
    cast = Cast(stage)
    rival: dict[int, LinkAnswered] = {}
    other: dict[int, Cid] = {}

    def scene(number: int) -> Callable[[], Any]:
        told = cast.enter(number)
        member_no = f"R{cast.user[number][-6:]}"
        other[number] = stage.customer(member_no)
        rival[number] = answer(stage, asked(stage, member_no), cast.user[number])
        return lambda: until_done(lambda: stage.world.identity_links.complete(told))

    def intruder(number: int) -> Callable[[], Any]:
        return lambda: until_done(lambda: stage.world.identity_links.complete(rival[number]))

    for number, after, _ in every_intrusion(scene, intruder):
        members = (cast.member[number], other[number])
        with_line = [cid for cid, person in stage.world.segments.load(members, [MAIN]).items() if person.friends]
        assert with_line == [stage.world.friends.get(MAIN, cast.user[number]).cid], (number, after)


def test_a_block_that_arrives_anywhere_while_linking_is_not_lost(stage: Stage) -> None:
    cast = Cast(stage)

    def scene(number: int) -> Callable[[], Any]:
        told = cast.enter(number)
        return lambda: stage.world.identity_links.complete(told)

    def blocks(number: int) -> Callable[[], Any]:
        later = stage.clock.now() + timedelta(seconds=9)
        return lambda: stage.world.friends.block(MAIN, cast.user[number], later, event_id="b")

    for number, _, _ in every_intrusion(scene, blocks):
        assert stage.world.friends.get(MAIN, cast.user[number]).state is FollowState.BLOCKED
