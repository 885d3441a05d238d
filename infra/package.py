"""Makes what is deployed: one template, one zip of the product, two layers of dependencies; the same bytes every time.

`python -m infra.package OUT` (or `make package`). Every function runs on python3.13 whatever Python packages it: the layer is
installed by uv for that version and for Lambda's platform from wheels alone, so a package without a wheel is refused here
in one sentence instead of missing in Lambda (Chalice prints a warning and goes on). The second layer holds what only the functions
of the lake import (requirements-lake.txt); Chalice knows nothing of it, infra/resources.yaml gives it to them.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

from infra.chalice_package import RUNTIME

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "sam.yaml"
CODE = "deployment.zip"
LAYER = "layer-deployment.zip"
LAKE_LAYER = "layer-lake.zip"
Report = Callable[[str], None]

_PYTHON = RUNTIME.removeprefix("python")
_PLATFORM = "x86_64-manylinux_2_28"  # Amazon Linux 2023 has glibc 2.34
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: the same input gives the same bytes
_UNZIPPED_LIMIT = 250_000_000  # Lambda's limit of code and layers together
# The services that chalicelib/adapters call; botocore describes 400 others in 27 MB of JSON.
_SERVICES = {"dynamodb", "events", "lambda", "s3", "scheduler", "secretsmanager", "sesv2", "sns", "sqs", "stepfunctions", "sts"}
_NOT_SHIPPED = {"__pycache__", "tests", "test", "bin", "examples"}
_VERSION = "2"  # part of every cache key: raise it when this file makes different bytes of the same input


class PackageError(Exception):
    """The bundle cannot be made; the text is one sentence for the person who asked for it."""


def content_hash(root: Path = ROOT) -> str:
    """Return a short name of everything that a bundle depends on, the layer's list of requirements included."""
    digest = hashlib.sha256(_VERSION.encode())
    for path in _inputs(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:20]


def package(out: Path, *, root: Path = ROOT, layer: bool = True, report: Report = print) -> Path:
    """Write the bundle to `out` and return it. Raises PackageError.

    layer: False puts stubs in the layers' place, for a local run whose functions use the virtual environment.
    """
    out.mkdir(parents=True, exist_ok=True)
    with _temporary() as work:
        _run_chalice(_stage(root, work / "staged"), work / "out")
        template = _checked(yaml.safe_load((work / "out" / TEMPLATE).read_text(encoding="utf-8")))
        _finish_code(work / "out" / CODE, out / CODE, compiled=layer, report=report)
        (out / TEMPLATE).write_text(dump_yaml(template), encoding="utf-8")
    layers = {LAYER: "requirements.txt", LAKE_LAYER: "requirements-lake.txt"}
    if layer:
        size = sum(_make_layer(root / requirements, out / name, report) for name, requirements in layers.items())
        if size > _UNZIPPED_LIMIT:
            raise PackageError(
                f"レイヤーが合計 {size / 1e6:.0f} MB です（上限 250 MB）/ the layers are larger than Lambda's 250 MB."
            )
    else:
        for name, requirements in layers.items():
            _zip({f"python/{requirements}.README": b"The functions use the virtual environment of the machine.\n"}, out / name)
    return out


def dump_yaml(template: dict[str, Any]) -> str:
    """Return a template as YAML without aliases, which CloudFormation does not read."""
    return str(yaml.dump(template, Dumper=_PlainDumper, sort_keys=True, allow_unicode=True, width=120))


class _PlainDumper(yaml.SafeDumper):  # type: ignore[misc, unused-ignore]
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class gives it
        return True


def _inputs(root: Path) -> Iterator[Path]:
    requirements = [root / "requirements.txt", root / "requirements-lake.txt"]
    named = [root / "app.py", *requirements, root / ".chalice" / "config.json"]
    trees = [*(root / "chalicelib").rglob("*"), *(root / "infra").rglob("*")]
    for path in sorted(set(named + trees)):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


@contextlib.contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="enishi-package-") as name:
        yield Path(name)


def _stage(root: Path, staged: Path) -> Path:
    """Copy the product to where Chalice finds nothing to install: dependencies are the layer's business."""
    skip = shutil.ignore_patterns("__pycache__", "*.pyc", "deployments", "deployed")
    staged.mkdir(parents=True)
    if not (root / "app.py").exists():
        raise PackageError(f"app.py がありません / there is no app.py in {root}.")
    shutil.copy2(root / "app.py", staged)
    for name in ("chalicelib", ".chalice", "infra"):
        shutil.copytree(root / name, staged / name, ignore=skip)
    # Chalice leaves an empty layer out of the template; a file in vendor/ keeps it in, and its zip is replaced afterwards.
    (staged / "vendor").mkdir()
    (staged / "vendor" / "KEEP").write_text("kept\n", encoding="utf-8")
    return staged


def _run_chalice(staged: Path, out: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_ENDPOINT", "AWS_PROFILE"))}
    environment["PYTHONPATH"] = str(ROOT)
    answer = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "infra.chalice_package", str(staged), str(out)],
        cwd=staged,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        last = (answer.stderr.strip() or answer.stdout.strip() or "no output").splitlines()[-1]
        raise PackageError(f"Chalice がテンプレートを作れませんでした / Chalice could not make the template: {last}")


def _checked(template: dict[str, Any]) -> dict[str, Any]:
    functions = {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    for name, properties in functions.items():
        if properties.get("Runtime") != RUNTIME:
            raise PackageError(f"{name} のランタイムが {RUNTIME} ではありません / {name} would not run on {RUNTIME}.")
        if "PLACEHOLDER" in str(properties):
            raise PackageError(f"infra/resources.yaml に {name} のロールがありません / {name} has no role in infra/resources.yaml.")
        if not properties.get("Layers"):
            raise PackageError(f"{name} にレイヤーがありません / {name} has no layer.")
    return template


def _make_layer(requirements: Path, target: Path, report: Report) -> int:
    """Write a layer and return its bytes unzipped."""
    started = time.monotonic()
    with _temporary() as work:
        site = work / "python"
        _install(requirements, site)
        _slim(site)
        _compile(work, report)
        size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
        _zip(_files(work), target)
    report(
        f"  レイヤー / layer {target.name}: {target.stat().st_size / 1e6:.1f} MB ({size / 1e6:.0f} MB 展開後 / unzipped, "
        f"{time.monotonic() - started:.1f} s)"
    )
    return size


def _install(requirements: Path, site: Path) -> None:
    # Hashes are checked and nothing is built: a source package here would be compiled for this machine, not for Lambda.
    options = ["--python-version", _PYTHON, "--python-platform", _PLATFORM, "--only-binary", ":all:", "--no-deps"]
    answer = _uv("pip", "install", "--quiet", "--target", str(site), *options, "--require-hashes", "-r", str(requirements))
    if answer.returncode:
        last = _sentence(answer.stderr)
        raise PackageError(f"{RUNTIME} 用の依存パッケージを揃えられません / cannot gather wheels for {RUNTIME}: {last}")


def _uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise PackageError("uv がありません。make を一度実行してください / uv is missing: run make once, it installs it.")
    return subprocess.run(  # noqa: S603 - the uv of our environment
        [uv, *arguments], env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"}, capture_output=True, text=True, check=False
    )


def _sentence(text: str) -> str:
    """Return the first telling line of uv's message, without the address of the index it came from."""
    lines = [line.strip(" ×╰─▶hint:") for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "://" not in line), "see uv's output")


def _slim(site: Path) -> None:
    data = site / "botocore" / "data"
    for path in list(data.iterdir()) if data.exists() else []:
        if path.is_dir() and path.name not in _SERVICES:
            shutil.rmtree(path)
    for path in sorted(site.rglob("*"), reverse=True):
        if path.is_dir() and path.name in _NOT_SHIPPED and "botocore" not in path.parts:
            shutil.rmtree(path)
    for pattern in (
        "*.pyi",
        "*.dist-info/RECORD",
        "*.dist-info/INSTALLER",
        "*.dist-info/REQUESTED",
        "*.dist-info/direct_url.json",
    ):
        for path in site.rglob(pattern):
            path.unlink()
    _slim_pillow(site)


def _slim_pillow(site: Path) -> None:
    """Drop Pillow's codecs for formats that no page of ours reads: AVIF alone is 6 MB."""
    for pattern in ("PIL/_avif*", "PIL/_webp*", "PIL/_imagingtk*"):
        for path in site.glob(pattern):
            path.unlink()
    for name in ("libavif", "libwebp"):  # not libxcb: PIL._imaging itself is linked with it
        for path in (site / "pillow.libs").glob(f"{name}*"):
            path.unlink()


def _compile(tree: Path, report: Report) -> None:
    """Add compiled files when the right Python is at hand: without them a cold start compiles for half a second (measured)."""
    python = _interpreter()
    if python is None:
        report(f"  {RUNTIME} がないため .pyc は入れません（動作は同じ）/ no {RUNTIME} here: the layer ships without compiled files")
        return
    # Unchecked, because the zip's dates are not the files'. A few packages carry a file for Python 2 that cannot compile.
    options = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(tree)]
    subprocess.run([python, "-W", "ignore", "-m", "compileall", *options, str(tree)], capture_output=True, check=False)  # noqa: S603


def _interpreter() -> str | None:
    """Return a Python of the runtime's minor version: ours, uv's, or one that pyenv keeps without having it on the PATH."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == _PYTHON:
        return sys.executable
    found = _uv("python", "find", "--no-project", _PYTHON)
    if found.returncode == 0:
        return found.stdout.strip()
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return next((str(path) for path in sorted(versions.glob(f"{_PYTHON}.*/bin/python"), reverse=True)), None)


def _files(base: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(base.rglob("*")):
        if path.is_file():
            yield path.relative_to(base).as_posix(), path.read_bytes()


def _finish_code(source: Path, target: Path, *, compiled: bool, report: Report) -> None:
    """Write Chalice's zip again in one order and with one date, so that its hash tells whether the code changed."""
    with _temporary() as work, zipfile.ZipFile(source) as zipped:
        zipped.extractall(work)
        if compiled:
            _compile(work, report)
        _zip(_files(work), target)


def _zip(files: Iterable[tuple[str, bytes]] | dict[str, bytes], target: Path) -> None:
    pairs = files.items() if isinstance(files, dict) else files
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as zipped:
        for name, content in pairs:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, content)


def main() -> None:
    """Package to the directory named on the command line."""
    parser = argparse.ArgumentParser(description="Make the bundle that is deployed.")
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "out")
    parser.add_argument("--stub-layer", action="store_true", help="leave the dependencies out (local run)")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        package(options.out, layer=not options.stub_layer)
    except PackageError as error:
        sys.exit(str(error))
    print(f"  {options.out}: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
