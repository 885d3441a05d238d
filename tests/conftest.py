"""What every test gets: an environment of its own, parameter validation on, and, on demand, a MiniStack with our tables."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything of chalicelib is imported: tables are named when storage.py is.
_NAMES = {
    "STAGE": "test",
    "CORE_TABLE": "enishi-test-core",
    "TIMELINE_TABLE": "enishi-test-timeline",
    "ENGINE_TABLE": "enishi-test-engine",
    "CONFIG_TABLE": "enishi-test-config",
    "FILES_BUCKET": "enishi-test-files",
    "EVENTS_QUEUE_URL": "https://sqs.test/events",
    "EVENTS_DEAD_URL": "https://sqs.test/events-dead",
    "WORK_QUEUE_URL": "https://sqs.test/work",
    "WORK_DEAD_URL": "https://sqs.test/work-dead",
    "MAIL_QUEUE_URL": "https://sqs.test/mail",
    "MAIL_DEAD_URL": "https://sqs.test/mail-dead",
    "LAKE_DEAD_URL": "https://sqs.test/lake-dead",
    "MACHINE_ROLE_ARN": "arn:aws:iam::000000000000:role/machine",
    "MACHINE_ARN_PREFIX": "arn:aws:states:ap-northeast-1:000000000000:stateMachine:",
    "STEPS_FUNCTION_ARN": "arn:aws:lambda:ap-northeast-1:000000000000:function:steps",
    "TICKS_FUNCTION_ARN": "arn:aws:lambda:ap-northeast-1:000000000000:function:ticks",
    "SCHEDULE_GROUP": "enishi-test",
    "SCHEDULE_ROLE_ARN": "arn:aws:iam::000000000000:role/schedule",
    "SECRET_PREFIX": "enishi/test/",
    "PUBLIC_URL": "https://crm.test",
    "MAIL_FROM": "no-reply@crm.test",
    "COMPANY_NAME": "縁商店",
    "COMPANY_ADDRESS": "東京都千代田区1-1-1",
    "COMPANY_CONTACT": "info@crm.test",
}
os.environ.update(_NAMES)
os.environ.update(
    AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="ap-northeast-1", AWS_REGION="ap-northeast-1"
)

from chalicelib.adapters import aws  # noqa: E402

aws.VALIDATE_PARAMETERS = True

# Whatever a test says to a simulator, and what it answers, must obey LINE's OpenAPI documents.
pytest_plugins = ("tests.simulator.contract.plugin",)

TABLES = ("CORE_TABLE", "TIMELINE_TABLE", "ENGINE_TABLE", "CONFIG_TABLE")


@pytest.fixture(scope="session")
def ministack(request: pytest.FixtureRequest) -> Iterator[str]:
    """A MiniStack of this test session with the four tables; its address. Real DynamoDB semantics, PartiQL included."""
    from local.child import Child, wait_until_alive
    from local.clock import set_clock
    from local.stack import answers, free_ports

    folder = Path(tempfile.mkdtemp(prefix="enishi-test-"))
    port = free_ports(1)[0]
    import time

    set_clock(folder / "clock.json", time.time(), 1)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0",
        "MINISTACK_REGION": "ap-northeast-1", "LOG_LEVEL": "WARNING", "TMPDIR": str(folder),
        "ENISHI_CLOCK_FILE": str(folder / "clock.json"),
    }  # fmt: skip
    child = Child("MiniStack", "local.ministack", [], environment, folder / "ministack.log")
    child.start()
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_alive(child, lambda: answers(url + "/_ministack/ready"), 60.0)
        os.environ["AWS_ENDPOINT_URL"] = url
        aws.client.cache_clear()
        make_tables()
        aws.client("s3").create_bucket(
            Bucket=_NAMES["FILES_BUCKET"], CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
        )
        yield url
    finally:
        os.environ.pop("AWS_ENDPOINT_URL", None)
        aws.client.cache_clear()
        child.stop()
        shutil.rmtree(folder, ignore_errors=True)


def make_tables() -> None:
    for name in TABLES:
        aws.client("dynamodb").create_table(
            TableName=_NAMES[name],
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )


@pytest.fixture
def tables(ministack: str) -> str:
    """The four tables, empty."""
    database = aws.client("dynamodb")
    for name in TABLES:
        table = _NAMES[name]
        if database.scan(TableName=table, Limit=1)["Items"]:
            database.delete_table(TableName=table)
            database.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            )
    return ministack
