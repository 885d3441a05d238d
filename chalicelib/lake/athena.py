"""The lake for Athena: for each table a list of the files that the manifest names, so that nobody reads what has been folded.

infra/resources.yaml declares the tables over these lists (Hive's SymlinkTextInputFormat); docs/data.md tells how to ask.
"""

from __future__ import annotations

from chalicelib.lake import manifest as manifests
from chalicelib.lake.model import BASE, LAKE
from chalicelib.ports.files import Files

LINKS = f"{LAKE}athena/"
_GENERATION = f"{LINKS}generation"
_TEXT = "text/plain"


def write_links(files: Files, bucket: str) -> None:
    """Let Athena read the files of the newest manifest and no others; nothing when it does already."""
    manifest, tag = manifests.load(files)
    generation = str(manifest.generation).encode()
    if not tag or files.get(_GENERATION) == generation:
        return
    for table in BASE:
        links = "".join(f"s3://{bucket}/{key}\n" for key in manifest.base.get(table, ()))
        files.put(f"{LINKS}{table}/symlink.txt", links.encode(), _TEXT)
    files.put(_GENERATION, generation, _TEXT)
