"""The journal remembers the latest calls and stays small."""

from __future__ import annotations

import pytest

from line_simulator.journal import Call, Journal


def call(number: int, size: int = 0) -> Call:
    answer = b'{"message":"Not found"}'  # 23 bytes
    return Call(0.0, "GET", f"/{number}", "", None, 404, "r", None, b"x" * size, answer, authorized=False)


@pytest.mark.parametrize(
    ("size", "most_bytes", "bodies", "left"),
    [
        (3, 10**6, [1] * 5, [2, 3, 4]),
        (100, 60, [4, 4, 4], [1, 2]),
        (100, 60, [4, 50], [1]),
        (100, 60, [50, 4, 6], [1, 2]),
    ],
)
def test_old_calls_make_room(size: int, most_bytes: int, bodies: list[int], left: list[int]) -> None:
    journal = Journal(size, most_bytes)
    for number, length in enumerate(bodies):
        journal.add(call(number, length))
    assert [one.path for one in journal.calls()] == [f"/{number}" for number in left]
    assert journal.total == len(bodies)
    journal.clear()
    journal.add(call(7, 30))
    assert [one.path for one in journal.calls()] == ["/7"]
