"""Rows of one table by a query, in the order of some columns, some at a time and in the declared types."""

from collections.abc import Collection, Iterator, Sequence

from data_platform.connectors.ahead import read_ahead, worked_ahead
from data_platform.connectors.postgres.described import Described, qualified
from data_platform.connectors.postgres.session import Columnar, literal, quoted
from data_platform.connectors.postgres.values import Reading
from data_platform.connectors.records import Rows


def read_rows(
    session: Columnar,
    described: Described,
    condition: str,
    order: Sequence[str] = (),
    only: Sequence[str] | None = None,
    checked: Collection[str] = (),
) -> Iterator[Rows]:
    """What answers the condition is fetched and made into rows while the rows before are being written."""
    reading = Reading(described, only, checked)
    question = f"select {reading.select} from {qualified(described.table)} where {condition}"
    if order:
        question += f" order by {', '.join(map(quoted, order))}"
    batches = (batch for batch in session.batches(question) if batch.num_rows)
    return worked_ahead(reading.rows, read_ahead(batches))


def beyond(columns: Sequence[str], values: Sequence[object]) -> str:
    """The rows that follow the given place in the order of the columns."""
    return f"({', '.join(map(quoted, columns))}) > ({', '.join(map(literal, values))})"
