"""Runs Chalice's packager over a staged copy of the product, in a process of its own: `python -m infra.chalice_package IN OUT`.

Its own process, because Chalice imports app.py and keeps it imported, and because Chalice takes the runtime from the Python
that runs it and offers no setting for that (chalice.config.Config.lambda_python_version).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import chalice.cli.factory
import chalice.config

RUNTIME = "python3.13"
STAGE = "aws"


class FixedRuntimeConfig(chalice.config.Config):
    """Chalice's configuration with one runtime, whatever Python packages."""

    @property
    def lambda_python_version(self) -> str:
        """Return the runtime of every function and of the layer."""
        return RUNTIME


def main() -> None:
    """Write sam.yaml and the zips of the staged project to the output directory."""
    staged, out = sys.argv[1], sys.argv[2]
    # Chalice imports app.py, and table names are settings; the values reach neither template nor code.
    stages = json.loads((Path(staged) / ".chalice" / "config.json").read_text(encoding="utf-8"))["stages"]
    os.environ.update(stages["test"]["environment_variables"])
    # Chalice asks for a region before it writes a template, though nothing in ours depends on it.
    os.environ.setdefault("AWS_DEFAULT_REGION", "ap-northeast-1")
    factory_module: Any = chalice.cli.factory
    factory_module.Config = FixedRuntimeConfig
    factory = factory_module.CLIFactory(staged)
    config = factory.create_config_obj(STAGE)
    packager = factory.create_app_packager(
        config, factory.create_package_options(), "cloudformation", "yaml", str(Path(staged) / "infra" / "resources.yaml")
    )
    packager.package_app(config, out, STAGE)


if __name__ == "__main__":
    main()
