"""Gold in the lake: each table of gold as a Delta table at `<lake>/gold/<model>`, for Athena, Spark and others.

It is taken from the file that analysts open, so it is a state after a build that went well. Of a table the stretches
of rows are written that hold something else than when it was written last, in one commit; none where its content is
the same, in whatever order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from data_platform.described import failing_plainly
from data_platform.gold.library import get_manifest_and_translator_from_dbt_assets
from data_platform.lake.files import ROW_GROUP_ROWS
from data_platform.lake.mirror import Shape, Stretch, bring_up, is_like
from data_platform.lake.places import lake_of
from data_platform.lake.tables import Lake, LakeTable, Note
from data_platform.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB keeps so many rows together, and reads them without the others.
STRETCH_ROWS = 122_880


@dataclass(frozen=True)
class ModelColumn:
    """What dbt's manifest says of a column."""

    description: str
    classification: str


@dataclass(frozen=True)
class Model:
    """A table of gold."""

    name: str
    schema: str
    description: str
    owners: tuple[str, ...]
    columns: Mapping[str, ModelColumn]

    @property
    def place(self) -> str:
        return f'"{self.schema}"."{self.name}"'

    @property
    def path(self) -> tuple[str, ...]:
        return ("lake", "gold", self.name)

    @property
    def key(self) -> dg.AssetKey:
        return dg.AssetKey(self.path)

    @property
    def stats(self) -> tuple[str, ...]:
        """Those columns of which the log may keep the least and the greatest value: what it says of a person could not
        be erased."""
        return tuple(
            name for name, each in self.columns.items() if not each.classification.startswith("personal")
        )


@dataclass(frozen=True)
class Published:
    """What became of a table: its rows, those of them that were written, and the fingerprint of its content."""

    rows: int
    written: int
    fingerprint: str
    is_new: bool


def publish(model: Model, gold: "DuckDBPyConnection", lake: Lake) -> Published:
    """Bring the lake's table up to gold's. Killed anywhere, it holds the state before or the state after."""
    table = lake.at("gold", model.name)
    stretches, whole = _stretches(model, gold)
    rows = sum(stretch.rows for stretch in stretches)
    shape = Shape(_answer(gold, f"from {model.place} limit 0").schema, model.stats, model.description)
    if is_like(table, shape) and (table.position or {}).get("content") == whole:
        return Published(rows, 0, whole, is_new=False)
    note = _note(model, shape, gold, whole)
    written = bring_up(table, shape, stretches, lambda stretch: _rows_of(stretch, model, gold), note)
    return Published(rows, written, whole, is_new=True)


def _stretches(model: Model, gold: "DuckDBPyConnection") -> tuple[list[Stretch], str]:
    """The stretches that have rows, in their order, and the fingerprint of all of them together."""
    found = gold.execute(
        f"select number, count(*), bit_xor(hash(each)), sum(hash(each) >> 8) "
        f"from (select rowid // {STRETCH_ROWS} as number, held as each from {model.place} as held) "
        f"group by number order by number"
    ).fetchall()
    parts = {number: (rows, mixed, int(summed)) for number, rows, mixed, summed in found}
    stretches = [Stretch(number, part[0], _fingerprint(part)) for number, part in parts.items()]
    return stretches, _fingerprint(*parts.values())


def _fingerprint(*parts: tuple[int, int, int]) -> str:
    """The number of rows, and sums over all values that do not depend on the rows' order."""
    rows, mixed, summed = ([part[place] for part in parts] for place in range(3))
    return f"{sum(rows)}-{reduce(xor, mixed, 0):x}-{sum(summed):x}"


def _rows_of(stretch: Stretch, model: Model, gold: "DuckDBPyConnection") -> pa.RecordBatchReader:
    first = stretch.number * STRETCH_ROWS
    return _answer(gold, f"from {model.place} where rowid between {first} and {first + STRETCH_ROWS - 1}")


def _answer(gold: "DuckDBPyConnection", sql: str) -> pa.RecordBatchReader:
    return gold.execute(sql).to_arrow_reader(ROW_GROUP_ROWS)


def _note(model: Model, shape: Shape, gold: "DuckDBPyConnection", content: str) -> Note:
    """What was written, and the batch of silver that the model had reached, where it keeps one."""
    if "_batch" not in shape.schema.names:
        return Note({"content": content})
    reached = gold.execute(f"select coalesce(max(_batch), -1) from {model.place}").fetchone()
    return Note({"content": content, "batch": int(reached[0]) if reached else -1})


def models_of(manifest: Mapping[str, Any]) -> list[Model]:
    return [
        Model(
            node["name"],
            node["schema"],
            " ".join(node["description"].split()),
            tuple(node["config"].get("meta", {}).get("dagster", {}).get("owners", ())),
            {name: _column(said) for name, said in node["columns"].items()},
        )
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] in ("table", "incremental")
    ]


def _column(said: Mapping[str, Any]) -> ModelColumn:
    meta = said.get("config", {}).get("meta", {})
    return ModelColumn(" ".join(said.get("description", "").split()), meta.get("classification", "internal"))


def published_models(gold: dg.AssetsDefinition, settings: Settings) -> list[Model]:
    """Gold's tables that are in the lake too: none of a gold that is built in another database."""
    if settings.warehouse != "duckdb":
        return []
    manifest, _, _ = get_manifest_and_translator_from_dbt_assets([gold])
    return models_of(manifest)


def published_assets(
    published: Sequence[Model],
    settings: Settings,
    automation_condition: dg.AutomationCondition[Any] | None = None,
) -> list[dg.AssetsDefinition]:
    """One step for all of them."""
    if not published:
        return []
    models = {model.key: model for model in published}

    @dg.multi_asset(
        name="gold_in_the_lake",
        specs=[
            dg.AssetSpec(
                model.key,
                deps=[dg.AssetKey(["gold", model.name])],
                description=f"{model.description} As a Delta table.",
                group_name="lake_gold",
                kinds={"delta"},
                owners=model.owners,
                automation_condition=automation_condition,
            )
            for model in models.values()
        ],
        can_subset=True,
        pool="lake_gold",
    )
    def gold_in_the_lake(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        wanted = [models[key] for key in models if key in context.selected_asset_keys]
        with failing_plainly("gold was not published to the lake"):
            for model, published in _published(wanted, settings):
                context.log.info("%s: %s rows, %s", model.name, f"{published.rows:,}", _told(published))
                yield dg.MaterializeResult(
                    asset_key=model.key,
                    data_version=dg.DataVersion(published.fingerprint),
                    metadata={
                        "dagster/row_count": published.rows,
                        "dagster/uri": _table_of(model, settings).uri,
                        "rows_written": published.written,
                    },
                )

    return [gold_in_the_lake]


def _told(published: Published) -> str:
    return f"{published.written:,} written" if published.is_new else "as before"


def _published(models: list[Model], settings: Settings) -> Iterator[tuple[Model, Published]]:
    """Tables that are not there yet, since what they depend on never was, are passed over."""
    import duckdb

    if not settings.duckdb_file.exists():
        return
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as gold:
        gold.execute("set TimeZone = 'UTC'")
        there = set(gold.execute("select schema_name, table_name from duckdb_tables()").fetchall())
        for model in models:
            if (model.schema, model.name) in there:
                yield model, publish(model, gold, lake_of(settings))


def _table_of(model: Model, settings: Settings) -> LakeTable:
    return lake_of(settings).at("gold", model.name)
