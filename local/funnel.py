"""The demo's picture: a funnel per scenario, and what left by which channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.kernel.windows import JST
from chalicelib.scenarios.costs import bill
from local.checks import Outcome, summary
from local.seed import SCENARIOS, scenario

_WIDTH = 36


def print_funnels(outcome: Outcome) -> None:
    """Print one funnel a scenario in the order of its drawing."""
    for name in SCENARIOS:
        graph = scenario(name)
        entered = sum(outcome.ends.get(name, Counter()).values())
        print(f"\n  {graph['name']}  登録 {entered} 人 / entered")
        for node_id, node in graph["nodes"].items():
            if node["type"] == "send":
                _print_step(node, outcome.visits.get(name, {}).get(node_id, Counter()), max(entered, 1))
        ends = outcome.ends.get(name, Counter())
        print("    結果 / outcome: " + "、".join(f"{word} {count}" for word, count in sorted(ends.items())))
    print("\n  送ったもの / sent: " + "、".join(f"{word} {count}" for word, count in summary(outcome).items()) + "\n")


def print_transitions(transitions: int, enrollments: int) -> None:
    """Print how many steps the state machines made, and what AWS would ask for them."""
    each = transitions / max(enrollments, 1)
    dollars = bill(transitions=transitions, calls=0, writes=0, sends=0).step_functions
    print(
        f"  Step Functions: {transitions:,} 遷移 / transitions、登録1件あたり {each:.1f} / per enrollment、AWSなら ${dollars:.2f}\n"
    )


def print_way(name: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Print one person's way through his scenarios, each step with its reason."""
    print(f"  1人の経路 / one person's way: {name}")
    for run in reversed(runs):
        print(f"    {run['name']}")
        for step in run["steps"]:
            at = datetime.fromisoformat(step["at"]).astimezone(JST)
            print(f"      {at:%m/%d %H:%M}  {_padded(step['label'], 24)} {step['text']['ja']}")
    print()


def _print_step(node: Mapping[str, Any], notes: Counter[str], entered: int) -> None:
    sent = notes["sent"]
    skipped = {word.removeprefix("skipped "): count for word, count in sorted(notes.items()) if word.startswith("skipped")}
    bar = "█" * round(_WIDTH * sent / entered) or ("▏" if sent else "")
    label = f"{node['label']} [{node['channel']}]"
    left_out = f"  （除外 {skipped}）" if skipped else ""
    print(f"    {_padded(label, 34)} {sent:4d} {bar}{left_out}")


def _padded(text: str, width: int) -> str:
    columns = sum(2 if ord(char) > 0x2E80 else 1 for char in text)
    return text + " " * max(0, width - columns)
