"""What a page or a walk came to, in the words under which it is counted (counts.py); pure.

`sent`, `failed` (sent, but not taken), `skipped <why>`, `held` and `waits` (they come back to the node), `moved <target>`,
`stayed` (on by the main exit), `ended <outcome>`. Of one person: `exited <reason>`, `goal`, `responded`, `clicked <link>`,
`seen` (by a machine, perhaps).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from chalicelib.kernel.facts import Evidence
from chalicelib.scenarios.graph import ActionNode, EndNode, Node, Scenario, SendNode, main_exit, reached_at
from chalicelib.scenarios.model import INLINE, Cohort, Enrollment, EnrollmentStatus, visit_of
from chalicelib.scenarios.nodes import Outcome, Task
from chalicelib.scenarios.paths import Step

_LONGEST_ROUTE = 200


def of_page(
    task: Task,
    header: Cohort,
    found: Sequence[Enrollment],
    ours: Sequence[Enrollment],
    owed: Sequence[Enrollment],
    outcome: Outcome,
) -> Counter[str]:
    """Return what a page came to, earlier tries of it included.

    found: everybody who was ever in this page, as he stood before this try; ours: the members among them. Words: `sent`,
    `skipped <why>`, `held`, `waits`, `moved <target>`, `stayed`, `ended <outcome>`.
    """
    node = task.version.graph.node(task.node_id)
    visit = visit_of(task.node_id, task.due)
    words = Counter(outcome.words)
    words.update(way for leaving in outcome.leavers if (way := _way(leaving.target, leaving.why)))
    if isinstance(node, SendNode):
        kept = (one.path.get(visit, "") for one in ours)
        words.update(note for note in kept if note.startswith("skipped"))
    elif isinstance(node, EndNode):
        words[f"ended {node.outcome or task.node_id}"] = outcome.gone
    else:
        # Of an action those too who had reacted to the message before it, and are answered for here (hearing.gone_ahead).
        ahead = len(owed) if isinstance(node, ActionNode) else 0
        words["stayed"] = len(ours) - len(outcome.leavers) - outcome.gone + ahead
    mine = {(one.row.pk, one.row.sk) for one in (*ours, *owed)}
    for one in found:
        if (one.row.pk, one.row.sk) not in mine:
            words.update(_earlier(task, node, header, one))
    return +words


def _way(target: str, why: str) -> str:
    """Return the word for a way; empty where it is counted elsewhere: a response where the pointer moves, a skip by its note."""
    if why in ("", "responded"):
        return ""
    return why if why in ("held", "waits") else f"moved {target}"


def _earlier(task: Task, node: Node, header: Cohort, one: Enrollment) -> list[str]:
    """Return what an earlier try of the page did with somebody who is its member no more."""
    if isinstance(node, EndNode):
        ended = one.row.status == EnrollmentStatus.DONE and one.row.cohort == task.cohort and one.ended_at == task.due
        return [f"ended {one.reason}"] if ended else []
    note = one.path.get(visit_of(task.node_id, task.due), "")
    if not note or _left_before(task, header, one):
        return []
    what, *words = note.split(" ")
    if what != "moved":
        return [note]
    return [way] if (way := _way(words[0], words[1])) else []


def _left_before(task: Task, header: Cohort, one: Enrollment) -> bool:
    """Say whether somebody had left the cohort before this node: the note is then of another cohort that was here as well."""
    node_id, due = header.node, header.due
    for _ in range(_LONGEST_ROUTE):
        if (node_id, due) == (task.node_id, task.due):
            return False
        node = task.version.graph.node(node_id)
        note = one.path.get(visit_of(node_id, due), "")
        if note.startswith("moved") or (isinstance(node, SendNode) and node.unreachable and note.startswith("skipped")):
            return True
        node_id = main_exit(node)
        if not node_id:
            return False
        due = reached_at(task.version.graph.node(node_id), due)
    return False


def of_walk(steps: Iterable[Step], graph: Scenario) -> dict[str, Counter[str]]:
    """Return what a walk came to: the steps that it did itself, by node."""
    nodes: dict[str, Counter[str]] = {}
    for step in steps:
        word = _word_of(step, graph) if step.cohort == INLINE else ""
        if word:
            nodes.setdefault(step.node, Counter())[word] += 1
    return nodes


def _word_of(step: Step, graph: Scenario) -> str:
    match step.what:
        case "sent":
            return "sent"
        case "skipped":
            return f"skipped {step.why}"
        case "case" | "share" | "missing" | "past" if step.target != main_exit(graph.node(step.node)):
            return f"moved {step.target}"
        case "case" | "share" | "missing" | "past" | "otherwise" | "acted" | "waited":
            return "stayed"
        case _:
            return ""


def of_response(key: str, text: str) -> tuple[str, str]:
    """Return node and word of a noted response. key: a node, or `node|link`; text: see Enrollment.responses."""
    node, _, link = key.partition("|")
    _, evidence, *_ = text.split(" ")
    if not Evidence(evidence).counts_as(Evidence.PROBABLE):
        return node, "seen"
    return node, f"clicked {link}" if link else "responded"
