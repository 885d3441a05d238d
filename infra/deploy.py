"""Deploys a bundle with a change set, to AWS or to MiniStack: `make deploy STAGE=prod REGION=ap-northeast-1`.

The parameters of a stage are read from `deploy/<stage>.toml` (kept out of the repository when it holds what you would not
publish; nothing in it is a secret):

    region = "ap-northeast-1"

    [parameters]                  # any Parameter of infra/resources.yaml
    MailFrom = "crm@example.jp"
    CompanyName = "縁商店株式会社"
    CompanyAddress = "東京都千代田区1-1-1"
    CompanyContact = "https://example.jp/contact"
    AlarmEmail = "ops@example.jp"
    PublicUrl = ""                # a custom domain, when there is one

    [tags]
    owner = "marketing"

Credentials come from the usual AWS environment or profile. Without PublicUrl a second pass tells the functions the address
that API Gateway gave, which nobody knows before the first.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import yaml  # type: ignore[import-untyped, unused-ignore]
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from infra.package import TEMPLATE, PackageError, dump_yaml, package

ROOT = Path(__file__).resolve().parent.parent
Report = Callable[[str], None]
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")
_LONGEST_SECONDS = 3600.0


class DeployError(Exception):
    """The deployment did not succeed; the text is one sentence with AWS's own reason."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a stage goes and with what."""

    stage: str
    region: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    endpoint_url: str | None = None
    poll_seconds: float = 2.0

    @property
    def stack(self) -> str:
        """Return the name of the stack."""
        return f"enishi-{self.stage}"


def read_target(stage: str, region: str, path: Path) -> Target:
    """Return the target that a TOML file describes; a region given on the command line wins."""
    if not path.exists():
        if not region:
            raise DeployError(f"{path} がなく REGION も指定されていません / there is neither {path} nor REGION=….")
        return Target(stage, region)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DeployError(f"{path} を読めません / cannot be read: {error}") from error
    chosen = region or data.get("region", "")
    if not chosen:
        raise DeployError(f"{path} に region がありません / has no region.")
    texts = {name: str(value) for name, value in data.get("parameters", {}).items()}
    return Target(stage, chosen, texts, {name: str(value) for name, value in data.get("tags", {}).items()})


def deploy(bundle: Path, target: Target, report: Report = print, session: boto3.Session | None = None) -> dict[str, str]:
    """Create or update the stack from a bundle and return its outputs, `PublicUrl` among them. Raises DeployError.

    session: whose credentials to use; the usual AWS environment or profile when there is none.
    """
    try:
        return _Deployment(bundle, target, report, session or boto3.Session(region_name=target.region)).run()
    except (ClientError, BotoCoreError, WaiterError) as error:
        raise DeployError(f"AWS が要求を拒否しました / AWS refused: {error}") from error


class _Deployment:
    def __init__(self, bundle: Path, target: Target, report: Report, session: boto3.Session) -> None:
        self._bundle = bundle
        self._target = target
        self._report = report
        self._started = time.monotonic()
        self._s3 = session.client("s3", endpoint_url=target.endpoint_url)
        self._sts = session.client("sts", endpoint_url=target.endpoint_url)
        self._cloudformation = session.client("cloudformation", endpoint_url=target.endpoint_url)

    def run(self) -> dict[str, str]:
        bucket = self._artifact_bucket()
        url = self._upload_template(bucket)
        parameters = {"Stage": self._target.stage, **self._target.parameters}
        outputs = self._apply(url, parameters)
        public_url = self._target.parameters.get("PublicUrl") or outputs["EndpointURL"].rstrip("/")
        if not self._target.parameters.get("PublicUrl"):
            self._say("公開アドレスを関数に伝えます / telling the functions their address")
            outputs = self._apply(url, {**parameters, "PublicUrl": public_url})
        return {**outputs, "PublicUrl": public_url}

    def _say(self, text: str) -> None:
        self._report(f"  {time.monotonic() - self._started:5.1f} s  {text}")

    def _artifact_bucket(self) -> str:
        account = self._sts.get_caller_identity()["Account"]
        bucket = f"enishi-artifacts-{account}-{self._target.region}"
        if self._exists(bucket):
            return bucket
        arguments: dict[str, Any] = {"Bucket": bucket}
        if self._target.region != "us-east-1":  # the one region that S3 does not take by name
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self._target.region}
        self._s3.create_bucket(**arguments)
        self._s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        )
        return bucket

    def _exists(self, bucket: str, key: str = "") -> bool:
        try:
            if key:
                self._s3.head_object(Bucket=bucket, Key=key)
            else:
                self._s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchBucket", "NoSuchKey"):
                return False
            raise
        return True

    def _upload(self, bucket: str, content: bytes, suffix: str) -> str:
        key = hashlib.sha256(content).hexdigest()[:32] + suffix
        if not self._exists(bucket, key):
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        return key

    def _upload_template(self, bucket: str) -> str:
        template = yaml.safe_load((self._bundle / TEMPLATE).read_text(encoding="utf-8"))
        unknown = sorted(set(self._target.parameters) - set(template["Parameters"]))
        if unknown:
            raise DeployError(f"知らないパラメータです / infra/resources.yaml has no parameter {', '.join(unknown)}.")
        sent: dict[str, str] = {}
        for resource in template["Resources"].values():
            for name in ("CodeUri", "ContentUri"):
                path = resource.get("Properties", {}).get(name)
                if isinstance(path, str) and path.startswith("./"):
                    if path not in sent:
                        key = self._upload(bucket, (self._bundle / path).read_bytes(), ".zip")
                        sent[path] = f"s3://{bucket}/{key}"
                    resource["Properties"][name] = sent[path]
        key = self._upload(bucket, dump_yaml(template).encode(), ".yaml")
        self._say("コードを送りました / the code is uploaded")
        url: str = self._s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        return url.partition("?")[0]  # CloudFormation reads it with our own rights, not by the signature

    def _apply(self, url: str, parameters: Mapping[str, str]) -> dict[str, str]:
        exists = self._clear_the_way()
        if self._change(url, parameters, exists=exists):
            self._wait_for_stack()
        return self._outputs()

    def _clear_the_way(self) -> bool:
        """Say whether there is a stack to update; one whose first creation failed can only be deleted, and holds no data."""
        status = self._status()
        if status == "ROLLBACK_COMPLETE":
            self._say("前回失敗した作成を片付けます / removing a first attempt that failed")
            self._cloudformation.delete_stack(StackName=self._target.stack)
            self._cloudformation.get_waiter("stack_delete_complete").wait(StackName=self._target.stack)
            return False
        if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
            raise DeployError(f"別のデプロイが進行中です / another deployment of {self._target.stack} is running ({status}).")
        return status not in ("", "REVIEW_IN_PROGRESS")

    def _status(self) -> str:
        try:
            stacks = self._cloudformation.describe_stacks(StackName=self._target.stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return ""
            raise
        return str(stacks[0]["StackStatus"])

    def _change(self, url: str, parameters: Mapping[str, str], *, exists: bool) -> bool:
        """Make and execute a change set; say whether there was anything to change."""
        names = {"StackName": self._target.stack, "ChangeSetName": f"deploy-{time.time_ns()}"}
        self._cloudformation.create_change_set(
            **names,
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateURL=url,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Tags=[{"Key": name, "Value": value} for name, value in self._target.tags.items()],
            Capabilities=_CAPABILITIES,
        )
        found = self._wait(
            lambda: self._cloudformation.describe_change_set(**names), "Status", ("CREATE_COMPLETE", "FAILED"), "change set"
        )
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "")
            if any(word in reason for word in _UNCHANGED):
                self._say("変更はありません / nothing to change")
                return False
            raise DeployError(f"テンプレートが受け付けられませんでした / the template was not accepted: {reason}")
        self._say(f"{len(found.get('Changes', []))} 件の変更を適用します / applying the changes")
        self._cloudformation.execute_change_set(**names)
        return True

    def _wait_for_stack(self) -> None:
        last = [time.monotonic()]

        def look() -> dict[str, Any]:
            if time.monotonic() - last[0] > 15:
                last[0] = time.monotonic()
                self._say("適用中 / applying …")
            stacks: list[dict[str, Any]] = self._cloudformation.describe_stacks(StackName=self._target.stack)["Stacks"]
            return stacks[0]

        ends = ("_COMPLETE", "_FAILED")
        status = str(self._wait(look, "StackStatus", ends, "stack")["StackStatus"])
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise DeployError(f"デプロイに失敗しました / the deployment failed ({status}): {self._reason()}")
        self._say("完了 / done")

    def _wait(self, look: Callable[[], dict[str, Any]], name: str, ends: tuple[str, ...], what: str) -> dict[str, Any]:
        deadline = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < deadline:
            found = look()
            status = str(found[name])
            if status.endswith(ends):
                return found
            time.sleep(self._target.poll_seconds)
        raise DeployError(f"一時間待っても終わりません / the {what} did not finish within an hour.")

    def _reason(self) -> str:
        """Return what the first failing resource said; the later ones only say that they were cancelled."""
        first: dict[str, Any] = {}
        for event in self._events_of_this_deployment():
            if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in event.get("ResourceStatusReason", ""):
                first = event  # events come newest first, so the last one found is the first that happened
        if not first:
            return "no resource gave a reason"
        return f"{first['LogicalResourceId']} ({first['ResourceType']}): {first.get('ResourceStatusReason', '')}"

    def _events_of_this_deployment(self) -> Iterator[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=self._target.stack)
        for page in pages:
            for event in page["StackEvents"]:
                yield event
                is_stack = event["ResourceType"] == "AWS::CloudFormation::Stack"
                if is_stack and event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
                    return

    def _outputs(self) -> dict[str, str]:
        stack = self._cloudformation.describe_stacks(StackName=self._target.stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def main() -> None:
    """Package and deploy the stage named on the command line."""
    parser = argparse.ArgumentParser(description="Deploy Enishi to AWS.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--region", default="")
    parser.add_argument("--config", type=Path, help="default: deploy/<stage>.toml")
    parser.add_argument("--bundle", type=Path, default=ROOT / "out")
    options = parser.parse_args()
    try:
        target = read_target(options.stage, options.region, options.config or ROOT / "deploy" / f"{options.stage}.toml")
        print(f"パッケージ作成 / packaging → {options.bundle}")
        package(options.bundle)
        print(f"デプロイ / deploying {target.stack} → {target.region}")
        outputs = deploy(options.bundle, target)
    except (DeployError, PackageError) as error:
        sys.exit(str(error))
    print(f"公開アドレス / address: {outputs['PublicUrl']}")


if __name__ == "__main__":
    main()
