"""The order in which a partition's rows lie: by their keys, so that a question about one key opens few files.

Several columns take turns, bit by bit (a Z-order), so that each of them counts. The place of a value in its column is
told by a sample of that column. Memory holds the rows of one file; what waits is on the local disk.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.lake.compaction import Live, folder_of, replace, rows_of
from data_platform.lake.files import ROW_GROUP_ROWS, Folder
from data_platform.lake.tables import LakeTable

# Whichever is less; in memory the rows of a file are several times its size.
FILE_ROWS, FILE_BYTES = 1_000_000, 64 * 1024 * 1024
SAMPLED = 65_536
# The files' own name says that their rows lie in order: there is nothing more to do about them.
ORDERED = "ordered"

Places = npt.NDArray[np.uint64]


def is_ordered(files: Sequence[Live]) -> bool:
    return all(file.path.rsplit("/", 1)[-1].startswith(ORDERED) for file in files)


def reorder(table: LakeTable, files: Sequence[Live], by: Sequence[str]) -> None:
    """The rows of these files of one partition, in files that each hold a stretch of the order."""
    folder = folder_of(table)
    replace(table, folder, files, _ordered(folder, files, by), ORDERED)


def _ordered(folder: Folder, files: Sequence[Live], by: Sequence[str]) -> Iterator[Iterator[pa.Table]]:
    order = _Order(_sample(folder, files, by), by)
    rows, size = sum(file.rows for file in files), sum(file.size for file in files)
    stretches = max(1, round(rows / FILE_ROWS), round(size / FILE_BYTES))
    for stretch in _stretches(rows_of(folder, files), order, stretches):
        yield _in_groups(order.sorted(stretch))


def _in_groups(rows: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, rows.num_rows, ROW_GROUP_ROWS):
        yield rows.slice(start, ROW_GROUP_ROWS)


def _sample(folder: Folder, files: Sequence[Live], by: Sequence[str]) -> pa.Table:
    """Every so many rows, the columns that they are ordered by."""
    every = max(1, sum(file.rows for file in files) // SAMPLED)
    return pa.concat_tables(
        rows.take(pa.array(range(0, rows.num_rows, every))) for rows in rows_of(folder, files, by)
    )


class _Waiting:
    """The rows of a stretch, on the local disk in a file without a name: where the process is killed, it is gone."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = file
        self._writer = pa.ipc.new_stream(file, schema)

    def write(self, rows: pa.Table) -> None:
        self._writer.write_table(rows)

    def read(self) -> pa.Table:
        self._writer.close()
        self._file.seek(0)
        return pa.ipc.open_stream(self._file).read_all()


def _stretches(rows: Iterator[pa.Table], order: "_Order", stretches: int) -> Iterator[pa.Table]:
    """The rows of each stretch of the order, one after the other; those without rows are left out."""
    ends = order.ends(stretches)
    found: dict[int, _Waiting] = {}
    with ExitStack() as open_files:
        for some in rows:
            stretch = np.searchsorted(ends, order.places(some), side="right")
            for number in np.unique(stretch):
                if number not in found:
                    found[number] = _Waiting(open_files.enter_context(TemporaryFile()), some.schema)
                found[number].write(some.filter(pa.array(stretch == number)))
        for number in sorted(found):
            yield found[number].read()


class _Order:
    """Where a row lies, by its place in each of some columns."""

    def __init__(self, sample: pa.Table, by: Sequence[str]) -> None:
        self.by = by
        self.bits = min(16, 63 // len(by))
        self.sample = sample
        ticks = {name: pc.sort_indices(sample.column(name)) for name in by}
        # One place more than there are ticks has to be told by as many bits.
        step = -(-sample.num_rows // ((1 << self.bits) - 1))
        self.ticks = {
            name: sample.column(name).take(order[::step]).combine_chunks() for name, order in ticks.items()
        }

    def places(self, rows: pa.Table) -> Places:
        """The columns' places, with bits that take turns."""
        place = np.zeros(rows.num_rows, np.uint64)
        for turn, name in enumerate(self.by):
            column = _place(self.ticks[name], rows.column(name).combine_chunks())
            for bit in range(self.bits):
                place |= ((column >> np.uint64(bit)) & np.uint64(1)) << np.uint64(
                    bit * len(self.by) + len(self.by) - 1 - turn
                )
        return place

    def ends(self, stretches: int) -> Places:
        """Where one stretch ends and the next begins, for stretches of about as many rows."""
        places = np.sort(self.places(self.sample))
        return places[[len(places) * number // stretches for number in range(1, stretches)]]

    def sorted(self, rows: pa.Table) -> pa.Table:
        keyed = pa.table(
            {"place": self.places(rows), **{str(n): rows.column(c) for n, c in enumerate(self.by)}}
        )
        return rows.take(pc.sort_indices(keyed, [(name, "ascending") for name in keyed.column_names]))


def _place(ticks: pa.Array, values: pa.Array) -> Places:
    """How many of the ticks each value has reached."""
    order = pc.array_sort_indices(pa.concat_arrays([ticks, values]), null_placement="at_start").to_numpy()
    is_tick = order < len(ticks)
    reached = np.cumsum(is_tick).astype(np.uint64)
    places = np.empty(len(values), np.uint64)
    places[order[~is_tick] - len(ticks)] = reached[~is_tick]
    return places
