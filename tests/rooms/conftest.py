"""Rooms are tested on real DynamoDB semantics, with fakes at the other edges of the world."""

from collections.abc import Sequence

import pytest

from chalicelib.adapters.database import DynamoDatabase
from chalicelib.ports.database import Statement
from tests.builders import Stage, make_stage
from tests.fakes.database import plan_of
from tests.rooms.memory import make_memory_stage
from tests.fakes.runner import Runner
from tests.rooms.journey import NOON


class KnownStatements(DynamoDatabase):
    """DynamoDB, for statements that the database of the model tests knows too: it must not fall behind what rooms write."""

    def execute(self, statements: Sequence[Statement]) -> list[str | None]:
        for statement in statements:
            plan_of(statement.text)
        return super().execute(statements)


@pytest.fixture
def stage(tables: str) -> Stage:
    stage = make_stage()
    assert "database" not in stage.world.__dict__  # nobody has made use of another one
    stage.world.__dict__["database"] = KnownStatements()
    return stage


@pytest.fixture
def runner(stage: Stage) -> Runner:
    """What Step Functions, Scheduler and the work queue do, from noon on."""
    stage.clock.set(NOON)
    return Runner(stage)


@pytest.fixture
def memory(tables: str) -> Stage:
    return make_memory_stage()
