"""The house stands as docs/architecture.md says: who may import whom, and how its files look."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "chalicelib").rglob("*.py")) + [ROOT / "app.py"]
PURE = [
    *(path for path in sorted((ROOT / "chalicelib" / "kernel").glob("*.py"))),
    *(path for path in sorted((ROOT / "chalicelib").glob("*/model.py"))),
    *(ROOT / "chalicelib" / name for name in (
        "segments/expression.py", "segments/predicate.py", "delivery/policy.py", "scenarios/graph.py", "scenarios/asl.py",
        "messages/limits.py", "entrypoints/line_events.py", "entrypoints/problems.py",
    )),
]  # fmt: skip
OUTSIDE = {
    "boto3",
    "botocore",
    "pynamodb",
    "chalice",
    "linebot",
    "urllib3",
    "requests",
    "jinja2",
    "reportlab",
    "os",
    "socket",
    "time",
}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("chalicelib", include_external_packages=True, cache_dir=None)


def test_the_contracts_are_kept() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run([str(tool), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_rooms_table_is_its_own(imports: grimp.ImportGraph) -> None:
    tables = [module for module in imports.modules if module.startswith("chalicelib.") and module.endswith(".table")]
    assert len(tables) > 10
    strangers = {
        (importer, table)
        for table in tables
        for importer in imports.find_modules_that_directly_import(table)
        if not importer.startswith(table.removesuffix("table"))
    }
    assert strangers == set()


def test_only_tables_know_the_storage(imports: grimp.ImportGraph) -> None:
    importers = imports.find_modules_that_directly_import("chalicelib.storage")
    assert importers
    assert [importer for importer in importers if not importer.endswith(".table")] == []


def test_only_storage_and_tables_know_pynamodb(imports: grimp.ImportGraph) -> None:
    importers = imports.find_modules_that_directly_import("pynamodb")
    assert [one for one in importers if one != "chalicelib.storage" and not one.endswith(".table")] == []


def test_the_official_sdk_is_known_in_one_place(imports: grimp.ImportGraph) -> None:
    importers = imports.find_modules_that_directly_import("linebot") if "linebot" in imports.modules else set()
    assert importers <= {"chalicelib.adapters.line_setup"}


@pytest.mark.parametrize("path", PURE, ids=[str(path.relative_to(ROOT)) for path in PURE])
def test_a_pure_file_reads_no_clock_and_knows_nothing_outside(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {name.partition(".")[0] for name in names}
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today") and path.name != "clock.py":
            assert not isinstance(node.value, ast.Name) or node.value.id not in ("datetime", "date"), f"line {node.lineno}"
    assert found & OUTSIDE == set()


@pytest.mark.parametrize("path", SHIPPED, ids=[str(path.relative_to(ROOT)) for path in SHIPPED])
def test_no_function_is_too_long_to_read_aloud(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node) is not None
            first = node.body[1].lineno if has_docstring and len(node.body) > 1 else node.body[0].lineno
            length = (node.end_lineno or first) - first + 1
            assert length <= 60, f"{node.name} has {length} lines"


def test_every_package_says_in_one_docstring_what_it_is_and_nothing_more() -> None:
    for path in (ROOT / "chalicelib").rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), path


def test_app_declares_and_does_nothing_else() -> None:
    for node in ast.parse((ROOT / "app.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            assert len(node.body) <= 3, node.name
