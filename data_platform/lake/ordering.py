"""The order in which a partition's rows lie: by their keys, so that a question about one key opens few files.

Several columns take turns, bit by bit (a Z-order), so that each of them counts. The place of a value in its column is
told by a sample of that column. Memory holds the rows of one file; what waits is on the local disk.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_platform.lake.compaction import Live, folder_of, replace, rows_of
from data_platform.lake.files import ROW_GROUP_ROWS, Folder
from data_platform.lake.tables import LakeTable

FILE_ROWS = 1_000_000
SAMPLED = 65_536
# The files' own name says that their rows lie in order: there is nothing more to do about them.
ORDERED = "ordered"

Places = npt.NDArray[np.uint64]


def is_ordered(files: Sequence[Live]) -> bool:
    return all(file.path.rsplit("/", 1)[-1].startswith(ORDERED) for file in files)


def reorder(table: LakeTable, files: Sequence[Live], by: Sequence[str]) -> None:
    """The rows of these files of one partition, in files that each hold a stretch of the order."""
    folder = folder_of(table)
    with tempfile.TemporaryDirectory(prefix="ordering-") as waiting:
        replace(table, folder, files, _ordered(folder, files, by, Path(waiting)), ORDERED)


def _ordered(
    folder: Folder, files: Sequence[Live], by: Sequence[str], waiting: Path
) -> Iterator[Iterator[pa.Table]]:
    order = _Order(_sample(folder, files, by), by)
    stretches = max(1, round(sum(file.rows for file in files) / FILE_ROWS))
    for stretch in _spread(rows_of(folder, files), order, stretches, waiting):
        with pa.memory_map(str(stretch)) as source:
            rows = pa.ipc.open_stream(source).read_all()
            yield _in_groups(order.sorted(rows))


def _in_groups(rows: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, rows.num_rows, ROW_GROUP_ROWS):
        yield rows.slice(start, ROW_GROUP_ROWS)


def _sample(folder: Folder, files: Sequence[Live], by: Sequence[str]) -> pa.Table:
    """Every so many rows, the columns that they are ordered by."""
    every = max(1, sum(file.rows for file in files) // SAMPLED)
    return pa.concat_tables(
        rows.take(pa.array(range(0, rows.num_rows, every))) for rows in rows_of(folder, files, by)
    )


def _spread(rows: Iterator[pa.Table], order: "_Order", stretches: int, waiting: Path) -> list[Path]:
    """The rows of each stretch of the order in a file of its own; those without rows are left out."""
    ends = order.ends(stretches)
    found: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
    with ExitStack() as open_files:
        for some in rows:
            stretch = np.searchsorted(ends, order.places(some), side="right")
            for number in np.unique(stretch):
                if number not in found:
                    found[number] = open_files.enter_context(
                        pa.ipc.new_stream(str(waiting / f"{number:06d}"), some.schema)
                    )
                found[number].write_table(some.filter(pa.array(stretch == number)))
    return sorted(waiting.iterdir())


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
