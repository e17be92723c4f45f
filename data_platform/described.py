"""What Dagster shows of a table, said once for all layers: columns, owners, lineage, and errors in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import dagster as dg

from data_platform.connectors.base import SourceError
from data_platform.declarations import Column, Rule, SourceTable
from data_platform.lake.errors import LakeError

# Errors that waiting does not mend are refused a retry where they are raised; this is for the others.
RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

# The group of what is only asked for and never due; jobs that take all assets leave it out.
ON_REQUEST = "days_again"


class InSilver(Protocol):
    """A table of silver, declared or made of others."""

    @property
    def silver_name(self) -> str: ...
    @property
    def silver_key(self) -> tuple[str, ...]: ...
    @property
    def description(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def columns(self) -> tuple[Column, ...]: ...
    @property
    def rules(self) -> tuple[Rule, ...]: ...
    @property
    def restricted(self) -> bool: ...


def bronze_key(table: SourceTable) -> dg.AssetKey:
    return dg.AssetKey(list(table.asset_path))


def silver_key(table: InSilver) -> dg.AssetKey:
    return dg.AssetKey(["silver", table.silver_name])


def column_schema(columns: dict[str, Column]) -> dg.TableSchema:
    """The columns by the name that they have in this layer."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                str(column.type),
                description=column.description or None,
                tags={"classification": column.classification.replace(":", "_").replace(" ", "_")},
                constraints=dg.TableColumnConstraints(nullable=not column.required),
            )
            for name, column in columns.items()
        ]
    )


def tags_of(table: SourceTable) -> dict[str, str]:
    return {
        "system": table.system,
        "restricted": str(table.restricted).lower(),
        "every": table.every.name.lower(),
    }


def column_lineage(table: SourceTable) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            column.silver_name: [dg.TableColumnDep(asset_key=bronze_key(table), column_name=column.name)]
            for column in table.columns
            if column.silver_name
        }
    )


@contextmanager
def failing_plainly(doing: str) -> Iterator[None]:
    """An error that we foresaw ends the step with its own words and no retry: it has been retried where that helps."""
    try:
        yield
    except (SourceError, LakeError) as error:
        raise dg.Failure(f"{doing}: {error}", allow_retries=False) from None
