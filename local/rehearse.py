"""`make rehearse`, `python -m local.rehearse scenario.yaml`: rehearse a drawing with made-up people; nothing is sent."""

from __future__ import annotations

from local import nowhere  # noqa: F401 - first: storage.py reads the settings when it is imported

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from chalicelib.customers.model import Customer, DeliveryChannel, Profile
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId, ScenarioId, TemplateId
from chalicelib.messages.model import Template
from chalicelib.orders.model import PurchaseStats
from chalicelib.scenarios.costs import Prices
from chalicelib.scenarios.dry import Rate, drawn
from chalicelib.scenarios.forecast import Forecast, forecast
from chalicelib.scenarios.graph import Scenario, SendNode, parse
from chalicelib.scenarios.lint import lint
from chalicelib.scenarios.model import Version
from chalicelib.scenarios.ready_made import drawings
from chalicelib.scenarios.rehearsal import Assumptions, Rehearsal
from chalicelib.segments.model import Person

ACCOUNT = AccountKey("main")
_LONG_AGO = datetime(2024, 4, 1, tzinfo=UTC)
_NAMES = ("佐藤 花子", "鈴木 太郎", "高橋 美咲", "田中 健", "伊藤 葵")


def crowd(number: int, account: AccountKey, line: float, sms: float, postal: float) -> dict[Cid, Person]:
    """Return people of whom such shares can be reached on each channel; the same ones every time."""
    stats = PurchaseStats(1, 5_000, _LONG_AGO, _LONG_AGO)
    nothing: frozenset[Any] = frozenset()
    found = {}
    for place in range(number):
        cid = Cid(place + 1)
        by_line, by_phone = drawn("reach", cid)
        phone, home = by_phone < sms, sms <= by_phone < sms + postal
        profile = Profile(
            member_no=str(place + 1),
            name=_NAMES[place % len(_NAMES)],
            birthday=date(1980, 1, 1) + timedelta(days=place % 10_000),
            phone="+819012345678" if phone else "",
            postal_code="100-0001" if home else "",
            prefecture="東京都" if home else "",
            city="千代田区" if home else "",
            address="千代田1-1" if home else "",
        )
        state = FollowState.FOLLOWING if by_line < line else FollowState.BLOCKED
        friends = {account: Friend(cid, account, LineUserId("U" + "0" * 32), state, _LONG_AGO)}
        found[cid] = Person(Customer(cid, profile), stats, nothing, friends, nothing)
    return found


def drawing(name: str) -> dict[str, Any]:
    """Return a ready-made drawing by its id, or the one in a file."""
    ready = drawings().get(name)
    graph: dict[str, Any] = dict(ready.graph) if ready else yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    return graph


def templates_of(graph: Scenario) -> dict[str, Template]:
    """Return the ready-made templates where a drawing names them, else ones that say their own name."""
    known = {template["template_id"]: template["content"] for ready in drawings().values() for template in ready.templates}
    found: dict[str, Template] = {}
    for node in graph.nodes.values():
        if isinstance(node, SendNode):
            text = f"[{node.template}]"
            plain = {"messages": [{"type": "text", "text": text}], "subject": text, "text": text, "heading": text, "body": text}
            content = known.get(node.template, plain)
            template_id = TemplateId(node.template)
            found[template_id] = Template(template_id, template_id, DeliveryChannel(node.channel), content, 1, _LONG_AGO)
    return found


def rates_of(texts: list[str]) -> dict[str, Rate]:
    """Return the rates that `first_try=0.28:1-60` and the like say."""
    found = {}
    for text in texts:
        node, _, rest = text.partition("=")
        share, _, hours = rest.partition(":")
        low, _, high = hours.partition("-")
        found[node] = Rate(float(share), (float(low), float(high))) if hours else Rate(float(share))
    return found


def table(found: Forecast, seconds: float) -> Iterator[str]:
    """Yield the lines that tell a forecast."""
    yield f"\n  対象 {found.audience:,}人（{found.rehearsed:,}人で{seconds:.1f}秒） / people\n"
    yield f"  {'step':<18}{'people':>10}{'sent':>10}{'skipped':>10}{'responded':>11}{'yen':>12}  leads to"
    for step in found.steps:
        sent, skipped = sum(step.messages.values()), sum(step.skipped.values())
        ways = ", ".join(f"{target} {people:,}" for target, people in step.ways.items())
        yield f"  {step.node:<18}{step.people:>10,}{sent:>10,}{skipped:>10,}{step.responses:>11,}{step.yen:>12,.0f}  {ways}"
    yield "\n  終わり方 / ends: " + ", ".join(f"{word} {people:,}" for word, people in found.ends.items())
    yield "  LINE通数 / month: " + ", ".join(f"{month} {messages:,}" for month, messages in found.line_by_month.items())
    yield "  円 / yen: " + ", ".join(f"{name} {amount:,.0f}" for name, amount in found.yen.items())
    aws = found.aws
    yield f"  AWS: ${aws.total:,.2f} ({aws.transitions:,} transitions ${aws.step_functions:,.2f}, {aws.writes:,} writes ${aws.dynamodb:,.2f},"
    yield f"       {aws.calls:,} calls ${aws.lambda_:,.2f}); 1人1実行なら / one execution each: {found.one_each:,} transitions"
    for warned in found.warnings:
        yield f"  ⚠ {warned.ja} / {warned.en}"
    for sample in found.samples:
        yield f"\n  #{sample.cid}"
        for line in sample.lines:
            yield f"    {line.at:%m-%d %H:%MZ} {line.node:<16} {line.ja}" + (
                f"「{line.text.splitlines()[0]}」" if line.text else ""
            )


def main() -> int:
    """Rehearse a file."""
    parser = argparse.ArgumentParser(prog="python -m local.rehearse", description="シナリオのリハーサル / rehearse a scenario")
    parser.add_argument("drawing", help="a JSON or YAML file of docs/scenario-format.md, or a ready-made scenario's id")
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--rate", action="append", default=[], metavar="NODE=SHARE[:HOURS-HOURS]", help="or goal=…")
    parser.add_argument("--line", type=float, default=0.9, help="share whom LINE reaches")
    parser.add_argument("--sms", type=float, default=0.3, help="share with a mobile number")
    parser.add_argument("--postal", type=float, default=0.2, help="share with an address and no mobile number")
    parser.add_argument("--from", dest="begins_at", type=datetime.fromisoformat, default=datetime(2026, 12, 1, tzinfo=UTC))
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--samples", type=int, default=3)
    given = parser.parse_args()
    graph = parse(drawing(given.drawing))
    for problem in lint(graph):
        print(f"  ⚠ {problem}")
    account = AccountKey(graph.account) if graph.account else ACCOUNT
    begun = time.perf_counter()
    people = crowd(given.people, account, given.line, given.sms, given.postal)
    assumed = Assumptions(given.begins_at.astimezone(UTC), given.days, rates_of(given.rate))
    templates = templates_of(graph)
    done = Rehearsal(Version(ScenarioId(Path(given.drawing).stem), 1, graph), people, templates, [account], assumed)
    done.run()
    found = forecast(done, templates, Prices(), sample=given.samples, company="縁商店")
    for text in table(found, time.perf_counter() - begun):
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
