"""The door where LINE knocks."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.entrypoints.line_webhook import MOST_QUEUED_BYTES
from chalicelib.kernel.errors import TemporaryError
from chalicelib.line_accounts.model import AccountSecret, secret_name, secret_to_json
from tests.builders import Stage
from tests.doors.conftest import ROOT, SECRET, Knock, envelope, event, records, signed


def test_it_takes_lines_own_test_vector_end_to_end(stage: Stage, knock: Knock, client: Any) -> None:
    body = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'
    secret = AccountSecret("123", "U8e742f61d673b39c7fff3cecb7536ef0", "8c570fa6dd201bb328f1c1eac23a96d8")
    stage.secrets.put(secret_name("main"), secret_to_json(secret))
    answer = knock("POST", "/webhook/main", body, {"x-line-signature": "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="})
    assert answer.status_code == 200
    ((kept, attributes),) = stage.events.messages
    assert kept.encode() == body
    assert attributes["account"] == "main"
    assert client.lambda_.invoke("webhook_worker", records((kept, attributes))).payload == {"batchItemFailures": []}


@pytest.mark.parametrize("signature", ["", "x", "ÿ", "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="])
def test_it_refuses_a_bad_or_missing_signature_and_counts_it(
    stage: Stage, knock: Knock, capsys: pytest.CaptureFixture[str], signature: str
) -> None:
    answer = knock("POST", "/webhook/main", envelope(), {"x-line-signature": signature})
    assert answer.status_code == 401
    assert stage.events.messages == []
    metric = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert metric["WebhookBadSignature"] == 1
    assert metric["Account"] == "main"


def test_it_refuses_the_signature_of_another_account(stage: Stage, knock: Knock) -> None:
    stage.world.line_accounts.connect("other", "別館", "2222222222", "e" * 32)
    body = envelope()
    assert knock("POST", "/webhook/other", body, signed(body)).status_code == 401
    assert knock("POST", "/webhook/other", body, signed(body, "e" * 32)).status_code == 200


def test_it_takes_a_secret_that_is_younger_than_its_memory(stage: Stage, knock: Knock) -> None:
    body = envelope()
    remembered = dict(stage.secrets.kept["line/main"])
    stage.world.line_accounts.rotate_secret("main", "a" * 32)
    stage.secrets.get = lambda _name: remembered  # type: ignore[method-assign]
    assert knock("POST", "/webhook/main", body, signed(body, "a" * 32)).status_code == 200
    assert knock("POST", "/webhook/main", body, signed(body, "9" * 32)).status_code == 401


def test_it_takes_the_former_secret_for_a_day_and_no_longer(stage: Stage, knock: Knock) -> None:
    stage.world.line_accounts.rotate_secret("main", "a" * 32)
    body = envelope()
    assert knock("POST", "/webhook/main", body, signed(body, "a" * 32)).status_code == 200
    stage.clock.advance(hours=23, minutes=59)
    assert knock("POST", "/webhook/main", body, signed(body, SECRET)).status_code == 200
    stage.clock.advance(minutes=1)
    assert knock("POST", "/webhook/main", body, signed(body, SECRET)).status_code == 401
    assert knock("POST", "/webhook/main", body, signed(body, "a" * 32)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        '{"destination":"x","events":[]}\n',
        '{ "events" : [ {"text":"🍣😀 ｆｕｌｌ"} ],\t"destination":"x"}',
        '{"destination":"x","events":[{"text":"\\ud83c\\udf63\\u0000\\n"}]}',
        '{"destination":"x","events":[{"text":"\x7f\u2028\ufeff"}]}',
    ],
)
@pytest.mark.parametrize("is_base64", [False, True])
def test_it_keeps_every_byte_of_the_body(stage: Stage, body: str, is_base64: bool) -> None:
    from app import app

    raw = body.encode()
    answer = app(gateway_event("main", raw, signed(raw), is_base64=is_base64), None)
    assert answer["statusCode"] == 200
    assert [kept.encode() for kept, _ in stage.events.messages] == [raw]


@pytest.mark.parametrize("char", ["\x00", "\x1f", "\ufffe", "\uffff", "\x0b"])
def test_it_sends_what_a_queue_cannot_carry_by_file(stage: Stage, knock: Knock, char: str) -> None:
    body = envelope({"text": "x"}).replace(b"x", char.encode())
    assert knock("POST", "/webhook/main", body, signed(body)).status_code == 200
    ((text, attributes),) = stage.events.messages
    assert text == "{}"
    assert stage.files.kept[attributes["file"]] == body


def test_it_sends_bytes_that_are_no_text_by_file(stage: Stage, knock: Knock) -> None:
    from app import app

    body = b'{"destination":"\xff\xfe"}'
    assert app(gateway_event("main", body, signed(body), is_base64=True), None)["statusCode"] == 200
    assert list(stage.files.kept.values()) == [body]


def test_it_sends_a_large_body_by_file_and_the_worker_reads_it_there(stage: Stage, knock: Knock, client: Any) -> None:
    small = envelope(event(stage, "message", 1, message={"type": "text", "text": "あ"}))
    padding = MOST_QUEUED_BYTES - len(small)
    at_limit = envelope(event(stage, "message", 1, message={"type": "text", "text": "あ" + "x" * padding}))
    over = envelope(event(stage, "message", 2, message={"type": "text", "text": "あ" + "x" * (padding + 1)}))
    assert (len(at_limit), len(over)) == (MOST_QUEUED_BYTES, MOST_QUEUED_BYTES + 1)
    for body in (at_limit, over):
        assert knock("POST", "/webhook/main", body, signed(body)).status_code == 200
    assert [text == "{}" for text, _ in stage.events.messages] == [False, True]
    assert list(stage.files.kept.values()) == [over]
    assert client.lambda_.invoke("webhook_worker", records(*stage.events.messages)).payload == {"batchItemFailures": []}
    assert stage.world.webhook_log.is_done("01J" + f"{2:023d}")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json;charset=UTF-8", "application/octet-stream"])
def test_it_lets_the_signature_and_not_the_content_type_decide(stage: Stage, knock: Knock, content_type: str) -> None:
    body = envelope()
    assert knock("POST", "/webhook/main", body, {**signed(body), "Content-Type": content_type}).status_code == 200


def test_it_does_not_say_200_when_nothing_was_kept(stage: Stage, knock: Knock, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def put(self, *_: Any) -> None:
            raise TemporaryError("SendMessage: 花子 Throttling")

    stage.world.__dict__["events"] = Broken()
    body = envelope()
    answer = knock("POST", "/webhook/main", body, signed(body))
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    logged = caplog.text
    assert "花子" not in logged
    assert "Traceback" not in logged
    assert "TemporaryError" in logged


@pytest.mark.parametrize("account", ["nobody", "MAIN", "..%2f..", "main%0a", "a" * 300])
def test_it_knows_no_other_account(stage: Stage, knock: Knock, account: str) -> None:
    body = envelope()
    assert knock("POST", f"/webhook/{account}", body, signed(body)).status_code == 404
    assert stage.events.messages == []


def test_a_secret_is_looked_up_once_a_minute(stage: Stage, knock: Knock, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.adapters.secrets import SecretsManager

    now = [0.0]
    secrets = SecretsManager("enishi/test/", monotonic=lambda: now[0])
    fetched: list[str] = []
    fetch = secrets._fetch

    def counted(name: str) -> Any:
        fetched.append(name)
        return stage.secrets.get(name)

    assert fetch
    monkeypatch.setattr(secrets, "_fetch", counted)
    stage.world.__dict__["secrets"] = secrets
    body = envelope()
    for _ in range(5):
        assert knock("POST", "/webhook/main", body, signed(body)).status_code == 200
    assert fetched == ["line/main"]
    for _ in range(5):
        knock("POST", "/webhook/nobody", body, signed(body))
    assert fetched == ["line/main", "line/nobody"]
    now[0] += 61
    knock("POST", "/webhook/main", body, signed(body))
    assert fetched == ["line/main", "line/nobody", "line/main"]


def test_a_cold_start_imports_nothing_heavy() -> None:
    code = "import app, sys; print([n for n in ('pynamodb','jinja2','linebot','reportlab','moto','boto3') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def gateway_event(account: str, body: bytes, headers: dict[str, str], *, is_base64: bool) -> dict[str, Any]:
    """Return the event of API Gateway's REST proxy."""
    return {
        "resource": "/webhook/{account}",
        "path": f"/webhook/{account}",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"account": account},
        "stageVariables": None,
        "requestContext": {"resourcePath": "/webhook/{account}", "httpMethod": "POST", "identity": {}},
        "body": base64.b64encode(body).decode() if is_base64 else body.decode(),
        "isBase64Encoded": is_base64,
    }


def test_lines_clock_does_not_decide_about_the_former_secret(stage: Stage) -> None:
    secret = AccountSecret("1", "U", "new").rotated("newer", stage.clock.now())
    assert secret.accepted(stage.clock.now() + timedelta(hours=25)) == ("newer",)
