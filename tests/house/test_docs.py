"""What is written agrees with what is: refusals and their sentences, settings, rooms, pins, names of other places."""

from __future__ import annotations

import ast
import re
import string
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from chalicelib.entrypoints.problems import SENTENCES
from chalicelib.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"[a-z_]+\.[a-z_]+\Z")
KINDS = {"DomainError", "NotFoundError", "ConflictError", "InvalidError", "DeniedError", "UnauthenticatedError"}


def raised() -> Iterator[tuple[str, str, set[str] | None]]:
    """Yield (place, code, names of details; None when they are passed on as a whole) of every refusal in the product."""
    for path in sorted((ROOT / "chalicelib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in KINDS:
                continue
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            details = None if any(word.arg is None for word in node.keywords) else {str(word.arg) for word in node.keywords}
            for code in _codes(node.args[0], place):
                yield place, code, details


def _codes(value: ast.expr, place: str) -> list[str]:
    if isinstance(value, ast.Constant):
        return [str(value.value)]
    if isinstance(value, ast.IfExp):
        return _codes(value.body, place) + _codes(value.orelse, place)
    raise AssertionError(f"{place}: the code of a refusal must be written out, so that its sentence can be found")


def test_there_are_refusals_to_look_at() -> None:
    assert len({code for _, code, _ in raised()}) > 50


def test_every_refusal_has_its_sentence() -> None:
    assert sorted({(code, place) for place, code, _ in raised() if code not in SENTENCES}) == []


def test_no_sentence_is_left_over() -> None:
    written = {code for _, code, _ in raised()}
    # Noted on refused rows of an import without being raised.
    for path in (ROOT / "chalicelib").rglob("*.py"):
        if path.name != "problems.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            written |= {
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.match(node.value)
            }
    assert sorted(set(SENTENCES) - written) == []


def test_every_sentence_gets_the_details_it_speaks_of() -> None:
    missing = []
    for place, code, details in raised():
        for sentence in SENTENCES.get(code, ()):
            names = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
            if details is not None and not names <= details:
                missing.append((place, code, sorted(names - details)))
    assert missing == []


@pytest.mark.parametrize("code", SENTENCES)
def test_every_sentence_is_japanese_and_english_and_a_sentence(code: str) -> None:
    japanese, english = SENTENCES[code]
    assert CODE.match(code)
    assert re.search("[ぁ-ん]", japanese) and japanese.endswith(("。", "）"))
    assert english.isascii() and english.endswith(".") and english[0].isupper() or english.startswith("{")


@pytest.mark.parametrize("field", [field.name for field in fields(Settings)])
def test_every_setting_is_documented(field: str) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert re.search(rf"\b{field.upper()}\b", text)


def test_no_setting_is_documented_that_is_none() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| *`([A-Z][A-Z0-9_]+)`", text, re.MULTILINE)
    assert rows
    assert sorted(set(rows) - {field.name.upper() for field in fields(Settings)} - {"AWS_ENDPOINT_URL", "AWS_REGION"}) == []


ROOMS = sorted(path.parent.name for path in (ROOT / "chalicelib").glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_in_the_architecture(room: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert re.search(rf"\b{room}\b", text)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_with_its_hash(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 20
    for line in lines:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==\S+", line.strip()), line
        assert "--hash=sha256:" in line, line


def test_the_product_ships_no_tool_of_ours() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    # overrides.txt gives what is cut off a platform that there never is.
    shipped = {line.partition("==")[0] for line in lines if re.match(r"[A-Za-z]", line) and "'never'" not in line}
    assert (
        shipped & {"chalice", "moto", "pytest", "mypy", "ruff", "ministack", "hypothesis", "matplotlib", "numpy", "pandas"} == set()
    )


def tracked() -> list[Path]:
    answer = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in answer.stdout.splitlines() if (ROOT / name).is_file()]


# Written apart, so that this file does not find itself.
ELSEWHERE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/(?:work|home|root|Users)" + r"/\w",
            r"--(?:extra-)?index" + r"-url[ =]+http",
            r"https?://[^\s/]*/(?:\w+/)*sim" + "ple/",
            r"//host\.dock" + "er",
        ]
    )
)


def test_no_file_names_a_place_outside_the_project() -> None:
    files = tracked()
    assert len(files) > 100
    found = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in ELSEWHERE.finditer(text)]
    assert found == []
