"""Linking accounts: three outcomes, and everything that must not produce a webhook."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from line_simulator import Channel, LineSimulator, Person, SimulatorError

NONCE = "bm9uY2UtMDEyMzQ1Njc4OQ=="


@pytest.fixture
def dialog(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> str:
    token = api("POST", f"/v2/bot/user/{hanako.user_id(shop)}/linkToken")[1]["linkToken"]
    return f"{line.url}/dialog/bot/accountLink?linkToken={token}&nonce={quote(NONCE, safe='')}"


def links(line: LineSimulator, receiver: Any) -> list[dict[str, Any]]:
    line.drain()
    return [event for event in receiver.events if event["type"] == "accountLink"]


def test_the_owner_agrees(api: Any, line: LineSimulator, hanako: Person, shop: Channel, dialog: str, receiver: Any) -> None:
    assert "連携が完了しました" in hanako.link_account(dialog).text
    (event,) = links(line, receiver)
    assert event["link"] == {"result": "ok", "nonce": NONCE}
    assert event["source"] == {"type": "user", "userId": hanako.user_id(shop)}
    assert api.reply(event["replyToken"])[0] == 200


def test_someone_else_agrees(line: LineSimulator, dialog: str, receiver: Any) -> None:
    assert "連携できませんでした" in line.person("次郎").link_account(dialog).text
    (event,) = links(line, receiver)
    assert event["link"] == {"result": "failed", "nonce": NONCE}
    assert "source" not in event
    assert "replyToken" not in event


def test_a_used_token_is_refused_without_a_webhook(line: LineSimulator, hanako: Person, dialog: str, receiver: Any) -> None:
    hanako.link_account(dialog)
    assert hanako.link_account(dialog).status == 400
    assert len(links(line, receiver)) == 1


def test_an_expired_token_is_refused_without_a_webhook(line: LineSimulator, hanako: Person, dialog: str, receiver: Any) -> None:
    line.clock.advance(601)
    page = hanako.link_account(dialog)
    assert page.status == 400
    assert "有効期限" in page.text
    assert links(line, receiver) == []


@pytest.mark.parametrize("nonce", ["short", "a" * 256, ""])
def test_a_nonce_of_wrong_length_is_refused(line: LineSimulator, hanako: Person, dialog: str, receiver: Any, nonce: str) -> None:
    assert hanako.link_account(dialog.partition("&nonce")[0] + f"&nonce={nonce}").status == 400
    assert links(line, receiver) == []


def test_declining_keeps_the_token(line: LineSimulator, hanako: Person, dialog: str, receiver: Any) -> None:
    hanako.link_account(dialog, agree=False)
    assert links(line, receiver) == []
    hanako.link_account(dialog)
    assert len(links(line, receiver)) == 1


def test_the_dialog_follows_from_a_tapped_button(
    line: LineSimulator, hanako: Person, shop: Channel, dialog: str, receiver: Any
) -> None:
    page = hanako.tap(shop, {}, {"type": "uri", "label": "連携", "uri": dialog}).page
    assert page is not None
    assert "花屋" in page.text
    hanako.link_account(page)
    assert links(line, receiver)[0]["link"]["result"] == "ok"


def test_names_are_escaped_in_the_dialog(line: LineSimulator, hanako: Person, shop: Channel, dialog: str) -> None:
    line.person("<script>alert(1)</script>")
    shop.name = "<b>花屋"
    page = hanako.open(dialog).text
    assert "<script>" not in page
    assert "<b>" not in page


def test_another_page_is_not_the_dialog(line: LineSimulator, hanako: Person) -> None:
    with pytest.raises(SimulatorError, match="is not the account link dialog"):
        hanako.link_account(f"{line.url}/_phone")


def test_the_nonce_comes_back_as_it_was(line: LineSimulator, hanako: Person, dialog: str, receiver: Any) -> None:
    odd = 'a+/= &"<b>%é花' + "x" * 240
    hanako.link_account(dialog.partition("&nonce")[0] + "&nonce=" + quote(odd, safe=""))
    assert links(line, receiver)[0]["link"] == {"result": "ok", "nonce": odd}


def test_a_failed_attempt_uses_the_token_up(line: LineSimulator, hanako: Person, dialog: str, receiver: Any) -> None:
    line.person("次郎").link_account(dialog)
    assert hanako.link_account(dialog).status == 400
    assert [event["link"]["result"] for event in links(line, receiver)] == ["failed"]


def test_a_token_can_expire_while_the_dialog_is_open(line: LineSimulator, hanako: Person, dialog: str, receiver: Any) -> None:
    page = hanako.open(dialog)
    line.clock.advance(601)
    assert hanako.link_account(page).status == 400
    assert links(line, receiver) == []


@pytest.mark.parametrize(
    ("kind", "shown", "results"),
    [("link_failed", "連携できませんでした", ["failed"]), ("link_no_webhook", "連携が完了しました", [])],
)
def test_linking_that_goes_wrong(
    line: LineSimulator, shop: Channel, hanako: Person, dialog: str, receiver: Any, kind: str, shown: str, results: list[str]
) -> None:
    line.fault(kind, channel=shop.name)
    assert shown in hanako.link_account(dialog).text
    events = links(line, receiver)
    assert [event["link"]["result"] for event in events] == results
    assert all("source" not in event and "replyToken" not in event for event in events)


def test_faults_of_calls_leave_the_dialog_alone(line: LineSimulator, hanako: Person, dialog: str, receiver: Any) -> None:
    line.fault("error_before_accept")
    hanako.link_account(dialog)
    assert len(links(line, receiver)) == 1


def test_the_dialog_is_in_the_journal_without_its_token(line: LineSimulator, hanako: Person, dialog: str) -> None:
    hanako.link_account(dialog)
    calls = [call for call in line.requests if "AccountLink" in call.operation_id]
    assert [(call.method, call.operation_id, call.status) for call in calls] == [
        ("GET", "openAccountLink", 200),
        ("POST", "answerAccountLink", 200),
    ]
    token = dialog.partition("linkToken=")[2].partition("&")[0]
    assert token not in str([call.describe() for call in calls])
