"""The small AWS adapters on moto; which errors may pass."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from chalicelib.adapters import aws
from chalicelib.adapters.aws import client, translated
from chalicelib.adapters.email import SesEmail
from chalicelib.adapters.files import S3Files
from chalicelib.adapters.machines import StepFunctions
from chalicelib.adapters.queues import SqsQueue
from chalicelib.adapters.schedules import EventBridgeSchedules
from chalicelib.adapters.secrets import SecretsManager
from chalicelib.adapters.sms import SnsSms
from chalicelib.kernel.errors import (
    NotFoundError,
    PermanentError,
    PortError,
    QuotaExceededError,
    SendingStoppedError,
    TemporaryError,
)
from chalicelib.ports.email import Email

pytestmark = pytest.mark.usefixtures("moto")
ROLE = "arn:aws:iam::123456789012:role/x"
SOON = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


# Secrets ---------------------------------------------------------------------------------------------------------------------


def test_a_secret_is_created_replaced_and_forgotten() -> None:
    now = [0.0]
    secrets = SecretsManager("enishi/x/", monotonic=lambda: now[0])
    assert secrets.get("line/main") is None
    secrets.put("line/main", {"a": "花"})
    assert secrets.get("line/main") == {"a": "花"}
    secrets.put("line/main", {"a": "2"})
    assert secrets.get("line/main") == {"a": "2"}
    assert client("secretsmanager").get_secret_value(SecretId="enishi/x/line/main")["SecretString"] == '{"a": "2"}'
    secrets.delete("line/main")
    secrets.delete("line/main")
    assert secrets.get("line/main") is None


def test_a_secret_is_remembered_for_a_minute_and_its_absence_for_a_second() -> None:
    now = [0.0]
    secrets, other = SecretsManager("x/", monotonic=lambda: now[0]), SecretsManager("x/")
    assert secrets.get("a") is None
    other.put("a", {"v": 1})
    assert secrets.get("a") is None
    now[0] = 1.0
    assert secrets.get("a") == {"v": 1}
    other.put("a", {"v": 2})
    now[0] = 60.9
    assert secrets.get("a") == {"v": 1}
    now[0] = 61.0
    assert secrets.get("a") == {"v": 2}


def test_a_secret_is_refreshed_on_demand_but_not_by_a_flood() -> None:
    now = [0.0]
    secrets, other = SecretsManager("y/", monotonic=lambda: now[0]), SecretsManager("y/")
    other.put("a", {"v": 1})
    assert secrets.get("a") == {"v": 1}
    other.put("a", {"v": 2})
    assert secrets.refresh("a") == {"v": 2}
    other.put("a", {"v": 3})
    assert secrets.refresh("a") == {"v": 2}
    now[0] = 5.0
    assert secrets.refresh("a") == {"v": 3}


# Queues ----------------------------------------------------------------------------------------------------------------------


def queue() -> SqsQueue:
    return SqsQueue(client("sqs").create_queue(QueueName="q")["QueueUrl"])


def test_a_message_keeps_its_body_and_attributes() -> None:
    dead = queue()
    dead.put('{"花":"😀\\n"}', {"account": "main", "empty": ""})
    dead.put("later", {}, delay_seconds=5000)
    assert dead.depth() == 2
    (letter,) = dead.peek(50)
    assert (letter.body, letter.attributes) == ('{"花":"😀\\n"}', {"account": "main"})
    assert dead.depth() == 2
    dead.remove(letter)
    assert dead.depth() == 1


def test_a_peek_shows_each_once_and_no_more_than_asked_for() -> None:
    dead = queue()
    for number in range(27):
        dead.put(str(number), {})
    letters = dead.peek(23)
    assert len({letter.message_id for letter in letters}) == 23
    assert len(dead.peek(50)) == 4


def test_what_was_just_listed_can_be_replayed_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = queue()
    dead.put("x", {})
    asked: list[dict[str, Any]] = []
    sqs = client("sqs")
    receive = sqs.receive_message
    monkeypatch.setattr(sqs, "receive_message", lambda **arguments: asked.append(arguments) or receive(**arguments))
    assert len(dead.peek(1)) == 1
    assert asked[0]["VisibilityTimeout"] <= 5
    assert asked[0]["WaitTimeSeconds"] >= 1


def test_a_missing_queue_is_permanent() -> None:
    with pytest.raises(PermanentError):
        SqsQueue("https://sqs.ap-northeast-1.amazonaws.com/123456789012/none").put("x", {})


# Files -----------------------------------------------------------------------------------------------------------------------


def test_files_are_kept_listed_and_missed() -> None:
    client("s3").create_bucket(Bucket="letters", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    files = S3Files("letters")
    assert files.get("none") is None
    files.put("a/花.txt", b"\x00\xff", "text/plain")
    files.put("a/花.txt", b"2", "text/plain")
    files.put("ab", b"", "text/plain")
    assert files.get("a/花.txt") == b"2"
    assert files.list("a/") == ["a/花.txt"]
    for number in range(1005):
        client("s3").put_object(Bucket="letters", Key=f"n/{number:04d}")
    assert files.list("n/") == [f"n/{number:04d}" for number in range(1005)]
    for url in (files.upload_url("up", "text/csv", 60), files.download_url("up", 60)):
        assert "X-Amz-Expires=60" in url
        assert "X-Amz-Signature" in url
    with pytest.raises(PermanentError):
        S3Files("none").get("x")


# Schedules -------------------------------------------------------------------------------------------------------------------


def test_a_schedule_is_set_moved_and_called_off() -> None:
    client("scheduler").create_schedule_group(Name="g")
    schedules = EventBridgeSchedules("g", "arn:aws:lambda:ap-northeast-1:123456789012:function:ticks", ROLE)
    schedules.at("campaign-1", SOON, {"kind": "campaign"})
    schedules.at("campaign-1", SOON.replace(hour=9), {"kind": "campaign", "again": True})
    kept = client("scheduler").get_schedule(GroupName="g", Name="campaign-1")
    assert kept["ScheduleExpression"] == "at(2030-01-02T09:04:05)"
    assert json.loads(kept["Target"]["Input"]) == {"kind": "campaign", "again": True}
    schedules.cancel("campaign-1")
    schedules.cancel("campaign-1")
    with pytest.raises(ValueError, match="time zone"):
        schedules.at("x", datetime(2030, 1, 1), {})  # noqa: DTZ001


# Machines --------------------------------------------------------------------------------------------------------------------

MACHINE = {"StartAt": "s", "States": {"s": {"Type": "Pass", "End": True}}}


def test_a_machine_is_published_once_and_an_execution_started_once() -> None:
    machines = StepFunctions("arn:aws:states:ap-northeast-1:123456789012:stateMachine:", ROLE)
    machines.publish("m", MACHINE)
    machines.publish("m", MACHINE)
    for _ in range(2):
        machines.start("m", "cohort-1", {"cohort": "花"})
    arn = "arn:aws:states:ap-northeast-1:123456789012:stateMachine:m"
    executions = client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
    assert [execution["name"] for execution in executions] == ["cohort-1"]
    with pytest.raises(NotFoundError, match="machine.unknown"):
        machines.start("none", "x", {})
    machines.delete("m")


# Mail and SMS ------------------------------------------------------------------------------------------------------------------


def mail(**values: Any) -> Email:
    return Email(**{"to": "h@example.com", "sender": "縁 <a@crm.test>", "subject": "春", "text": "t", "html": "<p>t", **values})


def test_a_mail_leaves_with_its_headers_and_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(client("sesv2"), "send_email", lambda **arguments: seen.update(arguments) or {"MessageId": "m1"})
    sent = SesEmail("events").send(mail(headers={"List-Unsubscribe": "<https://crm.test/u/x>"}, tags={"delivery": "k"}))
    assert sent == "m1"
    simple = seen["Content"]["Simple"]
    assert simple["Headers"] == [{"Name": "List-Unsubscribe", "Value": "<https://crm.test/u/x>"}]
    assert seen["EmailTags"] == [{"Name": "delivery", "Value": "k"}]
    assert seen["ConfigurationSetName"] == "events"
    monkeypatch.undo()


def test_a_refused_sender_is_permanent() -> None:
    with pytest.raises(PermanentError):
        SesEmail("").send(mail(sender="nobody@unverified.test"))


@pytest.mark.parametrize(
    ("code", "sentence", "kind", "seconds"),
    [
        ("TooManyRequestsException", "Maximum sending rate exceeded.", TemporaryError, 1.0),
        ("ThrottlingException", "Maximum sending rate exceeded", TemporaryError, 1.0),
        ("TooManyRequestsException", "Daily message quota exceeded.", QuotaExceededError, None),
        ("SendingPausedException", "", SendingStoppedError, None),
        ("MessageRejected", "Email address is not verified.", PermanentError, None),
        ("InternalFailure", "", TemporaryError, 0.0),
    ],
)
def test_ses_asking_for_patience_is_told_from_a_used_up_day(
    monkeypatch: pytest.MonkeyPatch, code: str, sentence: str, kind: type[PortError], seconds: float | None
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": sentence}}, "SendEmail")

    monkeypatch.setattr(client("sesv2"), "send_email", refuse)
    with pytest.raises(kind) as caught:
        SesEmail("").send(mail())
    assert type(caught.value) is kind
    assert getattr(caught.value, "retry_after_seconds", None) == seconds
    monkeypatch.undo()


def test_an_sms_leaves() -> None:
    assert SnsSms("ENISHI").send("+819012345678", "こんにちは", "ref")


@pytest.mark.parametrize(("service", "attempts"), [("sesv2", 1), ("sns", 1), ("sqs", 3), ("secretsmanager", 3)])
def test_what_cannot_be_taken_back_is_not_repeated_behind_our_back(service: str, attempts: int) -> None:
    assert client(service).meta.config.retries["total_max_attempts"] == attempts
    assert client("dynamodb", once=True).meta.config.retries["total_max_attempts"] == 1


# Which errors pass --------------------------------------------------------------------------------------------------------------


def refusal(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "花子"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "x")


TEMPORARY = [
    (refusal("ThrottlingException", 400), False),
    (refusal("ProvisionedThroughputExceededException", 400), False),
    (refusal("TooManyRequestsException", 429), False),
    (refusal("Throttled", 429), False),
    (refusal("KMSThrottlingException", 400), False),
    (refusal("SlowDown", 503), True),
    (refusal("Whatever", 500), True),
    (EndpointConnectionError(endpoint_url="x"), False),
    (ConnectTimeoutError(endpoint_url="x"), False),
    (NoCredentialsError(), False),
    (ReadTimeoutError(endpoint_url="x"), True),
    (ConnectionClosedError(endpoint_url="x"), True),
]


@pytest.mark.parametrize(("problem", "maybe_done"), TEMPORARY, ids=str)
def test_throttling_and_silence_are_temporary(problem: Exception, maybe_done: bool) -> None:
    with pytest.raises(TemporaryError) as caught, translated("Send", maybe_done=True):
        raise problem
    assert caught.value.maybe_done is maybe_done
    assert "花子" not in caught.value.reason
    with pytest.raises(TemporaryError) as caught, translated("Read"):
        raise problem
    assert caught.value.maybe_done is False


@pytest.mark.parametrize(
    "problem",
    [refusal("AccessDeniedException", 400), refusal("ValidationException", 400), refusal("MessageRejected", 400), refusal("", 0),
     ParamValidationError(report="x")],
    ids=str,
)  # fmt: skip
def test_what_can_never_succeed_is_permanent(problem: Exception) -> None:
    with pytest.raises(PermanentError) as caught, translated("Send", maybe_done=True):
        raise problem
    assert "花子" not in caught.value.reason


def test_other_mistakes_are_not_dressed_up() -> None:
    with pytest.raises(KeyError), translated("Send"):
        raise KeyError("x")


def test_a_dead_endpoint_is_temporary_and_surely_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    aws.client.cache_clear()
    with pytest.raises(TemporaryError) as caught:
        SnsSms("").send("+819012345678", "x", "r")
    assert caught.value.maybe_done is False
