"""Every exchange any test has with a simulator in this process is held against the official documents, after the test."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from line_simulator.journal import Call, Journal
from line_simulator.people.people import People
from line_simulator.webhooks.webhooks import Delivery, Webhooks
from tests.simulator.contract import official

SHOWN = 20


class Witness:
    """Collects what passes since the last verdict, and counts what was judged."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.webhooks: list[Delivery] = []
        self.operations: Counter[str] = Counter()
        self.judged = Counter[str]()
        self.seconds = 0.0
        self._own = threading.local()

    def watch(self) -> None:
        """Listen to every journal and webhook queue of this process from now on."""
        add, deliver, send, raw = Journal.add, Webhooks._delivery, Webhooks.send, People.raw_event

        def added(journal: Journal, call: Call) -> None:
            self.calls.append(call)
            add(journal, call)

        def delivered(webhooks: Webhooks, *args: Any, **kwargs: Any) -> Delivery:
            delivery = deliver(webhooks, *args, **kwargs)
            if not getattr(self._own, "words", False):
                self.webhooks.append(delivery)
            return delivery

        def unjudged(act: Callable[..., Any]) -> Callable[..., Any]:
            def acted(*args: Any, **kwargs: Any) -> Any:
                self._own.words = True
                try:
                    return act(*args, **kwargs)
                finally:
                    self._own.words = False

            return acted

        Journal.add = added  # type: ignore[method-assign]
        Webhooks._delivery = delivered  # type: ignore[method-assign]
        # Events that a test writes itself are the test's.
        Webhooks.send = unjudged(send)  # type: ignore[method-assign]
        People.raw_event = unjudged(raw)  # type: ignore[method-assign]

    def verdict(self) -> list[str]:
        """Return the violations since the last verdict, each once, with how often it happened."""
        calls, self.calls = self.calls, []
        webhooks, self.webhooks = self.webhooks, []
        if not calls and not webhooks:
            return []
        from tests.simulator.contract.judge import judge_call, judge_webhook

        started = time.perf_counter()
        found: Counter[str] = Counter()
        for call in calls:
            found.update(judge_call(call))
            if call.operation_id in official.operations():
                self.operations[call.operation_id] += 200 <= call.status < 300
        for delivery in webhooks:
            found.update(judge_webhook(delivery))
        self.judged.update(calls=len(calls), webhooks=len(webhooks))
        self.seconds += time.perf_counter() - started
        return [f"{text} (×{times})" if times > 1 else text for text, times in found.items()]


WITNESS = Witness()
if official.present():
    WITNESS.watch()


@pytest.fixture(autouse=True)
def _obeys_the_official_documents(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    violations = WITNESS.verdict()
    if violations and request.node.get_closest_marker("off_contract") is None:
        lines = "\n".join(violations[:SHOWN])
        pytest.fail(f"{len(violations)} violations of LINE's OpenAPI documents:\n{lines}", pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "off_contract: the test breaks LINE's OpenAPI documents on purpose")


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        accepted = [name for name, times in WITNESS.operations.items() if times]
        output["contract"] = (dict(WITNESS.judged), accepted, WITNESS.seconds)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    judged, accepted, seconds = getattr(node, "workeroutput", {}).get("contract", ({}, [], 0.0))
    WITNESS.judged.update(judged)
    WITNESS.operations.update(accepted)
    WITNESS.seconds += seconds


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not official.present():
        terminalreporter.write_line(f"contract: nothing was checked, {official.MISSING}")
    elif WITNESS.judged:
        accepted = sum(1 for times in WITNESS.operations.values() if times)
        terminalreporter.write_line(
            f"contract: {WITNESS.judged['calls']} calls and {WITNESS.judged['webhooks']} webhooks were held against LINE's OpenAPI "
            f"documents; {accepted} of its {len(official.operations())} operations were accepted at least once "
            f"({WITNESS.seconds:.1f} s)"
        )
