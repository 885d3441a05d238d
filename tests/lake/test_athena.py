"""What Athena reads is what the manifest names."""

from chalicelib.lake.athena import write_links
from chalicelib.lake.manifest import load
from chalicelib.lake.model import BASE
from tests.fakes.outside import FakeFiles
from tests.lake.base_files import put_lake


def links(files: FakeFiles, table: str) -> list[str]:
    return files.kept[f"lake/athena/{table}/symlink.txt"].decode().splitlines()


def test_athena_reads_the_files_of_the_newest_manifest_and_no_others() -> None:
    files = FakeFiles()
    write_links(files, "bucket")
    assert files.kept == {}
    for generation in (1, 2):
        put_lake(files, {"customer": [{"cid": generation}]})
        write_links(files, "bucket")
        assert links(files, "customer") == [f"s3://bucket/{load(files)[0].base['customer'][0]}"]
        assert all(links(files, table) == [] for table in BASE if table != "customer")


def test_nothing_is_written_while_the_lake_stays_as_it_is() -> None:
    files = FakeFiles()
    put_lake(files, {"customer": [{"cid": 1}]})
    write_links(files, "bucket")
    del files.kept["lake/athena/customer/symlink.txt"]
    write_links(files, "bucket")
    assert "lake/athena/customer/symlink.txt" not in files.kept
