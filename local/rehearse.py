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
from unicodedata import east_asian_width

import msgspec
import yaml

from chalicelib.customers.model import Customer, DeliveryChannel, Profile
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId, ScenarioId, TemplateId
from chalicelib.kernel.windows import JST
from chalicelib.messages.model import Template
from chalicelib.orders.model import PurchaseStats
from chalicelib.scenarios.costs import Prices
from chalicelib.scenarios.dry import Rate, drawn
from chalicelib.scenarios.expectations import expectations
from chalicelib.scenarios.forecast import Forecast, Known, StepForecast, forecast
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


def prices_of(texts: list[str]) -> Prices:
    """Return the prices that `sms_part=8` and the like say."""
    pairs = (text.partition("=") for text in texts)
    return msgspec.convert({name: value for name, _, value in pairs}, Prices, strict=False)


def table(found: Forecast) -> Iterator[str]:
    """Yield the lines that tell a forecast."""
    yield f"\n  対象 / people: {found.audience:,}人"
    rates = ", ".join(f"{name} {one.rate:.1%} ({one.origin})" for name, one in found.expected.items())
    yield f"  反応率 / rates: {rates}\n"
    head = ("ステップ / step", "人数 / people", "", "通数 / sent", "反応", "円 / yen", "最初 – 最後 / first – last (JST)")
    yield _row(*head)
    for step in found.steps:
        share = step.people / found.audience if found.audience else 0.0
        billable = sum(step.billable.values())
        yen, responses = f"{step.yen:,.0f}" if billable else "", f"{step.responses:,}" if step.responses else ""
        yield _row(step.node, f"{step.people:,}", _bar(share), f"{billable:,}" if billable else "", responses, yen, _times(step))
        ways = ", ".join(f"→ {target} {people:,} ({people / step.people:.0%})" for target, people in step.ways.items())
        skipped = ", ".join(f"{why} {people:,}" for why, people in step.skipped.items())
        if ways or skipped:
            yield "    " + "; ".join(filter(None, [ways, skipped and f"除外 / skipped: {skipped}"]))
    yield "\n  終わり方 / ends: " + ", ".join(f"{word} {people:,}" for word, people in found.ends.items())
    yield "  LINE通数 / by month: " + ", ".join(f"{month} {messages:,}" for month, messages in found.line_by_month.items())
    yield "  円 / yen: " + ", ".join(f"{name} {amount:,.0f}" for name, amount in found.yen.items())
    yield "    （各ステップの円は、LINEの全通が追加料金の場合 / at a step as if all of LINE's messages cost extra）"
    aws = found.aws
    yield f"  AWS: ${aws.total:,.2f} ({aws.transitions:,} transitions ${aws.step_functions:,.2f}, {aws.writes:,} writes ${aws.dynamodb:,.2f},"
    yield f"       {aws.calls:,} calls ${aws.lambda_:,.2f}); 1人1実行なら / one execution each: {found.one_each:,} transitions"
    for warned in found.warnings:
        yield f"  ⚠ {warned.ja} / {warned.en}"
    for sample in found.samples:
        yield f"\n  #{sample.cid}"
        for line in sample.lines:
            said = f"「{line.text.splitlines()[0]}」" if line.text else ""
            yield f"    {line.at.astimezone(JST):%m-%d %H:%M} {line.node:<16} {line.ja}{said}"


def _row(step: str, people: str, bar: str, messages: str, responses: str, yen: str, times: str) -> str:
    cells = [_wide(step, -18), _wide(people, 13), " " + _wide(bar, -20), _wide(messages, 11), _wide(responses, 8)]
    return "  " + "".join([*cells, _wide(yen, 12), "  ", times]).rstrip()


def _wide(text: str, width: int) -> str:
    """Return a text filled up to a width on the screen, where a Japanese letter takes two; negative: to the left."""
    space = " " * (abs(width) - sum(2 if east_asian_width(letter) in "FW" else 1 for letter in text))
    return text + space if width < 0 else space + text


def _bar(share: float) -> str:
    return "█" * round(20 * share) or ("▏" if share else "")


def _times(step: StepForecast) -> str:
    if step.first_at is None or step.last_at is None:
        return ""
    first, last = (f"{at.astimezone(JST):%m-%d %H:%M}" for at in (step.first_at, step.last_at))
    return first if first == last else f"{first} – {last}"


def options() -> argparse.ArgumentParser:
    """Return what can be said on the command line."""
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
    parser.add_argument("--price", action="append", default=[], metavar="NAME=YEN", help=", ".join(Prices.__slots__))
    return parser


def main() -> int:
    """Rehearse a file."""
    given = options().parse_args()
    graph = parse(drawing(given.drawing))
    for problem in lint(graph):
        print(f"  ⚠ {problem}")
    begun = time.perf_counter()
    for text in table(rehearse(graph, Path(given.drawing).stem, given)):
        print(text)
    print(f"  {time.perf_counter() - begun:.1f}s", file=sys.stderr)
    return 0


def rehearse(graph: Scenario, name: str, given: argparse.Namespace) -> Forecast:
    """Return what a drawing would do with made-up people."""
    account = AccountKey(graph.account) if graph.account else ACCOUNT
    people = crowd(given.people, account, given.line, given.sms, given.postal)
    expected = expectations(graph, rates_of(given.rate), [])
    rates = {name: one.as_rate for name, one in expected.items()}
    assumed = Assumptions(given.begins_at.astimezone(UTC), given.days, rates)
    templates = templates_of(graph)
    done = Rehearsal(Version(ScenarioId(name), 1, graph), people, templates, [account], assumed)
    done.run()
    known = Known(expected=expected, company="縁商店")
    return forecast(done, templates, prices_of(given.price), known, sample=given.samples)


if __name__ == "__main__":
    sys.exit(main())
