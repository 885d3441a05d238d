"""The template that is deployed: complete, least privilege, and in step with Settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from chalicelib.lake.athena import LINKS
from chalicelib.lake.cubes import CUBE_FILES, CUBES
from chalicelib.lake.model import BASE
from chalicelib.observability import count
from chalicelib.settings import Settings, parse
from infra.chalice_package import RUNTIME
from infra.package import TEMPLATE, content_hash, package
from local.stack import cached_bundle

ROOT = Path(__file__).resolve().parents[2]
QUEUES = {"events", "work", "mail"}
TABLES = ("core", "timeline", "engine", "config")
FUNCTIONS = {
    "api",
    "webhook-worker",
    "work-worker",
    "scenario-steps",
    "ticks",
    "feedback",
    "lake-feeder",
    "lake-keeper",
    "lake-query",
}


@pytest.fixture(scope="module")
def bundle() -> Path:
    return cached_bundle(ROOT, lambda _text: None)


@pytest.fixture(scope="module")
def template(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((bundle / TEMPLATE).read_text(encoding="utf-8"))
    return found


def resources(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in template["Resources"].items() if each["Type"] == kind}


def named(value: Any) -> str:
    """Return a name that is a text or an Fn::Sub."""
    return str(value["Fn::Sub"] if isinstance(value, dict) else value)


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]]


def test_cfn_lint_finds_nothing(bundle: Path) -> None:
    answer = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), str(bundle / TEMPLATE)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_nothing_is_left_of_the_placeholders(template: dict[str, Any]) -> None:
    assert "PLACEHOLDER" not in json.dumps(template)


def test_every_function_has_a_fixed_name_the_runtime_and_its_layers(template: dict[str, Any]) -> None:
    functions = resources(template, "AWS::Serverless::Function")
    assert {named(each["FunctionName"]).removeprefix("enishi-${Stage}-") for each in functions.values()} == FUNCTIONS
    assert {each["Runtime"] for each in functions.values()} == {RUNTIME}
    for each in functions.values():
        own = [{"Ref": "LakeLayer"}] if "-lake-" in named(each["FunctionName"]) else []
        assert each["Layers"] == [{"Ref": "ManagedLayer"}, *own]


def test_every_function_has_a_role_of_its_own(template: dict[str, Any]) -> None:
    functions = resources(template, "AWS::Serverless::Function")
    roles = [str(each["Role"]) for each in functions.values()]
    assert len(set(roles)) == len(roles)


def test_every_function_keeps_its_logs_for_a_month(template: dict[str, Any]) -> None:
    groups = {named(each["LogGroupName"]): each["RetentionInDays"] for each in resources(template, "AWS::Logs::LogGroup").values()}
    assert groups == {f"/aws/lambda/enishi-${{Stage}}-{name}": 30 for name in FUNCTIONS}


def test_no_role_may_do_everything_or_touch_everything(template: dict[str, Any]) -> None:
    for name, role in resources(template, "AWS::IAM::Role").items():
        for statement in statements(role):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if "*" in action], name
            assert statement.get("Resource", "") != "*", name


def test_only_the_api_and_the_hourly_look_publish_machines_and_pass_their_role(template: dict[str, Any]) -> None:
    roles = resources(template, "AWS::IAM::Role")
    allowed = {
        name
        for name, role in roles.items()
        for statement in statements(role)
        if "states:CreateStateMachine" in statement["Action"] or "MachineRole" in json.dumps(statement)
    }
    assert allowed == {"ApiRole", "TicksRole"}


def test_who_asks_the_lake_sees_answers_and_its_function_sees_the_lake_alone(template: dict[str, Any]) -> None:
    role = statements(resources(template, "AWS::IAM::Role")["LakeQueryRole"])
    asked = {
        action if isinstance(action, str) else tuple(action): json.dumps(each["Resource"])
        for each in role
        for action in [each["Action"]]
    }
    assert "/lake/*" in asked.pop("s3:GetObject")
    assert {named(each["Resource"]) for each in role if each["Action"] == "s3:PutObject"} == {
        "${Files.Arn}/lake/audience/*", "${Files.Arn}/lake/cube/*",
    }  # fmt: skip
    del asked["s3:PutObject"]
    assert set(asked) == {("logs:CreateLogStream", "logs:PutLogEvents"), "s3:ListBucket"}


def test_the_feeder_reads_every_stream_and_may_only_add_to_the_lake(template: dict[str, Any]) -> None:
    events = resources(template, "AWS::Serverless::Function")["LakeFeeder"]["Events"]
    assert {each["Properties"]["Stream"]["Fn::GetAtt"][0] for each in events.values()} == {
        "CoreTable", "TimelineTable", "EngineTable",
    }  # fmt: skip
    for each in events.values():
        assert each["Properties"]["MaximumRecordAgeInSeconds"] < 24 * 3600  # given up while the stream still holds it, and told
        assert each["Properties"]["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["LakeDead", "Arn"]}
    asked = {each["Sid"]: each for each in statements(resources(template, "AWS::IAM::Role")["LakeFeederRole"])}
    assert set(asked) == {"Log", "ReadStreams", "AddToLake", "GiveUp"}
    assert named(asked["AddToLake"]["Resource"]) == "${Files.Arn}/lake/delta/*"


def test_athena_sees_the_tables_of_the_lake_as_they_are(template: dict[str, Any]) -> None:
    kinds = {
        "BIGINT": "bigint", "VARCHAR": "string", "BOOLEAN": "boolean", "INTEGER": "int", "DATE": "date", "TIMESTAMP": "timestamp",
        "DOUBLE": "double", "MAP(VARCHAR, VARCHAR)": "map<string,string>",
    }  # fmt: skip
    tables = {each["TableInput"]["Name"]: each["TableInput"] for each in resources(template, "AWS::Glue::Table").values()}
    assert set(tables) == set(BASE) | {f"day_{name}" for name in CUBES}
    for name, cube in CUBES.items():
        storage = tables[f"day_{name}"]["StorageDescriptor"]
        columns = {each["Name"]: each["Type"] for each in storage["Columns"]}
        assert columns == {column: {**kinds, "DATE": "string"}[kind] for column, kind in cube.columns.items()}, name
        assert named(storage["Location"]) == f"s3://${{Files}}/{CUBE_FILES}{name}/"
    for name, table in ((name, tables[name]) for name in BASE):
        columns = {each["Name"]: each["Type"] for each in table["StorageDescriptor"]["Columns"]}
        assert columns == {column: kinds[kind] for column, kind in BASE[name].columns.items()}, name
        assert named(table["StorageDescriptor"]["Location"]) == f"s3://${{Files}}/{LINKS}{name}/"


def test_every_queue_has_a_dead_letter_queue_and_outlasts_its_function(template: dict[str, Any]) -> None:
    queues = resources(template, "AWS::SQS::Queue")
    names = {named(each["QueueName"]).removeprefix("enishi-${Stage}-") for each in queues.values()}
    assert names == QUEUES | {f"{name}-dead" for name in (*QUEUES, "lake")}
    for each in queues.values():
        if not named(each["QueueName"]).endswith("-dead"):
            assert each["RedrivePolicy"]["maxReceiveCount"] == 5
    workers = {"Events": "WebhookWorker", "Work": "WorkWorker", "Mail": "Feedback"}
    for parameter, function in ((f"{name}VisibilitySeconds", worker) for name, worker in workers.items()):
        timeout = resources(template, "AWS::Serverless::Function")[function]["Timeout"]
        assert template["Parameters"][parameter]["Default"] == 6 * timeout


def test_the_functions_environment_is_settings(template: dict[str, Any]) -> None:
    variables = set(template["Globals"]["Function"]["Environment"]["Variables"])
    assert variables == {field.name.upper() for field in fields(Settings)}
    own = [each for each in resources(template, "AWS::Serverless::Function").values() if "Environment" in each]
    assert not own


def test_the_tables_are_the_ones_in_settings_and_safe(template: dict[str, Any]) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    tables = {named(each["TableName"]): each for each in resources(template, "AWS::DynamoDB::Table").values()}
    assert set(tables) == {named(variables[f"{name.upper()}_TABLE"]) for name in TABLES}
    for name, table in tables.items():
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], name
        assert table["SSESpecification"]["SSEEnabled"], name
    for name in ("timeline", "engine"):
        assert tables[f"enishi-${{Stage}}-{name}"]["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_what_holds_data_outlives_the_stack(template: dict[str, Any]) -> None:
    keeping = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"}
    for name, each in template["Resources"].items():
        if each["Type"] in keeping:
            assert each["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert each["UpdateReplacePolicy"] == "Retain", name


def test_the_test_stage_of_chalice_is_a_whole_configuration() -> None:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text(encoding="utf-8"))
    variables = config["stages"]["test"]["environment_variables"]
    assert parse(variables).stage == "test"
    required = {field.name.upper() for field in fields(Settings) if field.default is MISSING}
    assert required <= set(variables)


def test_the_same_code_gives_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    again = package(tmp_path / "again", layer=False, report=lambda _text: None)
    for path in bundle.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
    assert content_hash() == bundle.name


# Alarms and the picture ----------------------------------------------------------------------------------------------------


def emitted() -> set[str]:
    """The names of all metrics that the product counts."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "chalicelib").rglob("*.py")))
    return set(re.findall(r'(?:\bcount|\bgauge|_politely)\(\s*"([A-Z][A-Za-z]+)"', text))


def test_every_alarm_reads_a_metric_that_is_counted_under_its_name(template: dict[str, Any]) -> None:
    alarms = resources(template, "AWS::CloudWatch::Alarm")
    own = {name: each for name, each in alarms.items() if not named(each["Namespace"]).startswith("AWS/")}
    assert len(own) >= 9
    assert {named(each["Namespace"]) for each in own.values()} == {"Enishi/${Stage}"}
    assert {each["MetricName"] for each in own.values()} <= emitted()
    assert not [name for name, each in own.items() if "Dimensions" in each]  # counted over all of them too
    for name, each in alarms.items():
        assert each["AlarmActions"] == [{"Ref": "AlarmTopic"}], name


def test_what_needs_somebody_is_told_to_somebody(template: dict[str, Any]) -> None:
    told = {each["MetricName"] for each in resources(template, "AWS::CloudWatch::Alarm").values()}
    assert {"CohortsHeld", "DeliveryUnknown", "LakeTooLate", "SegmentsUnsettled"} <= told


def test_the_metrics_are_counted_in_the_namespace_that_alarms_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAGE", "prod")
    count("CohortsParked")
    count("DeliveryFailed", 3, reason="gone")
    plain, split = (json.loads(line)["_aws"]["CloudWatchMetrics"][0] for line in capsys.readouterr().out.splitlines())
    assert (plain["Namespace"], plain["Dimensions"]) == ("Enishi/prod", [[]])
    assert split["Dimensions"] == [["reason"], []]


def test_the_picture_shows_metrics_that_there_are(template: dict[str, Any]) -> None:
    (board,) = resources(template, "AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(named(board["DashboardBody"]))["widgets"]
    metrics = [metric for each in widgets for metric in each["properties"].get("metrics", [])]
    assert {metric[1] for metric in metrics if metric[0] == "Enishi/${Stage}"} <= emitted()
    assert {metric[3] for metric in metrics if metric[0] == "AWS/Lambda"} <= {f"enishi-${{Stage}}-{name}" for name in FUNCTIONS}
    assert {metric[3] for metric in metrics if metric[0] == "AWS/DynamoDB"} == {f"enishi-${{Stage}}-{name}" for name in TABLES}
    assert len([each for each in widgets if each["type"] == "text"]) == 5


def test_the_handbook_says_what_to_do_for_every_alarm(template: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in resources(template, "AWS::CloudWatch::Alarm") if f"`{name}`" not in text] == []
