"""The rows that a change found: what the changed rows of a silver table said when another was last made of it.

An event may be told again with another order, visitor or moment. The table has its newest word alone; what the old one
belonged to is found in the version that was read then, which Delta keeps for a while.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.lake.maintenance import KEEP_REPLACED
from data_platform.lake.merge import FEW
from data_platform.lake.reading import Wanted, read, wanted_of
from data_platform.lake.tables import LakeTable, Note

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from data_platform.declarations import SourceTable
    from data_platform.silver.joined import Joined


class NotKept(Exception):
    """The version is not there any more, or not for sure: what it held can only be told by making all anew."""


def rows_before(
    spark: "SparkSession", table: LakeTable, source: "SourceTable | Joined", batch: int, changed: DataFrame
) -> DataFrame | None:
    """Those live rows of the table at `batch` that `changed` has a newer version of; None where all of it is new."""
    if batch == 0 or table.delta is None:
        return None
    then = table.at(_version_at(table, batch))
    count = _changed_since(table, batch)
    if table.rows - then.rows == count:
        return None
    key = list(source.silver_key)
    wanted = _plain_keys_since(table, source, batch) if count <= FEW else {}
    held = read(spark, then, wanted=wanted).where(~F.col("is_deleted"))
    return held.join(F.broadcast(changed.select(*key).distinct()), key, "left_semi")


def _version_at(table: LakeTable, batch: int) -> int:
    """The newest version that holds this batch and none after it."""
    followed_at = None
    for commit in table.commits():
        note = Note.from_commit(commit)
        if note is not None and note.batch == batch:
            if followed_at is not None and datetime.now(UTC) - followed_at >= KEEP_REPLACED:
                break
            return int(commit["version"])
        if note is not None and note.batch is not None and note.batch < batch:
            break
        followed_at = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
    raise NotKept(f"{table.uri} at batch {batch}")


def _changed_since(table: LakeTable, batch: int) -> int:
    return int(table.query(f"select count(*) as n from held where _batch > {batch}").column("n")[0].as_py())


def _plain_keys_since(table: LakeTable, source: "SourceTable | Joined", batch: int) -> Wanted:
    if not source.plain_key:
        return {}
    listed = ", ".join(f'"{name}"' for name in source.plain_key)
    return wanted_of(table.query(f"select {listed} from held where _batch > {batch}"))
