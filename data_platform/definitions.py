"""Wiring only: the definitions that Dagster loads, made from the declarations and the settings."""

from collections.abc import Sequence

import dagster as dg

from data_platform.automation.conditions import on_change
from data_platform.automation.dynamodb import dynamodb_sensor
from data_platform.automation.glue import glue_schedule, glue_sensor
from data_platform.automation.jobs import change_sensor, interval_schedules, whole_chain
from data_platform.automation.kafka import kafka_sensor
from data_platform.automation.landing import landing_sensor
from data_platform.automation.maintenance import maintenance_job, maintenance_schedule
from data_platform.bronze.assets import bronze_asset
from data_platform.bronze.days import days_asset
from data_platform.checks.assets import freshness_checks, joined_checks, silver_checks
from data_platform.checks.measuring import domain_checks, scores_asset, scores_schedule
from data_platform.declarations import Window
from data_platform.described import InSilver
from data_platform.gold.assets import gold_assets
from data_platform.gold.published import Model, published_assets, published_models
from data_platform.gold.served import served_assets
from data_platform.gold.serving.declared import Served
from data_platform.gold.warehouse import copy_of, warehouse_assets
from data_platform.governance.assets import glue_asset, glue_checks
from data_platform.governance.catalogued import Catalogued, catalogued
from data_platform.lake.places import lake_of
from data_platform.settings import Settings
from data_platform.silver.assets import joined_asset, silver_asset
from data_platform.silver.catalogue import JOINED
from data_platform.sources.catalogue import TABLES


def build(settings: Settings) -> dg.Definitions:
    gold = gold_assets(settings, on_change())
    published = published_models(gold, settings)
    return dg.Definitions.merge(_platform(settings, gold, published), _glue(settings, published))


def _platform(settings: Settings, gold: dg.AssetsDefinition, published: Sequence[Model]) -> dg.Definitions:
    condition = on_change()
    return dg.Definitions(
        assets=[
            *(bronze_asset(table, settings) for table in TABLES),
            *(days_asset(table, settings) for table in TABLES if isinstance(table.load, Window)),
            *(silver_asset(table, settings, condition) for table in TABLES),
            *(joined_asset(table, settings, condition) for table in JOINED),
            gold,
            *warehouse_assets(warehouse_copies(), gold.dependency_keys, settings, condition),
            *published_assets(published, settings, condition),
            *served_assets(settings, condition),
            scores_asset(TABLES, JOINED, settings),
        ],
        asset_checks=[
            *(silver_checks(table, settings) for table in TABLES),
            *(joined_checks(table, settings) for table in JOINED),
            freshness_checks(TABLES),
            domain_checks([*(table.owner for table in TABLES), *(table.owner for table in JOINED)], settings),
        ],
        jobs=[
            whole_chain(),
            maintenance_job(
                settings,
                {table.name: table.key for table in JOINED},
                [model.name for model in published],
            ),
        ],
        schedules=[*interval_schedules(TABLES), maintenance_schedule(), scores_schedule()],
        sensors=[
            change_sensor(),
            kafka_sensor(TABLES, settings),
            dynamodb_sensor(TABLES, {table.name: table.inputs for table in JOINED}, settings),
            *([woken] if (woken := landing_sensor(TABLES, settings)) else []),
        ],
        # One process a run, so that its silver steps share one Spark session; runs are what goes in parallel.
        executor=dg.in_process_executor,
    )


def warehouse_copies() -> list[Served]:
    """Every silver table as a warehouse holds it that does not read the lake."""
    silver: list[InSilver] = [*TABLES, *JOINED]
    return [copy_of(table) for table in silver]


def _glue(settings: Settings, published: Sequence[Model]) -> dg.Definitions:
    if not settings.glue_database:
        return dg.Definitions()

    def tables() -> list[Catalogued]:
        return catalogued(TABLES, JOINED, published, lake_of(settings))

    checks = glue_checks(tables, settings)
    return dg.Definitions(
        assets=[glue_asset(tables, settings)],
        asset_checks=[checks],
        schedules=[glue_schedule(checks)],
        sensors=[glue_sensor(tables, settings)],
    )


defs = build(Settings())
