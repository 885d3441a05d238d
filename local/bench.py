"""`make bench`: what the parts cost, as ratios and CPU per item within one run, so that a slow machine changes little.

Every figure in README and docs names this command. Sections: door, imports, worker, orders, delivery, simulator,
scenarios, lake.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.child import ROOT
from local.stack import LocalStack

SECRET = "8c570fa6dd201bb328f1c1eac23a96d8"  # noqa: S105 - LINE's published test vector
USER = "U" + "a" * 32
BOT = "U" + "b" * 32
_PASSES = 4


def show(what: str, figure: str, target: str = "") -> None:
    """Print one figure with its target beside it. What is measured prints its own metrics: those are kept away (`main`)."""
    print(f"  {what:<66} {figure:>18}   {target}", file=sys.__stdout__, flush=True)


def cpu_seconds(work: Callable[[], None]) -> float:
    """Return the CPU this process spends on `work`, all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def body_of(number: int, user: str = USER) -> bytes:
    """Return a webhook body with one text event."""
    event = {
        "type": "message",
        "mode": "active",
        "timestamp": 1_900_000_000_000 + number,
        "source": {"type": "user", "userId": user},
        "webhookEventId": f"01BENCH{number:019d}",
        "deliveryContext": {"isRedelivery": False},
        "replyToken": f"{number:032x}",
        "message": {"type": "text", "id": str(number), "text": "こんにちは😀", "quoteToken": "q"},
    }
    return json.dumps({"destination": BOT, "events": [event]}, ensure_ascii=False).encode()


def signed(body: bytes) -> str:
    """Return LINE's signature of a body."""
    return base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()


# Door ---------------------------------------------------------------------------------------------------------------------


def bench_door(number: int = 3000) -> None:
    """The webhook door in process: API Gateway's event in, verify, queue (network stubbed), answer out."""
    import botocore.httpsession
    from botocore.awsrequest import AWSResponse

    import app
    from chalicelib.adapters.aws import client
    from chalicelib.wiring import world

    answer = json.dumps({"MessageId": "m", "MD5OfMessageBody": "0" * 32}).encode()

    class Raw:
        def __init__(self) -> None:
            self.content = answer

        def stream(self, *_a: object, **_k: object) -> Any:
            yield self.content

        def read(self, *_a: object, **_k: object) -> bytes:
            return self.content

    def send(_self: Any, request: Any) -> AWSResponse:
        headers: Any = {"Content-Type": "application/x-amz-json-1.0", "Content-Length": str(len(answer))}
        return AWSResponse(request.url, 200, headers, Raw())

    session: Any = botocore.httpsession.URLLib3Session
    original, session.send = session.send, send
    try:
        secret = {"channel_id": "1", "bot_user_id": BOT, "channel_secret": SECRET}
        world().__dict__["secrets"] = type("Known", (), {"get": staticmethod(lambda _name: secret)})()
        bodies = [body_of(n) for n in range(number)]
        events = [_gateway_event(body) for body in bodies]
        sqs = client("sqs")

        def plain() -> None:
            for body in bodies:
                sqs.send_message(QueueUrl=world().settings.events_queue_url, MessageBody=body.decode())

        def door() -> None:
            for event in events:
                if app.app(event, None)["statusCode"] != 200:
                    raise AssertionError("the door refused a signed webhook")

        events and app.app(events[0], None)
        plain_cpu, door_cpu = cpu_seconds(plain), cpu_seconds(door)
    finally:
        session.send = original
        world().__dict__.pop("secrets")
    show("webhook door, requests per CPU second", f"{number / door_cpu:,.0f}", "≥ 1,000")
    show("  of each request, a plain boto3 SendMessage", f"{plain_cpu / number * 1e6:,.0f} µs")
    show("  the door's own share", f"{(door_cpu - plain_cpu) / number * 1e6:,.0f} µs")


def _gateway_event(body: bytes) -> dict[str, Any]:
    return {
        "requestContext": {"httpMethod": "POST", "resourcePath": "/webhook/{account}", "path": "/api/webhook/main"},
        "resource": "/webhook/{account}",
        "path": "/webhook/main",
        "httpMethod": "POST",
        "headers": {"content-type": "application/json; charset=utf-8", "x-line-signature": signed(body)},
        "multiValueHeaders": {"content-type": ["application/json; charset=utf-8"], "x-line-signature": [signed(body)]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"account": "main"},
        "stageVariables": None,
        "body": body.decode(),
        "isBase64Encoded": False,
    }


def bench_imports(runs: int = 7) -> None:
    """Cold starts: fresh interpreters, best of several, minus the bare interpreter."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    door = "chalicelib.entrypoints.line_webhook"
    cases = {"bare": "pass", "boto3": "import boto3", "door": f"import {door}", "app": "import app"}
    best = {name: min(_import_cpu(code, env) for _ in range(runs)) for name, code in cases.items()}
    boto3 = best["boto3"] - best["bare"]
    show("import boto3", f"{boto3 * 1000:,.0f} ms")
    show("import of the webhook door's module, × import boto3", f"{(best['door'] - best['bare']) / boto3:.2f}", "≤ 2.5")
    show("import of app.py with every route, × import boto3", f"{(best['app'] - best['bare']) / boto3:.2f}")
    heavy = f"import sys, {door}; print(sorted(m for m in ('pynamodb','linebot','jinja2') if m in sys.modules))"
    found = subprocess.run([sys.executable, "-c", heavy], env=env, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    show("heavy modules that the door pulls in", found, "[]")


def _import_cpu(code: str, env: dict[str, str]) -> float:
    script = f"import time; t=time.process_time()\n{code}\nprint(time.process_time())"
    return float(subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout)  # noqa: S603


# Through MiniStack ----------------------------------------------------------------------------------------------------------


@contextmanager
def fake_line() -> Any:
    """Put a silent LINE in the world's place: the benches measure us."""
    from chalicelib.ports.line import Profile, Quota, SendAccepted
    from chalicelib.wiring import world

    class Silent:
        def profile(self, *_: object) -> Profile:
            return Profile("花子")

        def send(self, *_: object) -> SendAccepted:
            return SendAccepted("r")

        def quota(self, *_: object) -> Quota:
            return Quota(None, 0)

    world().__dict__["line"] = Silent()
    try:
        yield
    finally:
        world().__dict__.pop("line")


def prepare() -> None:
    """Give the deployed stack an account without asking LINE."""
    from chalicelib.kernel.ids import AccountKey
    from chalicelib.line_accounts import table
    from chalicelib.line_accounts.model import AccountSecret, LineAccount, secret_name, secret_to_json
    from chalicelib.wiring import world

    world().secrets.put(secret_name("main"), secret_to_json(AccountSecret("1234567890", BOT, SECRET)))
    table.save(LineAccount(AccountKey("main"), "bench", "1234567890", BOT, "@bench", datetime.now(UTC)), new=True)


def bench_worker(stack: LocalStack, users: list[str], number: int = 400) -> None:
    """Webhooks through API Gateway, Lambda, SQS and the worker until they are stored; then our own CPU for each."""
    import urllib3

    from chalicelib.adapters.aws import client
    from chalicelib.entrypoints.webhook_worker import handle
    from chalicelib.webhook_log import table as log
    from chalicelib.wiring import world

    records = [
        {
            "messageId": str(n),
            "body": body_of(100_000 + n, users[n % len(users)]).decode(),
            "messageAttributes": {
                "account": {"stringValue": "main"},
                "received_at": {"stringValue": "2030-01-01T00:00:00.000Z"},
            },
        }
        for n in range(number)
    ]
    warm = 2 * len(users)
    with fake_line():
        handle({"Records": records[:warm]}, world())  # everybody is known by now
        failures: list[Any] = []

        def work(part: list[dict[str, Any]]) -> None:
            failures.extend(handle({"Records": part}, world())["batchItemFailures"])

        # Best of several passes, as timeit advises: a neighbour on the machine only ever adds.
        size = (number - warm) // _PASSES
        passes = [records[warm + n * size : warm + (n + 1) * size] for n in range(_PASSES)]
        used = min(cpu_seconds(lambda part=part: work(part)) for part in passes)  # type: ignore[misc]
    if failures:
        raise AssertionError("the worker failed")
    show("worker's own CPU per text event, queue to stored", f"{used / size * 1000:.2f} ms", "≤ 4 ms, best of 4 passes")
    tables, key = client("dynamodb"), {"pk": {"S": "x"}, "sk": {"S": "#"}}

    def read_plainly() -> None:
        for _ in range(size):
            tables.get_item(TableName=world().settings.core_table, Key=key)

    plain = min(cpu_seconds(read_plainly) for _ in range(_PASSES))
    show("  in plain boto3 GetItem calls of the same run", f"{used / plain:.1f}", "five calls are made")

    pool = urllib3.PoolManager(maxsize=8)
    bodies = [body_of(n, users[n % len(users)]) for n in range(number)]

    def post(part: list[bytes]) -> None:
        for body in part:
            headers = {"content-type": "application/json", "x-line-signature": signed(body)}
            answer = pool.request("POST", f"{stack.api_url}/webhook/main", body=body, headers=headers, timeout=60.0)
            if answer.status != 200:
                raise AssertionError(answer.data)

    started = time.monotonic()
    threads = [threading.Thread(target=post, args=(bodies[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acknowledged = time.monotonic() - started
    while not all(log.get(world().database, f"01BENCH{n:019d}") for n in range(number - 30, number)) or world().events.depth():
        time.sleep(0.05)
        if time.monotonic() - started > 120:
            raise AssertionError("webhooks were not stored in two minutes")
    show("webhooks acknowledged through MiniStack", f"{number / acknowledged:,.0f} /s", "MiniStack bounds it near 100–200")
    show("webhooks persisted end to end through MiniStack", f"{number / (time.monotonic() - started):,.0f} /s")


def bench_orders(rows: int = 20_000) -> None:
    """Orders through the import path, from the file to the statistics."""
    from chalicelib.imports.model import ImportKind
    from chalicelib.wiring import world

    here = world()
    people = rows // 3
    numbers = [f"B{n:06d}" for n in range(people)]
    for start in range(0, people, 500):
        here.customers.save_many({"member_no": number, "name": "顧客"} for number in numbers[start : start + 500])
    lines = ["注文番号,会員番号,注文日,金額"]
    lines += [f"BO{n:07d},{numbers[n % people]},2029-0{1 + n % 9}-1{n % 10},{1000 + n % 5000}" for n in range(rows)]
    job, _ = here.imports.create(ImportKind.ORDERS, dry_run=False, trigger=False, mapping={})
    here.files.put(job.file_key, "\n".join(lines).encode(), "text/csv")
    here.imports.start(job.import_id)
    started = time.monotonic()

    def work() -> None:
        while here.imports.work(job.import_id, lambda _facts: None):
            pass

    used = cpu_seconds(work)
    done = here.imports.get(job.import_id)
    if (done.created, done.failed) != (rows, 0):
        raise AssertionError(done)
    show(
        "orders imported through MiniStack",
        f"{rows / (time.monotonic() - started):,.0f} rows/s",
        "≥ 2,000, or bounded by the emulator",
    )
    show("our own CPU per order row, botocore included", f"{used / rows * 1e6:,.0f} µs", "≤ 500 µs is 2,000 rows a CPU second")


def bench_lanes() -> None:
    """A page of a thousand by multicast and of five hundred by push, network stubbed; then pushes to a LINE that is far away."""
    from local import bench_audience
    from local.bench_delivery import cpu_and_requests, push_rate

    for lane, size, target in (
        ("multicast", 500, "≤ 200 µs"), ("multicast", 1000, "≤ 200 µs"), ("capped", 500, "≤ 200 µs"), ("push", 500, "≤ 1,000 µs"),
    ):  # fmt: skip
        used, requests = cpu_and_requests(lane, size)
        show(f"our own CPU per person, {lane}, page of {size:,}", f"{used * 1e6:,.0f} µs", f"{target}, best of 5 pages")
        asked = sum(number for name, number in requests.items() if not name.startswith("/"))
        show("  DynamoDB requests for the page, people and claims included", f"{asked}")
    bench_audience.report(show)
    for latency_ms in (0, 5):
        rate, used = push_rate(latency_seconds=latency_ms / 1000)
        what = f"personal pushes, LINE at 50 ms, DynamoDB at {latency_ms}"
        show(what, f"{rate:,.0f} /s", "≥ 800, best of 10 pages, one process")
        show("  our own CPU for each", f"{used * 1e6:,.0f} µs", "1,024 MB are 0.58 of a core: 725 µs are 800 /s")


def bench_delivery(members: int = 3000) -> None:
    """A campaign's pages in process: claim, freeze, multicast, mark; LINE is silent."""
    from chalicelib.customers.model import DeliveryChannel
    from chalicelib.kernel.ids import AccountKey, LineUserId
    from chalicelib.wiring import world

    here = world()
    with fake_line():
        customers = here.customers.save_many({"member_no": f"D{n:06d}", "name": "顧客"} for n in range(members))
        for n, (customer, _) in enumerate(customers):
            here.friends.enter(AccountKey("main"), LineUserId(f"U{n + 10**6:032x}"), customer.cid, here.clock.now())
        here.messages.create("bench", DeliveryChannel.LINE, {"messages": [{"type": "text", "text": "新作です"}]}, "tpl_bench")
        campaign = here.campaigns.create("bench", DeliveryChannel.LINE, "tpl_bench", {"field": "line.reachable", "is": True})
        _, steps = here.campaigns.schedule(campaign.campaign_id, None)
        from chalicelib.entrypoints.workers import do

        started = time.monotonic()

        def work() -> None:
            todo = list(steps)
            while todo:
                todo += do(todo.pop(0), here)

        used = cpu_seconds(work)
    report = here.campaigns.report(campaign.campaign_id)
    if report.sent < members or report.waiting:
        raise AssertionError(report)
    show("campaign recipients through MiniStack", f"{report.sent / (time.monotonic() - started):,.0f} /s")
    show("our own CPU per recipient, audience to marked", f"{used / report.sent * 1e6:,.0f} µs")


def bench_simulator() -> None:
    """The simulator over HTTP from the same process, client included: it must never be what bounds a test.

    Rates are for a second of CPU, which is one core without neighbours.
    """
    import urllib3

    from line_simulator import LineSimulator, Settings

    # The journal forgets beyond its size; a small one shows what every message adds for good.
    with LineSimulator(seed=1, rate_limits=False, settings=Settings(journal_size=100)) as line:
        channel = line.channel("bench", monthly_limit="none")
        users = line.crowd(1000, channel)
        pool = urllib3.PoolManager(maxsize=2)
        headers = {"Authorization": f"Bearer {channel.access_token}", "Content-Type": "application/json"}
        message = [{"type": "text", "text": "あ" * 50}]

        def call(verb: str, to: Any, times: int) -> tuple[float, float]:
            content = json.dumps({"to": to, "messages": message}).encode()
            before, started = resident_bytes(), time.process_time()
            for _ in range(times):
                if pool.request("POST", f"{line.url}/v2/bot/message/{verb}", body=content, headers=headers).status != 200:
                    raise AssertionError("the simulator refused")
            rate = times / (time.process_time() - started)
            return rate, (resident_bytes() - before) / times

        call("push", users[0], 200)
        for verb, to, times, target in (("push", users[0], 6000, "≥ 1,500"), ("multicast", users[:500], 600, "≥ 150")):
            rate, kept = call(verb, to, times)
            many = len(to) if isinstance(to, list) else 1
            name = f"{verb} of {many}" if many > 1 else verb
            show(f"simulator: {name}", f"{rate:,.0f} /CPU s", target)
            show("  memory for a delivered message, besides the journal", f"{max(kept, 0) / many:,.0f} bytes", "< 1,024")
    bench_crowd()


def bench_crowd(people: int = 100_000) -> None:
    """A hundred thousand people with habits: 30 % look, a sixth of those tap, over three virtual days."""
    from line_simulator import Habits, LineSimulator, Request

    button = {"type": "postback", "label": "見る", "data": "more"}
    template = {"type": "buttons", "text": "新作です", "actions": [button]}
    content = json.dumps({"messages": [{"type": "template", "altText": "新作です", "template": template}]}).encode()
    with LineSimulator(seed=1, rate_limits=False) as line:
        channel = line.channel("bench", monthly_limit="none")
        before, started = resident_bytes(), time.process_time()
        group = line.act(Habits(open_rate=0.3, tap_rate=1 / 6, quiet_hours=(23, 7)), channel, crowd=people)
        show(f"simulator: {people:,} friends with habits begin", f"{time.process_time() - started:.1f} CPU s", "< 5 s")
        show("  memory for each of them", f"{(resident_bytes() - before) / people:,.0f} bytes")
        headers = {"authorization": f"Bearer {channel.access_token}", "content-type": "application/json"}
        before, started = resident_bytes(), time.process_time()
        if line.handle(Request("POST", "/v2/bot/message/broadcast", "", headers, content)).status != 200:
            raise AssertionError("the simulator refused")
        show("simulator: a broadcast to them is accepted", f"{time.process_time() - started:.2f} CPU s", "< 1 s")
        started = time.process_time()
        line.clock.advance(3 * 86_400)
        spent = time.process_time() - started
        done = group.total
        if not done["looked"] > people // 5 or not done["tapped"] > people // 50:
            raise AssertionError(done)
        show(f"  three days of {done['looked']:,} looks and {done['tapped']:,} taps", f"{spent:.1f} CPU s", "< 5 s")
        show(
            "  memory for each delivered message, with what came of it",
            f"{(resident_bytes() - before) / people:,.0f} bytes",
            "< 1,024",
        )


def resident_bytes() -> int:
    """Return the memory this process occupies now (Linux; 0 elsewhere)."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else 0


def bench_scenarios() -> None:
    """Print the figures of fresh processes (local/bench_scenarios.py)."""
    for people in (100_000, 1_000_000):
        command = [sys.executable, "-m", "local.bench_scenarios", str(people)]
        is_small = people == 100_000
        runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(3 if is_small else 1)]
        # As timeit advises: a neighbour on the machine only ever adds.
        found = min(map(json.loads, runs), key=lambda run: run["seconds"])
        seconds, target = f"{found['seconds']:.1f} CPU s", "≤ 3 s, best of 3 runs" if is_small else ""
        show(f"scenarios: {people:,} people rehearsed (dormant90)", seconds, target)
        show("  memory at its peak, the people included", f"{found['peak_mb']:,} MB", "≤ 300 MB" if is_small else "")
        show("    of it the people themselves", f"{found['people_mb']:,} MB")
        show("  state transitions of AWS", f"{found['transitions']:,}", "" if is_small else "≤ 40,000")
        show("    with one execution for each person", f"{found['one_each']:,}")
        show("  executions", f"{found['executions']:,}")
        show("  calls of the function", f"{found['calls']:,}")
        show("  the longest history of an execution", f"{found['most_events']:,} events", "≤ 25,000, AWS's quota")
        show("  the largest input or output of a state", f"{found['most_bytes']:,} bytes", "≤ 262,144, AWS's quota")
        for name, amount in found["dollars"].items():
            show(f"  AWS, {name}", f"${amount:.2f}")


def main() -> None:
    """Run all sections, or those that are named."""
    sections = ("door", "imports", "worker", "orders", "delivery", "simulator", "scenarios", "lake")
    parser = argparse.ArgumentParser(description="What the parts cost.")
    parser.add_argument("sections", nargs="*", choices=[*sections, []], default=[])
    parser.add_argument("--rows", type=int, default=20_000, help="orders to import")
    parser.add_argument("--customers", type=int, default=1_000_000, help="people in the lake")
    options = parser.parse_args()
    wanted = options.sections or sections
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    machine = f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {datetime.now(UTC) + timedelta(0):%Y-%m-%d}"
    print(f"\n  {machine}\n", file=sys.__stdout__)
    if "simulator" in wanted:
        bench_simulator()
    if "scenarios" in wanted:
        bench_scenarios()
    if "lake" in wanted:
        from local.bench_lake import report

        report(show, options.customers)
    if set(wanted) <= {"simulator", "scenarios", "lake"}:
        return
    from line_simulator import LineSimulator

    with (
        LineSimulator(seed=1, rate_limits=False) as line,
        tempfile.TemporaryDirectory(prefix="enishi-bench-") as folder,
        LocalStack(Path(folder), line_url=line.url) as stack,
    ):
        os.environ.update(stack.env)
        channel = line.channel("bench", channel_id="1234567890", secret=SECRET, bot_user_id=BOT, monthly_limit="none")
        prepare()
        if "door" in wanted:
            bench_door()
        if "imports" in wanted:
            bench_imports()
        if "worker" in wanted:
            bench_worker(stack, line.crowd(40, channel))
        if "orders" in wanted:
            bench_orders(options.rows)
        if "delivery" in wanted:
            bench_lanes()
            bench_delivery()
    print(file=sys.__stdout__)


if __name__ == "__main__":
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        main()
