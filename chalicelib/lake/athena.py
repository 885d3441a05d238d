"""The lake for Athena: for each table a list of the files that the manifest names, so that nobody reads what has been folded.

infra/resources.yaml declares the tables over these lists (Hive's SymlinkTextInputFormat); docs/data.md tells how to ask.
"""

from __future__ import annotations

from chalicelib.lake.manifest import Manifest
from chalicelib.lake.model import BASE, LAKE
from chalicelib.ports.files import Files

LINKS = f"{LAKE}athena/"
_TEXT = "text/plain"


def write_links(files: Files, bucket: str, manifest: Manifest) -> None:
    """Let Athena read the files of a manifest and no others; the same when repeated."""
    for table in BASE:
        links = "".join(f"s3://{bucket}/{key}\n" for key in manifest.base.get(table, ()))
        files.put(f"{LINKS}{table}/symlink.txt", links.encode(), _TEXT)
