"""The admin API: who may, what is refused and how, and that its own document tells the truth."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import app as _app  # noqa: F401 - declares every endpoint
from chalicelib.entrypoints import lake_keeper
from chalicelib.entrypoints.admin_api.framework import ENDPOINTS, Endpoint
from chalicelib.entrypoints.admin_api.openapi import document
from chalicelib.entrypoints.steps import enqueue
from chalicelib.entrypoints.workers import do
from chalicelib.kernel.errors import PermanentError, QuotaExceededError, TemporaryError
from chalicelib.kernel.ids import Cid, customer_id
from chalicelib.lake.service import Lake
from chalicelib.ports.line import Quota
from chalicelib.ports.queues import DeadLetter
from chalicelib.staff.model import SCOPES
from tests.builders import HANAKO, Stage
from tests.doors.conftest import Knock
from tests.fakes.outside import FakeQueue
from tests.lake.base_files import put_lake

NAMES = {found.handler.__name__: found for found in ENDPOINTS}


def fill(path: str, **names: str) -> str:
    values = {
        "key": "main", "key_id": "enk_none", "customer_id": "cus_0000000000", "tag_id": "tag_none", "campaign_id": "cmp_none",
        "scenario_id": "none", "ready_id": "none", "template_id": "tpl_none", "import_id": "imp_none", "queue": "events", "event_id": "none",
        "segment_id": "seg_none", "day": "2026-12-01", "channel": "email", "account": "main", "webhook_id": "none", "line_user_id": HANAKO,
        "rehearsal_id": "reh_none", "archive_id": "arc_none", "gone": "cus_0000000000", "receipt_id": "era_none", "source_id": "none", "cube": "none", **names,
    }  # fmt: skip
    return path.format_map(values)


def body_of(found: Endpoint) -> Any:
    return {} if found.request is not None else None


def ask(knock: Knock, found: Endpoint, headers: dict[str, str]) -> Any:
    return knock(found.method, fill(found.path), body_of(found), {"Idempotency-Key": "k", **headers})


def is_problem(answer: Any, status: int, code: str) -> None:
    problem = answer.json_body
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.body
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].endswith(code)
    assert any("\u3040" <= char <= "\u30ff" for char in problem["title"]), "no Japanese"
    assert "{" not in problem["title"] + problem.get("detail", ""), "a blank was left"


EVERY = pytest.mark.parametrize("found", ENDPOINTS, ids=lambda found: found.handler.__name__)


@EVERY
def test_it_asks_everybody_for_a_key(knock: Knock, found: Endpoint) -> None:
    is_problem(ask(knock, found, {}), 401, "auth.missing")
    for wrong in ("Bearer", "Bearer x", "Basic enk_x.y", "Bearer enk_.", "enk_a.b", "Bearer enk_" + "0" * 3000 + ".x"):
        is_problem(ask(knock, found, {"Authorization": wrong}), 401, "auth.missing")


@EVERY
def test_it_refuses_a_wrong_a_revoked_and_an_unknown_key(stage: Stage, knock: Knock, found: Endpoint) -> None:
    key, token = stage.world.staff.issue("x", ["*"])
    bad = [f"{key.key_id}.wrong", token[:-1], token + "x", "enk_" + "0" * 26 + "." + token.partition(".")[2], f"{key.key_id}.é"]
    for one in bad:
        is_problem(ask(knock, found, {"Authorization": f"Bearer {one}"}), 401, "auth.refused")
    stage.world.staff.revoke(key.key_id)
    is_problem(ask(knock, found, {"Authorization": f"Bearer {token}"}), 401, "auth.refused")


@EVERY
def test_every_other_scope_is_refused_and_its_own_is_enough(stage: Stage, knock: Knock, found: Endpoint) -> None:
    others = [scope for scope in SCOPES if scope != found.scope]
    for scope in others:
        answer = ask(knock, found, {"Authorization": f"Bearer {knock.token(scope)}"})
        is_problem(answer, 403, "auth.scope_missing")
        assert found.scope in answer.json_body["title"]
    is_problem(ask(knock, found, {"Authorization": f"Bearer {knock.token(*others)}"}), 403, "auth.scope_missing")
    stage.world.__dict__["dead_letters"] = lambda _: FakeQueue()
    for scope in (found.scope, "*"):
        answer = ask(knock, found, {"Authorization": f"Bearer {knock.token(scope)}"})
        assert answer.status_code not in (401, 403, 500, 503), answer.body


@EVERY
def test_a_write_names_a_write_scope(found: Endpoint) -> None:
    assert found.scope.endswith(":read") == (found.method == "GET")


@EVERY
def test_a_body_is_checked_before_anything_is_done(knock: Knock, found: Endpoint) -> None:
    if found.request is None:
        return
    headers = {"Authorization": f"Bearer {knock.token('*')}", "Idempotency-Key": "k"}
    path = fill(found.path)
    for bad in (b"{", b"\xff\xfe", b"x", b'{"'):
        is_problem(knock(found.method, path, bad, headers), 422, "api.not_json")
    for wrong in (b"[]", b"null", b'"x"', b"7"):
        is_problem(knock(found.method, path, wrong, headers), 422, "api.body_malformed")
    answer = knock(found.method, path, {"nonsense": 1}, headers)
    is_problem(answer, 422, "api.body_malformed")


def test_a_malformed_body_says_where(knock: Knock) -> None:
    answer = knock.api("POST", "/tags", {"name": 7})
    is_problem(answer, 422, "api.body_malformed")
    assert "$.name" in answer.json_body["title"]
    answer = knock.api("POST", "/customers", {"member_no": "1", "attributes": {"a": [1]}})
    assert "$.attributes[...]" in answer.json_body["title"]
    answer = knock.api("POST", "/tags", {"nmae": "x", "name": "x"})
    assert "nmae" in answer.json_body["detail"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "٣", "9" * 5000, "1e2", "+1", "%201"])
@pytest.mark.parametrize("path", ["/customers", "/campaigns"])
def test_a_wrong_limit_is_refused(knock: Knock, path: str, limit: str) -> None:
    is_problem(knock.api("GET", f"{path}?limit={limit}"), 422, "api.parameter_malformed")


@pytest.mark.parametrize("cursor", ["%21%21", "e30x", "eyJhIjoxfQ", "ImEi", "あ", "MS41"])
def test_a_wrong_cursor_is_refused(knock: Knock, cursor: str) -> None:
    is_problem(knock.api("GET", f"/customers?cursor={cursor}"), 422, "cursor.malformed")


def test_pages_follow_each_other_until_none_is_left(stage: Stage, knock: Knock) -> None:
    wanted = [f"M{number}" for number in range(7)]
    for member in wanted:
        stage.customer(member)
    found, cursor = [], ""
    for _ in range(9):
        page = knock.api("GET", f"/customers?limit=3{cursor}").json_body
        found += [item["member_no"] for item in page["items"]]
        assert len(page["items"]) <= 3
        if not page["next_cursor"]:
            break
        cursor = "&cursor=" + page["next_cursor"]
    assert found == wanted


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/v1/openapi.json", 405), ("DELETE", "/v1/tags", 405)])
def test_chalices_own_refusals_are_problems_too(knock: Knock, method: str, path: str, status: int) -> None:
    answer = knock(method, path)
    assert answer.status_code == status
    assert "Exception" not in str(answer.body)


def test_a_wrong_content_type_is_a_problem_in_japanese(knock: Knock) -> None:
    is_problem(knock("POST", "/v1/tags", b"name=x", {"Content-Type": "text/plain"}), 415, "api.content_type_unknown")


def test_a_method_that_comes_through_all_the_same_is_a_problem() -> None:
    from app import app

    event = {"requestContext": {"resourcePath": "/v1/tags", "httpMethod": "TRACE"}, "headers": {}, "body": None,
             "pathParameters": None, "multiValueQueryStringParameters": None, "stageVariables": None}  # fmt: skip
    answer = app(event, None)
    assert answer["statusCode"] == 405
    assert json.loads(answer["body"])["code"] == "api.method_unknown"
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert "GET" in answer["headers"]["Allow"]


def test_an_unknown_address_gives_nothing_away(knock: Knock) -> None:
    for path in ("/v1/nothing", "/v1", "/", "/v1/tags/a/b/c", "/.env", "/v1/../health/x"):
        assert knock("GET", path).status_code in (403, 404)


ORDER = {"order_no": "O1", "member_no": "M1", "ordered_at": "2026-11-30T10:00:00+09:00", "amount_yen": 1}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *[("/orders", {**ORDER, **wrong}) for wrong in (
            {"amount_yen": -(10**13)}, {"amount_yen": 10**40}, {"order_no": ""}, {"order_no": "x" * 65}, {"order_no": "花"}, {"order_no": "a b"},
            {"ordered_at": "0001-01-01T00:00:00+23:00"}, {"ordered_at": "9999-12-31T23:59:59-23:00"}, {"ordered_at": "2026-11-30T10:00:00"},
            {"products": [""]}, {"products": ["x" * 101]}, {"member_no": "x" * 5000}, {"member_no": "a/b"},
        )],
        *[("/customers", {"member_no": "M1", "attributes": wrong}) for wrong in (
            {"a": 1e200}, {"a": 10**50}, {"": 1}, {"a": "x" * 501}, {"a": {}}, {"a": []}, {"k" * 101: 1},
        )],
        ("/customers", {"member_no": "M1", "name": "x" * 400_000}),
        ("/tags", {"name": "x" * 3000}),
        ("/campaigns", {"name": "x" * 201, "channel": "line", "template_id": "tpl_hello", "condition": {}}),
        *[("/line-accounts", {"key": "two", "name": "x", "channel_id": "1", "channel_secret": "s", "member_login_url": url})
          for url in ("javascript:alert(1)", "https://a b", "https://a.test/" + "x" * 700)],
    ],
)  # fmt: skip
def test_what_no_room_could_keep_is_refused_at_the_door(stage: Stage, knock: Knock, path: str, body: Any) -> None:
    stage.customer("M1")
    answer = knock.api("POST", path, body)
    assert answer.status_code == 422, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert stage.world.orders.of(Cid(1)) == []


def test_an_attribute_is_written_beside_the_others_and_a_null_takes_it_away(stage: Stage, knock: Knock) -> None:
    def attributes(method: str, path: str, **given: Any) -> Any:
        return knock.api(method, path, given).json_body["attributes"]

    path = f"/customers/{customer_id(stage.customer('M1', attributes={'rank': 'gold'}))}"
    assert attributes("POST", "/customers", member_no="M1", attributes={"points": 5}) == {"rank": "gold", "points": 5}
    assert attributes("PATCH", path, attributes={"rank": None}) == {"points": 5}


@EVERY
def test_an_endless_address_names_nothing(knock: Knock, found: Endpoint) -> None:
    for name in (
        "key",
        "key_id",
        "customer_id",
        "tag_id",
        "campaign_id",
        "scenario_id",
        "segment_id",
        "template_id",
        "import_id",
        "event_id",
        "account",
        "line_user_id",
        "day",
    ):
        if f"{{{name}}}" in found.path:
            headers = {"Authorization": f"Bearer {knock.token('*')}", "Idempotency-Key": "k"}
            is_problem(
                knock(found.method, fill(found.path, **{name: "%E3%81%82" * 400}), body_of(found), headers), 404, "resource.unknown"
            )
    if found.query:
        is_problem(
            knock.api("GET", found.path.removeprefix("/v1") + f"?{found.query[-1]}={'x' * 600}"), 422, "api.parameter_malformed"
        )


def test_a_time_beyond_every_calendar_is_refused(stage: Stage, knock: Knock) -> None:
    path = f"/campaigns/{campaign(stage, knock)}/send"
    is_problem(knock.api("POST", path, {"send_at": "9999-12-31T23:59:59-23:00"}, Idempotency_Key="k"), 422, "time.malformed")


# What is outside fails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("problem", "status"), [(TemporaryError("花子"), 503), (RuntimeError("花子"), 500)])
def test_a_failure_shows_one_sentence_and_logs_no_text(
    stage: Stage, knock: Knock, capfd: pytest.CaptureFixture[str], caplog: Any, problem: Exception, status: int
) -> None:
    def fail() -> None:
        raise problem

    stage.world.tags.everyone = fail  # type: ignore[method-assign,assignment]
    answer = knock.api("GET", "/tags")
    is_problem(answer, status, "api.unavailable" if status == 503 else "api.failed")
    logged = "".join(capfd.readouterr()) + caplog.text
    assert "花子" not in logged + answer.body.decode()
    assert "Traceback" not in logged
    assert type(problem).__name__ in logged


def test_line_refusing_the_credentials_is_the_callers_matter(stage: Stage, knock: Knock, capfd: pytest.CaptureFixture[str]) -> None:
    stage.line.problems.append(PermanentError("LINE /oauth2/v3/token 400: invalid_client"))
    body = {"key": "two", "name": "二", "channel_id": "1", "channel_secret": "verysecret"}
    is_problem(knock.api("POST", "/line-accounts", body), 422, "account.credentials_refused")
    assert stage.secrets.get("line/two") is None
    assert "verysecret" not in "".join(capfd.readouterr())


def test_it_says_what_the_month_still_carries(stage: Stage, knock: Knock) -> None:
    stage.line.month = Quota(200, 40)
    assert knock.api("GET", "/line-accounts/main/quota").json_body == {"limit": 200, "used": 40, "left": 160}
    is_problem(knock.api("GET", "/line-accounts/nobody/quota"), 404, "account.unknown")
    knock.api("POST", "/line-accounts", {"key": "two", "name": "二号店", "channel_id": "2", "channel_secret": "f" * 32})
    stage.line.month = Quota(None, 7)
    assert knock.api("GET", "/line-accounts/two/quota").json_body == {"limit": None, "used": 7, "left": None}


def test_no_secret_and_no_hash_is_ever_shown(stage: Stage, knock: Knock) -> None:
    token = knock.token("*")
    for path in ("/line-accounts", "/line-accounts/main", "/api-keys"):
        shown = knock.api("GET", path).body.decode()
        assert "f" * 32 not in shown
        assert token.partition(".")[2] not in shown
        assert "hash" not in shown


def test_answers_are_kept_by_nobody(knock: Knock) -> None:
    for path in ("/customers", "/nothing-here", "/customers/cus_0000000000"):
        answer = knock.api("GET", path)
        if answer.status_code != 403:
            assert answer.headers["Cache-Control"] == "no-store"


# Keys ----------------------------------------------------------------------------------------------------------------------


def test_nobody_grants_more_than_he_has(stage: Stage, knock: Knock) -> None:
    mine = ("keys:write", "tags:read")
    before = len(stage.world.staff.everyone())
    for scopes in (["*"], ["tags:write"], ["tags:read", "keys:read"], ["tags:read", "*"]):
        is_problem(knock.api("POST", "/api-keys", {"name": "x", "scopes": scopes}, scopes=mine), 403, "auth.scope_missing")
    assert len(stage.world.staff.everyone()) == before + 1
    made = knock.api("POST", "/api-keys", {"name": "x", "scopes": ["tags:read"]}, scopes=mine)
    assert made.status_code == 201
    headers = {"Authorization": f"Bearer {made.json_body['token']}"}
    assert knock("GET", "/v1/tags", None, headers).status_code == 200
    assert knock("POST", "/v1/tags", {"name": "x"}, headers).status_code == 403
    assert knock.api("DELETE", f"/api-keys/{made.json_body['key']['key_id']}").status_code == 204
    assert knock("GET", "/v1/tags", None, headers).status_code == 401
    for scopes in ([], ["nothing:read"], [""]):
        is_problem(knock.api("POST", "/api-keys", {"name": "x", "scopes": scopes}), 422, "key.scope_unknown")


# Idempotency ---------------------------------------------------------------------------------------------------------------


def campaign(stage: Stage, knock: Knock) -> str:
    stage.template()
    body = {
        "name": "春",
        "channel": "line",
        "template_id": "tpl_hello",
        "condition": {"field": "line.reachable", "is": True},
        "account": "main",
    }
    made = knock.api("POST", "/campaigns", body)
    assert made.status_code == 201, made.body
    return str(made.json_body["campaign_id"])


def test_a_send_that_is_asked_for_twice_happens_once(stage: Stage, knock: Knock) -> None:
    path = f"/campaigns/{campaign(stage, knock)}/send"
    is_problem(knock.api("POST", path, {}), 422, "idempotency.key_missing")
    for bad in ("x" * 65, "a b", "あ"):
        is_problem(knock.api("POST", path, {}, Idempotency_Key=bad), 422, "idempotency.key_missing")
    first = knock.api("POST", path, {}, Idempotency_Key="k1")
    again = knock.api("POST", path, {}, Idempotency_Key="k1")
    assert (first.status_code, first.body) == (again.status_code, again.body)
    assert first.status_code == 200
    assert len(stage.work.messages) == 1
    other = {"send_at": (stage.clock.now() + timedelta(days=1)).isoformat()}
    is_problem(knock.api("POST", path, other, Idempotency_Key="k1"), 422, "idempotency.other_request")
    is_problem(knock.api("POST", path, {}, Idempotency_Key="k2"), 409, "campaign.not_a_draft")


def test_a_refused_call_may_be_made_again_under_its_key(stage: Stage, knock: Knock) -> None:
    path = f"/campaigns/{campaign(stage, knock)}/send"
    past = {"send_at": "2020-01-01T00:00:00Z"}
    is_problem(knock.api("POST", path, past, Idempotency_Key="k1"), 422, "campaign.time_is_past")
    assert knock.api("POST", path, {}, Idempotency_Key="k1").status_code == 200
    is_problem(
        knock.api("POST", "/campaigns/cmp_x/send", {"send_at": "2026-12-24T00:00:00"}, Idempotency_Key="k9"), 422, "time.malformed"
    )


def test_a_call_that_died_is_in_progress_for_a_minute_and_then_begun_anew(stage: Stage, knock: Knock) -> None:
    path = f"/campaigns/{campaign(stage, knock)}/send"
    put = stage.work.put

    def dies(*_: Any) -> None:
        raise TemporaryError("down")

    stage.work.put = dies  # type: ignore[method-assign]
    assert knock.api("POST", path, {}, Idempotency_Key="k1").status_code == 503
    stage.work.put = put  # type: ignore[method-assign]
    is_problem(knock.api("POST", path, {}, Idempotency_Key="k1"), 409, "idempotency.in_progress")
    stage.clock.advance(seconds=61)
    assert knock.api("POST", path, {}, Idempotency_Key="k1").json_body.get("code") != "idempotency.in_progress"


def test_keys_of_two_callers_do_not_meet(stage: Stage, knock: Knock) -> None:
    path = f"/campaigns/{campaign(stage, knock)}/send"
    assert knock.api("POST", path, {}, Idempotency_Key="k").status_code == 200
    is_problem(knock.api("POST", path, {}, scopes=("campaigns:write",), Idempotency_Key="k"), 409, "campaign.not_a_draft")


# Dead letters --------------------------------------------------------------------------------------------------------------


class Dead(FakeQueue):
    """A dead-letter queue that remembers the order of what was done to it."""

    def __init__(self, log: list[str]) -> None:
        super().__init__([(f"body{n}", {"account": "main"}) for n in range(3)])
        self.log = log

    def peek(self, most: int) -> list[DeadLetter]:
        return [DeadLetter(body, body, attributes, body) for body, attributes in self.messages[:most]]

    def remove(self, letter: DeadLetter) -> None:
        self.log.append(f"remove {letter.body}")
        super().remove(letter)


@pytest.fixture
def dead(stage: Stage) -> Dead:
    made = Dead([])
    put = stage.events.put

    def logged(body: str, attributes: dict[str, str], delay_seconds: int = 0) -> None:
        made.log.append(f"put {body}")
        put(body, attributes)

    stage.events.put = logged  # type: ignore[method-assign]
    stage.world.__dict__["dead_letters"] = lambda name: made if name == "events" else FakeQueue()
    return made


def test_dead_letters_are_shown_and_go_back_to_work_without_a_gap(stage: Stage, knock: Knock, dead: Dead) -> None:
    shown = knock.api("GET", "/dead-letters/events").json_body["items"]
    assert shown[0] == {"message_id": "body0", "body": "body0", "attributes": {"account": "main"}}
    replayed = knock.api("POST", "/dead-letters/events/replay", {"message_ids": ["body1", "none"]}, Idempotency_Key="r1")
    assert replayed.json_body == {"count": 1}
    assert dead.log == ["put body1", "remove body1"]
    assert knock.api("POST", "/dead-letters/events/replay", {"message_ids": ["body1", "none"]}, Idempotency_Key="r1").json_body == {
        "count": 1
    }
    assert knock.api("POST", "/dead-letters/events/replay", {}, Idempotency_Key="r2").json_body == {"count": 2}
    assert [entry for entry in dead.log if entry.startswith("put")] == ["put body1", "put body0", "put body2"]
    assert dead.messages == []
    assert stage.events.messages[0] == ("body1", {"account": "main"})
    stage.world.__dict__["mail_events"] = mail = FakeQueue()
    stage.world.__dict__["dead_letters"] = lambda _: FakeQueue([("bounced", {})])
    assert knock.api("POST", "/dead-letters/mail/replay", {}, Idempotency_Key="r3").json_body == {"count": 1}
    assert mail.messages == [("bounced", {})]
    is_problem(knock.api("GET", "/dead-letters/other"), 422, "api.parameter_malformed")


@pytest.mark.parametrize("dies_at", ["put", "remove"])
def test_no_dead_letter_is_lost_when_a_replay_dies(stage: Stage, knock: Knock, dead: Dead, dies_at: str) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise TemporaryError("down")

    setattr(stage.events if dies_at == "put" else dead, dies_at, dies)
    assert knock.api("POST", "/dead-letters/events/replay", {}, Idempotency_Key="r").status_code == 503
    kept = {body for body, _ in dead.messages} | {body for body, _ in stage.events.messages}
    assert kept == {"body0", "body1", "body2"}


# The document ---------------------------------------------------------------------------------------------------------------


def test_the_document_is_valid_complete_and_unambiguous(knock: Knock) -> None:
    made = knock("GET", "/v1/openapi.json").json_body
    OpenAPIV31SpecValidator(made).validate()
    operations = {(method.upper(), path): op for path, ops in made["paths"].items() for method, op in ops.items()}
    assert set(operations) == {(found.method, found.path) for found in ENDPOINTS}
    assert len(ENDPOINTS) == len(operations)
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    for operation in operations.values():
        assert any("\u3040" <= char <= "\u9fff" for char in operation["summary"])
        assert "default" in operation["responses"]


def validator(schema: dict[str, Any]) -> Any:
    made = document()
    return jsonschema.Draft202012Validator({**schema, "components": made["components"]})


class Tour:
    """Calls every endpoint once with something that it can do; notes which."""

    def __init__(self, stage: Stage, knock: Knock) -> None:
        self._knock = knock
        self.called: set[str] = set()
        self.number = 0

    def __call__(self, name: str, body: Any = None, query: str = "", **names: str) -> Any:
        found = NAMES[name]
        self.called.add(name)
        self.number += 1
        if found.request is not None:
            schema = document()["paths"][found.path][found.method.lower()]["requestBody"]["content"]["application/json"]["schema"]
            validator(schema).validate(body)
        path = fill(found.path, **names).removeprefix("/v1") + query
        answer = self._knock.api(found.method, path, body, Idempotency_Key=f"tour{self.number}")
        assert answer.status_code in ({found.status, 202} if found.later else {found.status}), (name, answer.body)
        responses = document()["paths"][found.path][found.method.lower()]["responses"]
        content = responses[str(answer.status_code)].get("content")
        if content is None:
            assert answer.body == b""
            return None
        assert answer.headers["Content-Type"] == "application/json"
        validator(content["application/json"]["schema"]).validate(answer.json_body)
        return answer.json_body


def test_every_endpoint_answers_as_the_document_says(stage: Stage, knock: Knock, tmp_path: Path) -> None:
    tour = Tour(stage, knock)
    stage.friend()
    stage.world.__dict__["dead_letters"] = lambda _: FakeQueue([("body", {"account": "main"})])
    secret = {"channel_secret": "a" * 32}
    tour("connect_line_account", {"key": "two", "name": "二号店", "channel_id": "2", **secret})
    tour("list_line_accounts")
    tour("get_line_account", key="two")
    tour("rotate_line_account_secret", secret, key="two")
    tour("check_line_account", key="two")
    tour("get_line_account_quota", key="two")
    made = tour("issue_api_key", {"name": "外部", "scopes": ["tags:read"]})
    tour("list_api_keys")
    tour("revoke_api_key", key_id=made["key"]["key_id"])
    profile = {"member_no": "M1", "name": "山田 花子", "birthday": "1990-01-31", "gender": "女性", "email": "h@example.com",
               "phone": "090-1234-5678", "attributes": {"rank": "gold", "points": 3, "ratio": 0.5, "vip": True}}  # fmt: skip
    cus = tour("save_customer", profile)["customer_id"]
    tour("change_customer", {"name": ""}, customer_id=cus)
    tour("list_customers", query="?limit=1")
    assert tour("list_customers", query="?member_no=M1")["items"][0]["customer_id"] == cus
    tag = tour("create_tag", {"name": "常連"})["tag_id"]
    tour("list_tags")
    tour("tag_customer", customer_id=cus, tag_id=tag)
    tour("set_consent", {"is_opted_out": False, "source": "店頭"}, customer_id=cus)
    tour(
        "take_order",
        {"order_no": "O1", "member_no": "M1", "ordered_at": "2026-11-30T10:00:00+09:00", "amount_yen": 1980, "products": ["P1"]},
    )
    tour("list_orders", customer_id=cus)
    shown = tour("get_customer", customer_id=cus)
    assert (shown["tags"], shown["purchase_total_yen"]) == ([tag], 1980)
    friend = tour("get_friend")
    stage.world.line_accounts.connect("main", "縁商店", "1234567890", "f" * 32, "https://shop.test/line-login")
    tour("request_identity_link", {"account": "main", "member_no": "M1", "link_token": "NMZTNuVrPTqlr2IF8Bnymkb7rXfYv5EY"})
    link(stage, cus)
    tour("undo_identity_link", customer_id=cus)
    tour("untag_customer", customer_id=cus, tag_id=tag)
    tour("get_timeline", customer_id=cus)
    tour("delete_tag", tag_id=tag)
    line = {"messages": [{"type": "text", "text": "こんにちは"}]}
    tpl = tour("create_template", {"name": "挨拶", "channel": "line", "content": line, "template_id": "tpl_hi"})["template_id"]
    tour("create_template", {"name": "消す", "channel": "sms", "content": {"text": "x"}, "template_id": "tpl_gone"})
    tour("list_templates")
    tour("get_template", template_id=tpl)
    tour("change_template", {"name": "挨拶2", "content": line}, template_id=tpl)
    tour("delete_template", template_id="tpl_gone")
    cap = {"scope": "all", "most": 3, "per": "P7D", "policy": "delay"}
    tour("set_delivery_limits", {"caps": [cap], "hours": {"start": "09:00", "end": "21:00"}})
    tour("set_delivery_limits", {"caps": []})
    tour("get_delivery_limits")
    tour("put_webhook", {"name": "POS", "url": "https://pos.test/"}, webhook_id="pos")
    tour("list_webhooks")
    tour("get_webhook", webhook_id="pos")
    tour("delete_webhook", webhook_id="pos")
    tour("set_staff_notices", {"emails": ["staff@shop.test"]})
    tour("list_staff_notices")
    tour("create_link", {"link_id": "spring", "name": "春", "url": "https://shop.test/"})
    tour("list_links")
    body = {
        "name": "春",
        "channel": "line",
        "template_id": tpl,
        "condition": {"field": "line.reachable", "is": True},
        "account": "main",
    }
    cmp = tour("create_campaign", body)["campaign_id"]
    tour("list_campaigns")
    tour("get_campaign", campaign_id=cmp)
    assert tour("estimate_campaign", campaign_id=cmp) == {"recipients": 1, "line_messages": 1}
    tour("send_campaign", {"send_at": (stage.clock.now() + timedelta(days=1)).isoformat()}, campaign_id=cmp)
    tour("report_campaign", campaign_id=cmp)
    tour("cancel_campaign", campaign_id=cmp)
    tour("save_segment", {"name": "友だち", "condition": body["condition"]}, segment_id="seg_friends")
    tour("list_segments")
    tour("get_segment", segment_id="seg_friends")
    tour("list_revisions", segment_id="seg_friends")
    tour("tell_condition", {"condition": {"segment": "seg_friends"}})
    tour("get_segment_schema")
    counted = tour("count_people", {"condition": {"segment": "seg_friends"}})
    assert counted == {"count": 1, "sample": [friend["customer_id"]], "as_of": None}
    tour("delete_segment", segment_id="seg_friends")
    job = tour("create_import", {"kind": "customers"})
    stage.files.put(f"imports/{job['import_id']}/file.csv", b"member_no,name\nM9,x\n", "text/csv")
    tour("get_import", import_id=job["import_id"])
    assert tour("preview_import", {"import_id": job["import_id"]})["missing"] == []
    tour("start_import", {}, import_id=job["import_id"])
    tour("cancel_import", import_id=job["import_id"])
    graph = {"schema": "scenario/1", "name": "歓迎", "trigger": {"type": "event", "event": "follow"}, "start": "w",
             "nodes": {"w": {"type": "wait", "duration": "P3D", "next": "e"}, "e": {"type": "end"}}}  # fmt: skip
    tour("save_scenario", {"graph": graph}, scenario_id="hello")
    tour("list_scenarios")
    tour("get_scenario", scenario_id="hello")
    tour("check_scenario", scenario_id="hello")
    tour("get_scenario_text", scenario_id="hello")
    tour("get_scenario_schema")
    tour("list_ready_made_scenarios")
    tour("draw_ready_made_scenario", {"scenario_id": "welcomed"}, ready_id="welcome")
    tour("get_machine", scenario_id="hello")
    assert tour("rehearse", {"rates": {"w": "history"}}, scenario_id="hello")["audience_is_exact"] is True
    tour("get_rehearsal", rehearsal_id=tour("rehearse", {"everybody": True}, scenario_id="hello")["rehearsal_id"])
    tour("publish_scenario", scenario_id="hello")
    tour("enroll_customer", scenario_id="hello", customer_id=friend["customer_id"])
    (way,) = tour("list_stories", customer_id=friend["customer_id"])["items"]
    assert (way["scenario_id"], way["is_whole"], way["steps"][0]["what"]) == ("hello", True, "entered")
    assert "code" in tour("get_why", scenario_id="hello", customer_id=friend["customer_id"])["findings"][0]
    assert tour("get_report", scenario_id="hello", query="?version=1")["entered"] == 1
    tour("list_cohorts", scenario_id="hello")
    assert "overdue" in tour("get_standing")["counts"]
    tour("pause_scenario", {"reason": "確認"}, scenario_id="hello")
    tour("resume_scenario", {"mode": "now"}, scenario_id="hello")
    tour("publish_scenario", scenario_id="hello")
    moved = {**graph, "nodes": {"w": {"type": "wait", "duration": "P5D", "next": "e"}, "e": {"type": "end"}}}
    tour("save_scenario", {"graph": moved}, scenario_id="hello")
    tour("publish_scenario", scenario_id="hello")
    tour("move_scenario", {"from_version": 1}, scenario_id="hello")
    tour("stop_scenario", {"reason": "終了"}, scenario_id="hello")
    report = {"event": "custom", "event_id": "E1", "name": "cart", "member_no": "M1"}
    assert tour("report_event", report)["customer_id"] == cus
    tour("report_events", {"events": [report, {**report, "member_no": "M0", "event_id": "E2"}]})
    tour("list_dead_letters")
    tour("replay_dead_letters", {})
    tour("list_unknown_deliveries")
    at = stage.clock.now()
    stage.world.webhook_log.mark_done("main", "ev1", "follow", at, at, {"type": "follow"})
    tour("get_webhook_event", event_id="ev1")
    stage.files.put("postal/2026-12-01/b.pdf", b"", "application/pdf")
    assert len(tour("list_letters")["items"]) == 1
    parked(stage, tour)
    asked_of_many(stage, tour, cus)
    joined(tour, cus)
    outside(tour)
    archived(stage, tour)
    erased(stage, tour, tmp_path)
    assert tour.called == set(NAMES)


def asked_of_many(stage: Stage, tour: Tour, cus: str) -> None:
    put_lake(stage.files, {"customer": [{"cid": int(cus.removeprefix("cus_")), "gender": "female", "count": 1, "total_yen": 1980}]})
    tour("save_segment", {"name": "女性", "condition": {"field": "profile.gender", "is": "female"}}, segment_id="seg_women")
    assert tour("reach_people", {"condition": {"segment": "seg_women"}})["count"] == 1
    tour("overlap_segments", {"segments": ["seg_women"]})
    tour("segment_sizes", segment_id="seg_women")
    assert [one["segment_id"] for one in tour("segments_of_customer", customer_id=cus)["items"]] == ["seg_women"]
    tour("set_live", {"live": True}, segment_id="seg_women")
    tour("get_live", segment_id="seg_women")
    bounds = tour("get_bounds")
    assert tour("set_bounds", bounds) == bounds
    assert tour("get_rfm")["count"] == 1
    tour("get_lake")
    stage.world.analyst.ask({"op": "cube", "cube": "standing", "month": "2026-11-30", "until": "2026-12-01"})
    day = "?from=2026-11-30&to=2026-11-30"
    assert [row["people"] for row in tour("get_cube", query=day, cube="standing")["rows"]] == [1]
    tour("rebuild_lake")


def joined(tour: Tour, cus: str) -> None:
    twin = tour("save_customer", {"member_no": "M2", "name": "山田 花子", "email": "h@example.com"})["customer_id"]
    assert {tour("list_duplicates")["items"][0][side] for side in ("first", "second")} == {cus, twin}
    tour("deny_duplicate", {"first": cus, "second": twin})
    tour("merge_customers", {"kept": cus, "gone": twin})
    tour("list_merges", customer_id=cus)
    tour("undo_merge", customer_id=cus, gone=twin)
    assert tour("set_crossing", {"crosses_accounts": True}) == tour("get_crossing")


def outside(tour: Tour) -> None:
    tour("put_source", {"name": "EC", "kind": "enishi"}, source_id="ec")
    tour("list_sources")
    tour("get_source", source_id="ec")
    tour("renew_secret", source_id="ec")
    tour("delete_source", source_id="ec")
    assert tour("set_site", {"origins": ["https://shop.example"]}) == tour("get_site")


def archived(stage: Stage, tour: Tour) -> None:
    archive = tour("order_archive")["archive_id"]
    stage.work.messages.clear()
    tour("list_archives")
    tour("get_archive", archive_id=archive)
    upload = tour("create_archive_import")["archive_id"]
    stage.files.put(f"archives/{upload}/upload.zip", b"PK", "application/zip")
    tour("start_archive_import", archive_id=upload)


def erased(stage: Stage, tour: Tour, folder: Path) -> None:
    cus = tour("save_customer", {"member_no": "M7", "name": "消す人"})["customer_id"]
    stage.files.delete(["lake/manifest.json"])  # made by hand, it cannot be folded
    stage.world.__dict__["lake"] = Lake(stage.world.database, stage.files, stage.clock, folder)
    receipt = tour("erase_customer", {"reason": "本人の申し出"}, customer_id=cus)["receipt_id"]
    tour("list_erasures")
    tour("get_erasure", receipt_id=receipt)
    for _ in range(2):  # at once, and an hour later, when nobody is on his way with him any more and the lake has been folded
        enqueue(do({"op": "erasure", "receipt_id": receipt}, stage.world), stage.world)
        lake_keeper.handle({"kind": "fold"}, stage.world)
        stage.clock.set(stage.clock.now() + timedelta(hours=1))
    tour("lift_erasure", receipt_id=receipt)


def link(stage: Stage, cus: str) -> None:
    from chalicelib.kernel.facts import LinkAnswered
    from chalicelib.reactions import react
    from tests.builders import MAIN

    url = stage.world.identity_links.request("main", "M1", "NMZTNuVrPTqlr2IF8Bnymkb7rXfYv5EY")
    friend = stage.world.friends.get(MAIN, HANAKO)
    answer = LinkAnswered(
        fact_id="l1", cid=friend.cid, at=stage.clock.now(), account=MAIN, line_user_id=HANAKO, nonce=url.rpartition("nonce=")[2]
    )
    react([answer], stage.world)
    assert customer_id(stage.world.friends.get(MAIN, HANAKO).cid) == cus


def parked(stage: Stage, tour: Tour) -> None:
    body = {
        "name": "夏",
        "channel": "line",
        "template_id": "tpl_hi",
        "condition": {"field": "line.reachable", "is": True},
        "account": "main",
    }
    made = tour("create_campaign", body)["campaign_id"]
    tour("send_campaign", {}, campaign_id=made)
    stage.line.problems += [QuotaExceededError("You have reached your monthly limit.")] * 20
    stage.clock.set(stage.clock.now().replace(hour=3))  # noon in Japan: nobody is asleep
    while stage.work.messages:
        step = json.loads(stage.work.messages.pop(0)[0])
        enqueue(do(step, stage.world), stage.world)
    assert stage.world.campaigns.get(made).state == "parked"
    tour("resume_campaign", campaign_id=made)
