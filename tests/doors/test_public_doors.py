"""Addresses in messages, the identity callback and what SES tells."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints.public import page
from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import Cid
from tests.builders import Stage
from tests.doors.conftest import Knock, records

SHOP = "https://shop.test/春?a=1&b=%20"
TO_SHOP = "https://shop.test/%E6%98%A5?a=1&b=%20"
CHROME = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36"
LINE_PREVIEW = "facebookexternalhit/1.1;line-poker/1.0"


@pytest.fixture
def hanako(stage: Stage) -> Cid:
    stage.world.tracking.create_link("spring", "春", SHOP)
    return stage.customer("M1", email="hanako@example.com")


def path_of(url: str) -> str:
    return url.removeprefix("https://crm.test")


def addresses(stage: Stage, cid: Cid) -> dict[str, str]:
    now, tracking = stage.clock.now(), stage.world.tracking
    return {
        "r": path_of(tracking.click_url("spring", cid, "cmp|1", now)),
        "o": path_of(tracking.open_url(cid, "cmp|1", now)),
        "u": path_of(tracking.opt_out_url(cid, "cmp|1", now)),
    }


def is_safe(answer: Any) -> bool:
    return answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"


def evidence(stage: Stage, client: Any, cid: Cid) -> list[str]:
    client.lambda_.invoke("webhook_worker", records(*stage.events.messages))
    return [item["evidence"] for item in stage.world.tracking.timeline(cid) if item["kind"] in ("clicked", "email_opened")]


def test_a_link_leads_on_and_is_noted_from_the_queue(stage: Stage, knock: Knock, client: Any, hanako: Cid) -> None:
    address = addresses(stage, hanako)["r"]
    stage.clock.advance(minutes=1)
    answer = knock("GET", address, headers={"User-Agent": CHROME})
    assert (answer.status_code, answer.headers["Location"]) == (302, TO_SHOP)
    assert is_safe(answer)
    assert stage.world.tracking.timeline(hanako) == []
    assert evidence(stage, client, hanako) == ["B"]
    assert evidence(stage, client, hanako) == ["B"]  # told twice, noted once


@pytest.mark.parametrize(
    ("method", "agent", "found"),
    [("HEAD", CHROME, []), ("GET", LINE_PREVIEW, []), ("GET", "", []), ("GET", "Googlebot/2.1", []), ("GET", "curl/8.1", []),
     ("GET", "SomeApp/1.0", ["C"])],
)  # fmt: skip
def test_machines_are_led_on_but_do_not_count(
    stage: Stage, knock: Knock, client: Any, hanako: Cid, method: str, agent: str, found: list[str]
) -> None:
    address = addresses(stage, hanako)["r"]
    stage.clock.advance(minutes=1)
    assert knock(method, address, headers={"User-Agent": agent}).status_code == 302
    assert evidence(stage, client, hanako) == found


def test_a_link_leads_on_although_the_queue_is_down(stage: Stage, knock: Knock, hanako: Cid) -> None:
    class Broken:
        def put(self, *_: Any) -> None:
            raise TemporaryError("down")

    stage.world.__dict__["events"] = Broken()
    known = addresses(stage, hanako)
    assert knock("GET", known["r"], headers={"User-Agent": CHROME}).status_code == 302
    assert knock("GET", known["o"]).status_code == 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_token_is_taken(stage: Stage, knock: Knock, data: st.DataObject) -> None:
    if not stage.world.tracking.links():
        stage.world.tracking.create_link("spring", "春", SHOP)
        stage.customer("M1", email="hanako@example.com")
    purpose, address = data.draw(st.sampled_from(sorted(addresses(stage, Cid(1)).items())))
    token = address[3:]
    place = data.draw(st.integers(0, len(token) - 1))
    char = data.draw(st.sampled_from("ABCxyz019-_"))
    forged = token[:place] + char + token[place + 1 :]
    # The last character of Base64 carries bits that mean nothing.
    if forged == token or place in (len(token) - 1, token.index(".") - 1):
        return
    stage.events.messages.clear()
    answer = knock("POST" if purpose == "u" else "GET", f"/{purpose}/{forged}")
    assert stage.events.messages == []
    assert answer.status_code == (200 if purpose == "o" else 404)
    assert "Location" not in answer.headers
    assert not stage.world.customers.get(Cid(1)).has_opted_out(DeliveryChannel.EMAIL)


def test_a_token_opens_only_the_door_it_was_made_for(stage: Stage, knock: Knock, hanako: Cid) -> None:
    tokens = {purpose: address[3:] for purpose, address in addresses(stage, hanako).items()}
    for purpose in "ru":
        for other in tokens:
            if other != purpose:
                assert knock("GET", f"/{purpose}/{tokens[other]}").status_code == 404
    assert knock("POST", f"/u/{tokens['r']}").status_code == 404
    assert knock("GET", f"/o/{tokens['u']}").status_code == 200
    assert stage.events.messages == []


@pytest.mark.parametrize("query", ["?url=https://evil.test", "?to=//evil.test", "?link_id=x&redirect=https://evil.test"])
def test_nobody_can_be_led_elsewhere(stage: Stage, knock: Knock, hanako: Cid, query: str) -> None:
    answer = knock("GET", addresses(stage, hanako)["r"] + query)
    assert answer.headers["Location"] == TO_SHOP
    assert knock("GET", "/r/" + quote("https://evil.test", safe="")).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "https://a.test/\r\nSet-Cookie: x=1",
        "javascript:alert(1)",
        "https:///x",
        "//a.test",
        "data:text/html,x",
        "https://a.test/\x00",
        " https://a.test",
    ],
)
def test_no_link_can_carry_a_header_or_a_script(stage: Stage, knock: Knock, url: str) -> None:
    answer = knock.api("POST", "/links", {"link_id": "bad", "name": "x", "url": url})
    assert answer.status_code == 422
    assert answer.json_body["code"] == "link.url_malformed"


def test_a_header_takes_nothing_that_a_link_smuggles_in(stage: Stage, knock: Knock, hanako: Cid) -> None:
    from chalicelib.tracking import table
    from chalicelib.tracking.model import TrackedLink

    table.create(TrackedLink("old", "x", "https://a.test/#x\r\nSet-Cookie: x=1\x00", stage.clock.now()))
    url = stage.world.tracking.click_url("old", hanako, "cmp|1", stage.clock.now())
    assert knock("GET", path_of(url)).headers["Location"] == "https://a.test/#x%0D%0ASet-Cookie:%20x=1%00"


@pytest.mark.parametrize("accept", ["", "image/avif,image/webp,*/*;q=0.8", "image/*", "text/html"])
def test_a_mail_gets_its_picture_whatever_it_accepts(stage: Stage, knock: Knock, client: Any, hanako: Cid, accept: str) -> None:
    answer = knock("GET", addresses(stage, hanako)["o"], headers={"Accept": accept, "User-Agent": CHROME})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert is_safe(answer)
    assert evidence(stage, client, hanako) == ["C"]


def test_looking_at_the_opt_out_changes_nothing(stage: Stage, knock: Knock, hanako: Cid) -> None:
    address = addresses(stage, hanako)["u"]
    answer = knock("GET", address)
    assert answer.status_code == 200
    assert b'method="post"' in answer.body
    assert is_safe(answer)
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert knock("GET", address + "?List-Unsubscribe=One-Click").status_code == 200
    assert not stage.world.customers.get(hanako).has_opted_out(DeliveryChannel.EMAIL)


BOUNDARY = '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("content_type", "body", "source"),
    [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click", "one-click cmp|1"),
        ("application/x-www-form-urlencoded; charset=UTF-8", "List-Unsubscribe=One-Click", "one-click cmp|1"),
        ("multipart/form-data; boundary=b", BOUNDARY, "one-click cmp|1"),
        ("application/x-www-form-urlencoded", "confirm=yes", "page cmp|1"),
        ("", "", "page cmp|1"),
    ],
)
def test_a_post_opts_out_in_one_click_without_cookies(
    stage: Stage, knock: Knock, hanako: Cid, content_type: str, body: str, source: str
) -> None:
    address = addresses(stage, hanako)["u"]
    for _ in range(2):
        assert knock("POST", address, body.encode(), {"Content-Type": content_type}).status_code == 200
    consent = stage.world.customers.get(hanako).consents[DeliveryChannel.EMAIL]
    assert (consent.is_opted_out, consent.source) == (True, source)


def test_somebody_whom_nobody_knows_any_more_is_told_that_no_mail_will_come(stage: Stage, knock: Knock) -> None:
    assert knock("POST", addresses(stage, Cid(99))["u"]).status_code == 200


def test_a_page_shows_tags_as_text() -> None:
    body = page(200, "<script>alert(1)</script>", "\"'><img src=x>").body
    assert "<script>" not in body
    assert "<img" not in body


def test_what_a_person_opens_fails_as_a_page_and_not_as_json(stage: Stage, knock: Knock, hanako: Cid, caplog: Any) -> None:
    address = addresses(stage, hanako)["u"]
    stage.world.customers.set_consent = None  # type: ignore[method-assign,assignment]
    answer = knock("POST", address)
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith("text/html")
    assert address[3:] not in caplog.text
    assert "Traceback" not in caplog.text


# Identity callback --------------------------------------------------------------------------------------------------------


class Member:
    """The member site, which signs."""

    def __init__(self, stage: Stage, knock: Knock) -> None:
        stage.secrets.put("member-site", {"key": "shared-secret"})
        self.values = {
            "member": "M1",
            "linkToken": "NMZTNuVrPTqlr2IF8Bnymkb7rXfYv5EY",
            "expires": str(int(stage.clock.now().timestamp()) + 300),
        }
        self._knock = knock

    def __call__(self, account: str = "main", key: str = "shared-secret", signature: str | None = None, **more: str) -> Any:
        values = {**self.values, **more}
        payload = "\n".join((account, values["member"], values["linkToken"], values["expires"])).encode()
        mac = hmac.new(key.encode(), payload, hashlib.sha256).hexdigest() if signature is None else signature
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in {**values, "signature": mac}.items())
        return self._knock("GET", f"/link/{account}?{query}")


@pytest.fixture
def member(stage: Stage, knock: Knock) -> Member:
    stage.customer("M1")
    return Member(stage, knock)


def test_a_signed_member_is_sent_on_to_lines_dialog_and_nowhere_else(stage: Stage, member: Member) -> None:
    answer = member(redirect="https://evil.test")
    assert answer.status_code == 302
    to = urlsplit(answer.headers["Location"])
    assert (to.scheme, to.netloc, to.path) == ("https", "access.line.me", "/dialog/bot/accountLink")
    query = parse_qs(to.query)
    assert query["linkToken"] == [member.values["linkToken"]]
    assert len(query["nonce"][0]) >= 22
    assert set(query) == {"linkToken", "nonce"}
    assert is_safe(answer)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"signature": ""}, 403), ({"signature": "0" * 64}, 403), ({"signature": "é"}, 403), ({"key": "other"}, 403),
        ({"expires": "0"}, 403), ({"expires": "x"}, 403), ({"expires": "-1"}, 403), ({"expires": "٣"}, 403),
        ({"expires": str(10**12)}, 403), ({"member": "nobody"}, 400), ({"linkToken": "a b"}, 400),
        ({"linkToken": "x" * 20 + "&nonce=mine"}, 400), ({"linkToken": ""}, 400), ({"account": "nobody"}, 400),
    ],
)  # fmt: skip
def test_whoever_is_not_signed_in_sees_a_page_and_goes_nowhere(
    member: Member, capsys: pytest.CaptureFixture[str], changes: dict[str, str], status: int
) -> None:
    answer = member(**changes)
    assert answer.status_code == status
    assert "Location" not in answer.headers
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "LinkRefused" in capsys.readouterr().out


def test_a_signature_is_good_for_its_own_member_only(member: Member) -> None:
    signature = parse_qs(urlsplit(member().headers["Location"]).query)["nonce"][0]
    assert member(signature=signature).status_code == 403
    payload = "\n".join(("main", "M2", member.values["linkToken"], member.values["expires"])).encode()
    other = hmac.new(b"shared-secret", payload, hashlib.sha256).hexdigest()
    assert member(signature=other).status_code == 403


def test_without_a_shared_secret_nobody_is_signed_in(stage: Stage, member: Member) -> None:
    stage.secrets.delete("member-site")
    assert member(key="").status_code == 403


# Feedback -----------------------------------------------------------------------------------------------------------------

MAIL = {"timestamp": "2026-12-01T01:00:00.123Z", "messageId": "m", "tags": {"delivery": ["key1"], "ses:source-ip": ["1.1.1.1"]}}
RECIPIENT = {"emailAddress": "Hanako@Example.com", "action": "failed", "status": "5.1.1"}


def tell(client: Any, message: Any) -> None:
    text = message if isinstance(message, str) else json.dumps(message)
    event = client.events.generate_sqs_event([text], queue_name="mail")
    assert client.lambda_.invoke("feedback", event).payload == {"batchItemFailures": []}


def is_suppressed(stage: Stage) -> bool:
    return bool(stage.world.customers.suppressed([(DeliveryChannel.EMAIL, "hanako@example.com")]))


def bounce(kind: str, name: str = "eventType") -> dict[str, Any]:
    return {name: "Bounce", "mail": MAIL, "bounce": {"bounceType": kind, "bouncedRecipients": [RECIPIENT]}}


@pytest.mark.parametrize("name", ["eventType", "notificationType"])
def test_a_permanent_bounce_gives_the_address_up(stage: Stage, client: Any, name: str) -> None:
    tell(client, bounce("Transient", name))
    tell(client, bounce("Undetermined", name))
    assert not is_suppressed(stage)
    tell(client, bounce("Permanent", name))
    tell(client, bounce("Permanent", name))
    assert is_suppressed(stage)


def test_a_complaint_gives_the_address_up(stage: Stage, client: Any) -> None:
    tell(client, {"eventType": "Complaint", "mail": MAIL, "complaint": {"complainedRecipients": [RECIPIENT]}})
    assert is_suppressed(stage)


@pytest.mark.parametrize(
    "kind", ["Send", "Delivery", "DeliveryDelay", "Reject", "Rendering Failure", "Open", "Click", "Subscription"]
)
def test_other_words_of_ses_are_kept_and_give_nothing_up(stage: Stage, client: Any, kind: str) -> None:
    tell(client, {"eventType": kind, "mail": MAIL, kind.lower(): {}})
    assert stage.world.ledger.has_left("key1") is (kind not in ("Reject", "Rendering Failure"))
    assert not is_suppressed(stage)


@pytest.mark.parametrize("text", ["Successfully validated SNS topic for Amazon SES event publishing.", "[]", "null", '"x"', "{}",
                                  '{"mail":null}', '{"eventType":"Send","mail":{}}', '{"eventType":"Send","mail":{"tags":null}}'])  # fmt: skip
def test_what_is_no_event_of_a_mail_of_ours_is_passed_over(stage: Stage, client: Any, text: str) -> None:
    tell(client, text)
    assert not stage.world.ledger.has_left("key1")


def test_what_could_not_be_kept_comes_again_alone(stage: Stage, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    complaint = {"eventType": "Complaint", "mail": MAIL, "complaint": {"complainedRecipients": [RECIPIENT]}}
    note_event = stage.world.delivery.note_event
    broken = iter([True])

    def note(*given: Any) -> None:
        if next(broken, False):
            raise TemporaryError("dynamodb: throttled")
        note_event(*given)

    monkeypatch.setattr(stage.world.delivery, "note_event", note)
    event = client.events.generate_sqs_event(
        [json.dumps(complaint), json.dumps({"eventType": "Send", "mail": MAIL})], queue_name="mail"
    )
    (again,) = client.lambda_.invoke("feedback", event).payload["batchItemFailures"]
    assert again == {"itemIdentifier": event["Records"][0]["messageId"]}
    assert not is_suppressed(stage)
    assert stage.world.ledger.has_left("key1")
    tell(client, complaint)
    assert is_suppressed(stage)


def test_no_address_stands_in_the_log(client: Any, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    tell(client, bounce("Permanent"))
    assert "example.com" not in capsys.readouterr().out.lower()
