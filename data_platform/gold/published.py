"""Gold in the lake: each table of gold as a Delta table at `<lake>/gold/<model>`, for Athena, Spark and others.

It is taken from the file that analysts open, so it is a state after a build that went well. A table is written whole,
in one commit, where its content is another than what was written last, and not at all where it is the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
from deltalake import write_deltalake

from data_platform.described import failing_plainly
from data_platform.gold.library import get_manifest_and_translator_from_dbt_assets
from data_platform.lake.errors import explained
from data_platform.lake.places import lake_of
from data_platform.lake.tables import Lake, LakeTable, Note
from data_platform.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Rows that are in memory at once.
BATCH_ROWS = 50_000


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
    """What became of a table: its rows, the fingerprint of its content, and whether it was written."""

    rows: int
    content: str
    is_written: bool


def publish(model: Model, gold: "DuckDBPyConnection", lake: Lake) -> Published:
    """Bring the lake's table up to gold's. Killed anywhere, it holds the state before or the state after."""
    table = lake.at("gold", model.name)
    rows, content = _fingerprint(model, gold)
    if table.exists and (table.position or {}).get("content") == content:
        return Published(rows, content, False)
    # Before the rows are asked for: a connection answers one question at a time.
    says = table.carrying(_note(model, gold, content), table.batch + 1)
    with explained(table.uri, "writing"):
        write_deltalake(
            table.uri,
            gold.execute(f"from {model.place}").fetch_record_batch(BATCH_ROWS),
            mode="overwrite",
            schema_mode="overwrite",
            description=model.description[:4000] or None,
            configuration={"delta.dataSkippingStatsColumns": ",".join(f"`{name}`" for name in model.stats)},
            storage_options=dict(table.storage_options) or None,
            commit_properties=says,
        )
    return Published(rows, content, True)


def _fingerprint(model: Model, gold: "DuckDBPyConnection") -> tuple[int, str]:
    """The number of rows, and a sum over all values that does not depend on their order."""
    found = gold.execute(
        f"select count(*), coalesce(bit_xor(hash(each)), 0), coalesce(sum(hash(each) >> 8), 0) "
        f"from (select held as each from {model.place} as held)"
    ).fetchone()
    rows, mixed, summed = found or (0, 0, 0)
    return int(rows), f"{rows}-{mixed:x}-{int(summed):x}"


def _note(model: Model, gold: "DuckDBPyConnection", content: str) -> Note:
    """What was written, and the batch of silver that the model had reached, where it keeps one."""
    described = gold.execute(f"describe {model.place}").fetchall()
    if "_batch" not in {row[0] for row in described}:
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
                context.log.info(
                    "%s: %s rows, %s",
                    model.name,
                    f"{published.rows:,}",
                    "written" if published.is_written else "as before",
                )
                yield dg.MaterializeResult(
                    asset_key=model.key,
                    data_version=dg.DataVersion(published.content),
                    metadata={
                        "dagster/row_count": published.rows,
                        "dagster/uri": _table_of(model, settings).uri,
                        "written": published.is_written,
                    },
                )

    return [gold_in_the_lake]


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
