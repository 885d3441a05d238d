"""Rooms are tested on real DynamoDB semantics, with fakes at the other edges of the world."""

import pytest

from tests.builders import Stage, make_stage


@pytest.fixture
def stage(tables: str) -> Stage:
    return make_stage()
