"""The whole product on this machine: MiniStack, the deployed template, and one process that runs its functions.

`with LocalStack(tmp_path) as stack:` gives `stack.api_url`, `stack.env`, `stack.client("dynamodb")`, on free ports.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import yaml  # type: ignore[import-untyped, unused-ignore]

from infra.deploy import DeployError, Target, deploy
from infra.package import CODE, LAKE_LAYER, LAYER, TEMPLATE, PackageError, content_hash, dump_yaml, package
from local.child import ROOT, Child, LocalError, wait_until_alive
from local.clock import FileClock, set_clock
from local.faults import VARIABLE

STAGE = "local"
REGION = "ap-northeast-1"
API_ID = "enishi"
_BUNDLES = ROOT / ".local" / "bundles"
_KEPT_BUNDLES = 3
_OUR_PORTS = (20000, 32768)
_MOST_TRIES = 500
_START_SECONDS = 60.0
# Real seconds: nobody wants to wait six minutes for what a killed worker had in its hands (the template's default is AWS's).
_VISIBILITY_SECONDS = "20"
_EXPIRING_TABLES = ("timeline", "engine")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen on 127.0.0.1."""

    aws: int
    host: int


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on now.

    Below 32768, from where systems take the ports of outgoing connections and of servers that let them choose: a process
    that is killed and started again finds its port as it left it, however busy the machine is meanwhile.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in random.SystemRandom().sample(range(*_OUR_PORTS), _MOST_TRIES):
            try:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
            if len(found) == number:
                return found
    raise LocalError(f"空いているポートがありません / no free port from {_OUR_PORTS[0]} to {_OUR_PORTS[1]}.")


def require_free(port: int, what: str, variable: str = "") -> None:
    """Raise LocalError with what to do when somebody listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return
    change = f"、または {variable}=… で別のポートを指定してください" if variable else ""
    or_change = f" or set {variable}=… to another one" if variable else ""
    raise LocalError(
        f"ポート {port}（{what}）は使用中です。使っているプログラムを終了するか{change or 'してください'} / "
        f"port {port} is in use: stop the program that listens there{or_change}."
    )


class LocalStack:
    """MiniStack and the Lambda host with the product deployed to them.

    data_dir: everything it writes, logs too. persist: keep tables, queues, files and mail for the next start there.
    line_url: where the LINE simulator answers. parameters: more parameters of infra/resources.yaml.
    least_privilege: functions run in MiniStack's own workers under their roles, which it then enforces; slower, and they
    see the machine's clock. The host runs them all as root. faulty: what `faults_path` orders goes wrong (local/faults.py).
    """

    def __init__(
        self,
        data_dir: Path | str,
        ports: Ports | None = None,
        *,
        persist: bool = False,
        quiet: bool = True,
        line_url: str = "http://127.0.0.1:4702",
        parameters: Mapping[str, str] | None = None,
        least_privilege: bool = False,
        faulty: bool = False,
        app_root: Path = ROOT,
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.ports = ports or Ports(*free_ports(2))
        self.endpoint = f"http://127.0.0.1:{self.ports.aws}"
        self.api_url = f"{self.endpoint}/_aws/execute-api/{API_ID}/api"
        self.clock_path = self.data_dir / "clock.json"
        self.outputs: dict[str, str] = {}
        self._persist = persist
        self._quiet = quiet
        self._app_root = app_root
        self._least_privilege = least_privilege
        self._faulty = faulty
        self._given = {
            "PublicUrl": self.api_url,
            "LineApiUrl": line_url,
            "LineAccessUrl": line_url,
            "MailFrom": "no-reply@enishi.example",
            "CompanyName": "縁商店（ローカル）",
            "CompanyAddress": "東京都千代田区1-1-1",
            "CompanyContact": "https://enishi.example/contact",
            "EventsVisibilitySeconds": _VISIBILITY_SECONDS,
            "WorkVisibilitySeconds": _VISIBILITY_SECONDS,
            **(parameters or {}),
        }
        self._functions: dict[str, str] = {}
        logs = self.data_dir / "logs"
        self._aws = Child("MiniStack", "local.ministack", [], self._aws_environment(), logs / "ministack.log")
        self._host = self._new_host()

    @property
    def faults_path(self) -> Path:
        """Where a faulty stack looks for what is to go wrong."""
        return self.data_dir / "faults.json"

    @property
    def env(self) -> dict[str, str]:
        """Return the environment in which boto3 and chalicelib.settings see this deployment."""
        return {**self._credentials(), **self._functions}

    def session(self) -> boto3.Session:
        """Return a boto3 session with the local credentials; clients still need `endpoint_url=stack.endpoint`."""
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service of this stack."""
        factory: Any = self.session().client
        return factory(service, endpoint_url=self.endpoint)

    def start(self) -> Self:
        """Start everything and return when the API answers. Raises LocalError in one sentence."""
        try:
            self._start()
        except (DeployError, PackageError) as error:
            self.stop()
            raise LocalError(str(error)) from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything, host first, so that nothing new is written while MiniStack saves its state."""
        self._host.stop()
        self._slow_down()
        self._aws.stop(patience_seconds=8.0)
        shutil.rmtree(self.data_dir / "tmp", ignore_errors=True)

    def kill_host(self) -> None:
        """Kill the functions' process without warning, as a crash would."""
        self._host.kill()

    def restart_host(self) -> None:
        """Start the functions' process again on its port."""
        self._host.stop()
        self._host = self._new_host()
        self._start_host()

    def last_words(self) -> str:
        """Return whether the functions' process runs and what it said last, for an error message."""
        return f"{self._host.name}: {'alive' if self._host.is_alive() else 'dead'}: {self._host.last_words()}"

    def is_alive(self) -> bool:
        """Say whether both processes run."""
        return self._aws.is_alive() and (self._least_privilege or self._host.is_alive())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _start(self) -> None:
        require_free(self.ports.aws, "MiniStack", "ENISHI_AWS_PORT")
        require_free(self.ports.host, "Lambda host", "ENISHI_HOST_PORT")
        (self.data_dir / "tmp").mkdir(parents=True, exist_ok=True)
        self._resume_clock()
        self._aws.start()
        with ThreadPoolExecutor(max_workers=1) as pool:
            bundle: Future[Path] = pool.submit(cached_bundle, self._app_root, self._say)
            with self._progress("MiniStack"):
                wait_until_alive(self._aws, lambda: answers(self.endpoint + "/_ministack/ready"), _START_SECONDS)
            with self._progress("テンプレートの適用 / deploying the template"):
                self._deploy(bundle.result())
        self._functions = self._deployed_environment()
        if not self._least_privilege:
            with self._progress("関数 / functions"):
                self._start_host()

    def _start_host(self) -> None:
        self._host.start()
        wait_until_alive(self._host, lambda: answers(f"http://127.0.0.1:{self.ports.host}/"), _START_SECONDS)

    def _new_host(self) -> Child:
        environment = {**_inherited(), **self._credentials(), **self._faults(), "ENISHI_APP_ROOT": str(self._app_root)}
        environment["TMPDIR"] = str(self.data_dir / "tmp")  # the lake's copies: of this stack and no other
        arguments = [str(self.ports.host), str(self.clock_path)]
        return Child("Lambda host", "local.host", arguments, environment, self.data_dir / "logs" / "functions.log")

    def _deploy(self, bundle: Path) -> None:
        digest = hashlib.sha256(json.dumps([bundle.name, self._given, self.ports.host], sort_keys=True).encode()).hexdigest()
        receipt = self.data_dir / "deployed"
        if self._persist and receipt.exists() and receipt.read_text(encoding="utf-8") == digest and self._is_deployed():
            return
        receipt.unlink(missing_ok=True)
        adapted = self._adapted(bundle)
        # The tag gives the API a lasting address, so that links in old messages work after `make reset`.
        tags = {"ms-custom-id": API_ID}
        target = Target(STAGE, REGION, self._given, tags, endpoint_url=self.endpoint, poll_seconds=0.05)
        self.outputs = deploy(adapted, target, lambda _text: None, self.session())
        self._switch_expiry_on()
        receipt.write_text(digest, encoding="utf-8")

    def _is_deployed(self) -> bool:
        try:
            stack = self.client("cloudformation").describe_stacks(StackName=f"enishi-{STAGE}")["Stacks"][0]
        except self.client("cloudformation").exceptions.ClientError:
            return False
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        return str(stack["StackStatus"]) in ("CREATE_COMPLETE", "UPDATE_COMPLETE")

    def _adapted(self, bundle: Path) -> Path:
        """Return a copy of the bundle whose functions are called in the host."""
        out = self.data_dir / "bundle"
        out.mkdir(parents=True, exist_ok=True)
        template = yaml.safe_load((bundle / TEMPLATE).read_text(encoding="utf-8"))
        for resource in template["Resources"].values():
            properties = resource.get("Properties", {})
            if resource["Type"] == "AWS::Serverless::Function" and not self._least_privilege:
                variables = properties.setdefault("Environment", {}).setdefault("Variables", {})
                variables["MINISTACK_LAMBDA_PROXY_URL"] = f"http://127.0.0.1:{self.ports.host}/{properties['Handler']}"
        if self._least_privilege:
            _allow_what_only_ministack_asks(template)
        (out / TEMPLATE).write_text(dump_yaml(template), encoding="utf-8")
        for name in (CODE, LAYER, LAKE_LAYER):
            shutil.copyfile(bundle / name, out / name)
        return out

    def _switch_expiry_on(self) -> None:
        """MiniStack's CloudFormation ignores TimeToLiveSpecification (seen in 1.5.33)."""
        tables = self.client("dynamodb")
        for name in _EXPIRING_TABLES:
            tables.update_time_to_live(
                TableName=f"enishi-{STAGE}-{name}", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
            )

    def _deployed_environment(self) -> dict[str, str]:
        found = self.client("lambda").get_function_configuration(FunctionName=f"enishi-{STAGE}-api")
        variables: dict[str, str] = found.get("Environment", {}).get("Variables", {})
        return {name: value for name, value in variables.items() if name != "MINISTACK_LAMBDA_PROXY_URL"}

    def _credentials(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _aws_environment(self) -> dict[str, str]:
        state = self.data_dir / "state"
        keeping = {
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.data_dir / "files"),
        }
        return {
            **_inherited(),
            **(keeping if self._persist else {}),
            **self._faults(),
            "AUTH": str(self._least_privilege).lower(),
            # MiniStack listens to the whole network by default, and with SFTP and MQTT besides.
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.ports.aws),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "MINISTACK_REGION": REGION,
            "LOG_LEVEL": "WARNING",
            "TMPDIR": str(self.data_dir / "tmp"),
            "ENISHI_CLOCK_FILE": str(self.clock_path),
        }

    def _faults(self) -> dict[str, str]:
        return {VARIABLE: str(self.faults_path)} if self._faulty else {}

    def _resume_clock(self) -> None:
        """Go on from the latest of: now, and what the clock showed when this data was last written."""
        now = time.time()
        shown = now
        if self.clock_path.exists():
            state = self.data_dir / "state"
            written = max((path.stat().st_mtime for path in state.glob("*.json")), default=self.clock_path.stat().st_mtime)
            shown = FileClock(self.clock_path).setting().seconds(max(written, self.clock_path.stat().st_mtime))
        set_clock(self.clock_path, max(now, shown))

    def _slow_down(self) -> None:
        """Nothing is there to live through a fast clock while it is off."""
        setting = FileClock(self.clock_path).setting()
        if setting.scale != 1 and self.clock_path.exists():
            set_clock(self.clock_path, setting.seconds(time.time()))

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(text, flush=True)

    @contextlib.contextmanager
    def _progress(self, what: str) -> Any:
        started = time.monotonic()
        yield
        self._say(f"  {time.monotonic() - started:5.1f} s  {what}")


def cached_bundle(root: Path = ROOT, report: Callable[[str], None] = print) -> Path:
    """Return a bundle of the code as it is, made anew only when something in it changed.

    Its layer is a stub: locally the functions run in the virtual environment, which has every dependency already.
    """
    target = _BUNDLES / content_hash(root)
    if (target / TEMPLATE).exists():
        os.utime(target)
        return target
    _BUNDLES.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=_BUNDLES, prefix="making-"))
    try:
        package(work, root=root, layer=False, report=report)
        with contextlib.suppress(OSError):  # somebody else was faster with the same content
            work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _forget_old_bundles()
    return target


def _allow_what_only_ministack_asks(template: dict[str, Any]) -> None:
    """Bend the roles to where MiniStack's IAM differs from AWS's, so that everything else is enforced."""
    # A policy on connections without TLS refuses every one of ours: http on 127.0.0.1.
    template["Resources"].pop("FilesPolicy")
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        statements = resource["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        for statement in list(statements):
            # AWS asks PartiQL's own actions (DynamoDB guide, "Security policies for PartiQL"), MiniStack the API's name.
            if "dynamodb:PartiQLUpdate" in statement["Action"]:
                statements.append({"Effect": "Allow", "Action": "dynamodb:BatchExecuteStatement", "Resource": "*"})
            # MiniStack knows no resource of SendEmail and asks for all of them.
            if statement["Action"] == "ses:SendEmail":
                statements.append({**statement, "Sid": "MailFromAnywhere", "Resource": "*"})
            # MiniStack takes every schedule for one of the group `default`.
            if "scheduler:CreateSchedule" in statement["Action"]:
                statements.append(
                    {**statement, "Sid": "ScheduleInDefaultGroup", "Resource": "arn:aws:scheduler:*:*:schedule/default/*"}
                )


def _forget_old_bundles() -> None:
    kept = sorted((path for path in _BUNDLES.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[_KEPT_BUNDLES:]:
        if time.time() - path.stat().st_mtime > 600:
            shutil.rmtree(path, ignore_errors=True)


def _inherited() -> dict[str, str]:
    """Return our environment without anything of AWS's: a profile of the person at the machine must not reach the stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def answers(url: str) -> bool:
    """Say whether an address on this machine answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
