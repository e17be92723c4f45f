"""Every lake table as a catalogue is to show it: where it is, and what its columns are about, from the declarations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from data_platform.declarations import SourceTable
from data_platform.described import InSilver
from data_platform.lake.tables import Lake, LakeTable

# The platform's own columns, in whichever layer they stand.
PLATFORM_COLUMNS: Mapping[str, str] = {
    "_batch": "The commit that the row came with; it only grows.",
    "_landed_at": "When the row was written to bronze.",
    "_landed_on": "The day of _landed_at, UTC; the table is partitioned by it.",
    "_op": "upsert or delete.",
    "_order": "The row's place in its source's own order.",
    "_origin": "Where the row was at its source.",
    "_rescued": "JSON of values that are not declared or did not fit their type.",
    "_source_batch": "The bronze batch that the row came from.",
    "_warnings": "The rules of severity WARN that the row breaks.",
    "_reasons": "The rules of severity ERROR that the row breaks.",
    "_reason": "Why the record could not be decoded.",
    "_body": "The record as it came.",
    "is_deleted": "The row is gone at its source; what it was last is kept.",
}
# Each may hold any value of the row.
ANY_VALUE = ("_rescued", "_body")


class Described(Protocol):
    """What is known of a column."""

    @property
    def description(self) -> str: ...

    @property
    def classification(self) -> str: ...


class InGold(Protocol):
    """A table of gold that is in the lake too."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def owners(self) -> Sequence[str]: ...

    @property
    def columns(self) -> Mapping[str, Described]: ...

    @property
    def path(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Catalogued:
    """One table of the lake. `asset` is the asset whose step writes it; `columns` are described, by their name here."""

    layer: str
    name: str
    held: LakeTable
    asset: tuple[str, ...]
    description: str
    owner: str
    restricted: bool
    columns: Mapping[str, Described]

    def comment(self, column: str) -> str:
        declared = self.columns.get(column)
        return declared.description if declared else PLATFORM_COLUMNS.get(column, "")

    def classification(self, column: str) -> str:
        if declared := self.columns.get(column):
            return declared.classification
        is_personal = column in ANY_VALUE and any(
            each.classification.startswith("personal") for each in self.columns.values()
        )
        return "personal:any" if is_personal else "internal"


def catalogued(
    sources: Sequence[SourceTable], joined: Sequence[InSilver], gold: Sequence[InGold], lake: Lake
) -> list[Catalogued]:
    """All tables that there can be; those that were never written are among them."""
    return [
        *(table for source in sources for table in _of_source(source, lake)),
        *(_of_joined(table, lake) for table in joined),
        *(_of_gold(table, lake) for table in gold),
        Catalogued(
            *("quality", "scores"),
            lake.scores(),
            ("quality", "scores"),
            "How good the tables were, each time that it was measured.",
            "team:data-platform",
            restricted=False,
            columns={},
        ),
    ]


def _of_source(source: SourceTable, lake: Lake) -> Iterator[Catalogued]:
    bronze = {column.name: column for column in source.columns}
    silver = {column.silver_name: column for column in source.columns if column.silver_name}
    name, refined = source.silver_name, ("silver", source.silver_name)
    for layer, table, held, asset, about, columns in (
        ("bronze", name, lake.bronze(source), source.asset_path, "Every version that was seen.", bronze),
        ("silver", name, lake.silver(name), refined, "One row per key: its newest version.", silver),
        (
            "quarantine",
            name,
            lake.quarantine(source),
            source.asset_path,
            "Records that could not be decoded.",
            bronze,
        ),
        (
            "quarantine",
            f"silver_{name}",
            lake.silver_quarantine(name),
            refined,
            "Rows that broke a rule on their way to silver.",
            silver,
        ),
    ):
        yield Catalogued(
            layer,
            table,
            held,
            asset,
            f"{source.description} {about}",
            source.owner,
            source.restricted,
            columns,
        )


def _of_joined(table: InSilver, lake: Lake) -> Catalogued:
    return Catalogued(
        "silver",
        table.silver_name,
        lake.silver(table.silver_name),
        ("silver", table.silver_name),
        table.description,
        table.owner,
        table.restricted,
        {column.name: column for column in table.columns},
    )


def _of_gold(table: InGold, lake: Lake) -> Catalogued:
    return Catalogued(
        "gold",
        table.name,
        lake.at("gold", table.name),
        table.path,
        table.description,
        ", ".join(table.owners),
        any(column.classification != "internal" for column in table.columns.values()),
        table.columns,
    )
