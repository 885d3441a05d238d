from datetime import timedelta

import pytest

from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import EmailOpened, Evidence, LinkClicked
from chalicelib.kernel.ids import Cid
from tests.builders import Stage

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari Line/14.0"
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def token_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


@pytest.fixture
def token(stage: Stage) -> str:
    stage.world.tracking.create_link("sale", "セール", "https://shop.test/sale?a=1#b")
    url = stage.world.tracking.click_url("sale", Cid(7), "scn|dormant|send_a", stage.clock.now())
    assert url.startswith("https://crm.test/r/")
    stage.clock.advance(minutes=1)
    return token_of(url)


def click(stage: Stage, token: str, method: str = "GET", agent: str = PHONE) -> list[Evidence]:
    facts = stage.world.tracking.clicked(token, method, agent, stage.clock.now(), "vis_1")
    assert all(isinstance(fact, LinkClicked) and fact.cid == 7 and fact.source == "scn|dormant|send_a" for fact in facts)
    assert [fact.fact_id for fact in facts] == ["vis_1"][: len(facts)]
    return [fact.evidence for fact in facts if isinstance(fact, LinkClicked)]


def test_a_short_address_says_the_same_and_is_made_the_same_again(stage: Stage) -> None:
    stage.world.tracking.create_link("new", "新作", "https://shop.test/new")
    cid, now = stage.friend(), stage.clock.now()
    url = stage.world.tracking.short_click_url("new", cid, "scn|x|sms", now)
    assert url == stage.world.tracking.short_click_url("new", cid, "scn|x|sms", now)
    code = url.rpartition("/")[2]
    assert len(code) == 22
    origin = stage.world.tracking.origin("r", code)
    assert (origin.cid, origin.source, origin.link_id) == (cid, "scn|x|sms", "new")
    for wrong in ("A" * 22, code[:-1], code + "A"):
        with pytest.raises(InvalidError, match="token.invalid"):
            stage.world.tracking.origin("r", wrong)
    with pytest.raises(InvalidError, match="token.invalid"):
        stage.world.tracking.origin("u", code)


def test_a_tap_is_probable_evidence_of_the_person(stage: Stage, token: str) -> None:
    assert click(stage, token) == [Evidence.PROBABLE]


@pytest.mark.parametrize(
    ("method", "agent"), [("HEAD", PHONE), ("GET", ""), ("GET", CRAWLER), ("GET", "curl/8.0"), ("POST", PHONE)]
)
def test_machines_do_not_count(stage: Stage, token: str, method: str, agent: str) -> None:
    assert click(stage, token, method, agent) == []


def test_a_visit_within_two_seconds_or_by_something_unknown_is_weak(stage: Stage, token: str) -> None:
    assert click(stage, token, agent="SomeApp/1.0") == [Evidence.WEAK]
    early = token_of(stage.world.tracking.click_url("sale", Cid(7), "scn|dormant|send_a", stage.clock.now()))
    stage.clock.advance(seconds=1)
    assert click(stage, early) == [Evidence.WEAK]


def test_a_token_serves_one_purpose(stage: Stage, token: str) -> None:
    tracking, now = stage.world.tracking, stage.clock.now()
    opened = token_of(tracking.open_url(Cid(7), "cmp_1", now))
    opt_out = token_of(tracking.opt_out_url(Cid(7), "cmp_1", now))
    assert tracking.origin("o", opened).cid == 7
    assert tracking.origin("u", opt_out).source == "cmp_1"
    assert tracking.origin("r", token).link_id == "sale"
    for purpose, wrong in (("r", opened), ("r", opt_out), ("u", token), ("o", opt_out), ("u", opened)):
        with pytest.raises(InvalidError, match="token.invalid"):
            tracking.origin(purpose, wrong)


@pytest.mark.parametrize("bad", ["", ".", "x.y", "WzEsMl0.AAAAAAAAAAAAAAAA", "日本.語", "a" * 5000])
def test_a_forged_token_is_refused(stage: Stage, token: str, bad: str) -> None:
    body, _, tag = token.partition(".")
    for forged in (bad, f"{body}x.{tag}", f"{body}.{tag[:-2]}", f"{body}.{tag[::-1]}", body):
        with pytest.raises(InvalidError, match="token.invalid"):
            stage.world.tracking.clicked(forged, "GET", PHONE, stage.clock.now(), "vis_1")


def test_a_token_made_with_another_key_is_refused(stage: Stage, token: str) -> None:
    stage.secrets.put("signing", {"key": "t" * 40})
    with pytest.raises(InvalidError, match="token.invalid"):
        stage.world.tracking.origin("r", token)


def test_without_a_signing_secret_nothing_is_signed(stage: Stage) -> None:
    stage.secrets.delete("signing")
    with pytest.raises(LookupError):
        stage.world.tracking.open_url(Cid(7), "x", stage.clock.now())


def test_an_email_that_was_loaded_is_weak_evidence(stage: Stage) -> None:
    token = token_of(stage.world.tracking.open_url(Cid(7), "cmp_1", stage.clock.now()))
    (fact,) = stage.world.tracking.opened(token, stage.clock.now(), "vis_2")
    assert isinstance(fact, EmailOpened)
    assert (fact.cid, fact.source, fact.evidence, fact.fact_id) == (7, "cmp_1", Evidence.WEAK, "vis_2")


def test_a_link_is_made_once_and_never_changes_under_messages_that_carry_it(stage: Stage) -> None:
    link = stage.world.tracking.create_link("sale", "セール", "https://shop.test/")
    with pytest.raises(ConflictError, match="link.taken"):
        stage.world.tracking.create_link("sale", "別", "https://evil.test/")
    assert stage.world.tracking.link("sale") == link
    assert stage.world.tracking.links() == [link]
    with pytest.raises(NotFoundError, match="link.unknown"):
        stage.world.tracking.link("other")


@pytest.mark.parametrize(
    "url", ["", "shop.test", "javascript:alert(1)", "ftp://shop.test/", "https://", "https:///x", "https://a.test/" + "x" * 2000,
            "https://[::1", "https://shop.test/\r\nSet-Cookie: a=b", "https://shop.test/ x"],
)  # fmt: skip
def test_a_link_must_lead_to_a_web_page(stage: Stage, url: str) -> None:
    with pytest.raises(InvalidError, match="link.url_malformed"):
        stage.world.tracking.create_link("sale", "セール", url)


@pytest.mark.parametrize("link_id", ["", "Sale", "sa-le", "sale\n", "x" * 41, "売"])
def test_a_link_id_fits_into_a_placeholder(stage: Stage, link_id: str) -> None:
    with pytest.raises(InvalidError, match="link.id_malformed"):
        stage.world.tracking.create_link(link_id, "セール", "https://shop.test/")


def test_the_timeline_keeps_each_fact_once_in_order_of_time(stage: Stage, token: str) -> None:
    tracking, now = stage.world.tracking, stage.clock.now()
    later = EmailOpened(fact_id="vis_b", cid=Cid(7), at=now + timedelta(seconds=1), source="b")
    earlier = EmailOpened(fact_id="vis_a", cid=Cid(7), at=now, source="a")
    for fact in (later, earlier, later):
        tracking.note(fact, "email_opened", source=fact.source)
    assert [(item["kind"], item["source"]) for item in tracking.timeline(Cid(7))] == [("email_opened", "a"), ("email_opened", "b")]
    assert tracking.timeline(Cid(8)) == []
