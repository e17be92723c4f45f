"""Where storage fails, an error names the table and the next step, and what was committed stays."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from data_platform.lake.append import Appender
from data_platform.lake.errors import LakeError
from data_platform.lake.maintenance import tend
from data_platform.lake.tables import Lake, LakeTable, Note

SCHEMA = pa.schema([("Id", pa.string()), ("Email", pa.string()), ("_batch", pa.int64())])
NOBODY = 65534


def people_in(lake: Lake) -> LakeTable:
    return lake.at("bronze", "crm", "people").create(SCHEMA, ("Id", "_batch"))


def land(table: LakeTable, count: int, reached: int) -> None:
    """Rows that don't compress, a kilobyte each; what fails is discarded, as a load does."""
    appender = Appender(table.fresh())
    try:
        for _ in range(count):
            row = {"Id": [os.urandom(8).hex()], "Email": [os.urandom(1024).hex()]}
            appender.write(pa.RecordBatch.from_pydict(row))
        appender.commit(Note({"reached": reached}))
    except BaseException:
        appender.discard()
        raise


@pytest.fixture
def people(lake):
    table = people_in(lake)
    land(table, 3, reached=1)
    return table.fresh()


def test_a_corrupt_log_is_told_with_the_table_and_where_to_look(people):
    log = Path(people.uri, "_delta_log")
    newest = max(log.glob("*.json"))
    whole = newest.read_text()
    newest.write_text(whole[: len(whole) // 2])
    said = rf"reading {people.uri} failed: its Delta log can't be read: .* _delta_log; docs/operations.md"
    with pytest.raises(LakeError, match=said):
        _ = people.fresh().rows
    newest.write_text(whole)
    assert (people.fresh().rows, dict(people.fresh().position)) == (3, {"reached": 1})


def test_a_data_file_that_is_gone_is_told_with_the_table(people):
    for file in Path(people.uri).glob("*.parquet"):
        file.unlink()
    with pytest.raises(LakeError, match=f"querying {people.uri} failed: a file that its log names is gone"):
        people.fresh().query('select "Id" from held')


def test_a_file_where_the_lake_should_be_is_told(tmp_path):
    (tmp_path / "lake").write_text("not a folder")
    with pytest.raises(LakeError, match=r"creating .*/people failed: a file stands where a folder should be"):
        people_in(Lake(str(tmp_path / "lake")))


@pytest.fixture
def powerless(people: LakeTable) -> Iterator[LakeTable]:
    """The table's folder, readable and not writable by who runs the test; root becomes nobody for as long."""
    folders = [Path(people.uri), Path(people.uri, "_delta_log")]
    above = [each for each in folders[0].parents if each.stat().st_uid == os.geteuid() and each != Path("/")]
    modes = {each: each.stat().st_mode for each in [*folders, *above]}
    for each in folders:
        each.chmod(0o555)
    for each in above:
        each.chmod(modes[each] | 0o055)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield people
    finally:
        if is_root:
            os.seteuid(0)
        for each, mode in modes.items():
            each.chmod(mode)


def test_a_folder_that_cannot_be_written_is_told_with_the_table_and_what_to_do(powerless):
    said = rf"{powerless.uri} failed: the folder can't be written by this user: give it the right to, or set LAKE_URI"
    with pytest.raises(LakeError, match=f"(writing|committing) to {said}"):
        land(powerless, 1, reached=2)
    with pytest.raises(LakeError, match=f"setting the position of {said}"):
        powerless.fresh().set_position({"reached": 9})
    with pytest.raises(LakeError, match=f"tending {said}"):
        tend(powerless.fresh())
    assert (powerless.fresh().rows, dict(powerless.fresh().position)) == (3, {"reached": 1})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, which only root can mount, and not in every container."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("a small file system can be mounted by root alone")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("rows", [1_500, 15_000])
def test_a_full_disk_is_told_and_loading_goes_on_when_there_is_room(small_disk, monkeypatch, rows):
    monkeypatch.setattr("data_platform.lake.append.ROW_GROUP_ROWS", 500)
    people = people_in(Lake(str(small_disk)))
    land(people, 10, reached=1)
    said = rf"to {people.uri} failed: the disk is full: free some space and run the step again"
    with pytest.raises(LakeError, match=said):
        land(people, rows, reached=2)
    assert (people.fresh().rows, dict(people.fresh().position)) == (10, {"reached": 1})
    land(people, 10, reached=2)
    assert (people.fresh().rows, dict(people.fresh().position)) == (20, {"reached": 2})


def test_a_disk_too_full_for_a_commit_is_told(small_disk):
    people = people_in(Lake(str(small_disk)))
    land(people, 10, reached=1)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"\0" * 4096)
    with pytest.raises(LakeError, match=r"people failed: the disk is full"):
        people.fresh().set_position({"reached": 2})
    ballast.unlink()
    assert (people.fresh().rows, dict(people.fresh().position)) == (10, {"reached": 1})


def test_no_row_is_quoted_in_an_error(small_disk):
    people = people_in(Lake(str(small_disk)))
    appender = Appender(people)
    appender.write(
        pa.RecordBatch.from_pydict(
            {
                "Id": [str(n) for n in range(5_000)],
                "Email": [f"ann{os.urandom(256).hex()}" for _ in range(5_000)],
            }
        )
    )
    with pytest.raises(LakeError) as told:
        appender.commit(Note({}))
    appender.discard()
    assert not re.search(r"ann[0-9a-f]{8}", str(told.value))


def test_a_file_in_the_place_of_a_table_that_was_there_is_told(people):
    folder = Path(people.uri)
    aside = folder.rename(folder.with_name("aside"))
    folder.touch()
    with pytest.raises(
        LakeError, match=rf"reading {people.uri} failed: a file stands where a folder should be"
    ):
        _ = people.fresh().rows
    folder.unlink()
    aside.rename(folder)
    assert (people.fresh().rows, dict(people.fresh().position)) == (3, {"reached": 1})
