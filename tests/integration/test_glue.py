"""The lake's tables in Glue, by moto's server: what it keeps of a table is what was asked; no query is run by it."""

import socket
from hashlib import sha256

import boto3
import dagster as dg
import pyarrow as pa
import pytest
from deltalake import Schema

from data_platform.automation.glue import glue_schedule, glue_sensor
from data_platform.bronze.load import REJECTED_SCHEMA, bronze_table
from data_platform.checks.history import SCHEMA as SCORES
from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.definitions import build
from data_platform.described import bronze_key, silver_key
from data_platform.gold.published import Model, ModelColumn
from data_platform.governance.assets import CHECK, GLUE_CATALOGUE, glue_asset, glue_checks
from data_platform.governance.catalogued import Catalogued, catalogued
from data_platform.governance.glue import GlueCatalogue, hive_type
from data_platform.lake.places import lake_of
from data_platform.lake.schema import LANDED_ON
from data_platform.settings import Settings
from data_platform.silver.ad_performance import AD_PERFORMANCE
from data_platform.silver.catalogue import JOINED
from data_platform.sources.catalogue import TABLES
from data_platform.sources.postgres import PAYMENTS
from data_platform.sources.salesforce import LEADS

SECRET = "a-secret-of-glue"
FUNNEL = Model(
    *("mart_lead_funnel", "crm", "Leads by stage.", ("team:revenue",)),
    {"stage": ModelColumn("How far.", "internal"), "email": ModelColumn("Whose.", "personal:email")},
)
KNOWN = {"aws_access_key_id": "somebody", "aws_secret_access_key": SECRET}
SILVER_LEADS = pa.schema(
    [
        ("lead_id", pa.string()),
        ("email", pa.string()),
        ("annual_revenue", pa.decimal128(18, 2)),
        ("_warnings", pa.list_(pa.string())),
        ("is_deleted", pa.bool_()),
        ("_batch", pa.int64()),
    ]
)


@pytest.fixture(scope="module")
def everywhere(s3_url) -> Settings:
    """Payments and leads have landed; leads are in silver, and some in quarantine."""
    boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", **KNOWN).create_bucket(
        Bucket="catalogued"
    )
    place = {"lake_uri": "s3://catalogued/lake", "aws_endpoint_url": s3_url, "aws_region": "us-east-1"}
    settings = Settings(_env_file=None, http_retries=0, **place, **KNOWN)
    lake = lake_of(settings)
    bronze_table(PAYMENTS, lake)
    bronze_table(LEADS, lake)
    lake.quarantine(LEADS).create(REJECTED_SCHEMA, ("_batch",))
    lake.silver(LEADS.silver_name).create(SILVER_LEADS, ("lead_id", "_batch"))
    lake.at("gold", FUNNEL.name).create(
        pa.schema([("stage", pa.string()), ("email", pa.string())]), ("stage",)
    )
    lake.scores().create(SCORES, ("_batch",))
    return settings


@pytest.fixture
def settings(everywhere, request) -> Settings:
    """With databases of the test's own."""
    name = sha256(request.node.name.encode()).hexdigest()[:8]
    return everywhere.model_copy(update={"glue_database": f"test_{name}"})


@pytest.fixture
def glue(s3_url):
    return boto3.client("glue", endpoint_url=s3_url, region_name="us-east-1", **KNOWN)


def tables_of(settings: Settings) -> list[Catalogued]:
    return catalogued([PAYMENTS, LEADS], [AD_PERFORMANCE], [FUNNEL], lake_of(settings))


def registered(settings: Settings) -> dict[str, list[str]]:
    done = GlueCatalogue(settings).register(tables_of(settings))
    return {each.table.held.name: list(each.differences) for each in done}


def in_glue(glue, settings: Settings, layer: str, name: str) -> dict:
    return glue.get_table(DatabaseName=f"{settings.glue_database}_{layer}", Name=name)["Table"]


def test_every_table_that_was_written_is_registered_and_no_other(settings, glue):
    assert set(registered(settings)) == {
        "bronze/postgres/payments",
        "bronze/salesforce/leads",
        "quarantine/salesforce/leads",
        "silver/salesforce_leads",
        "gold/mart_lead_funnel",
        "quality/scores",
    }
    layers = ("bronze", "silver", "quarantine", "gold", "quality")
    databases = {layer: f"{settings.glue_database}_{layer}" for layer in layers}
    there = {
        layer: [table["Name"] for table in glue.get_tables(DatabaseName=name)["TableList"]]
        for layer, name in databases.items()
    }
    assert there == {
        "bronze": ["postgres_payments", "salesforce_leads"],
        "silver": ["salesforce_leads"],
        "quarantine": ["salesforce_leads"],
        "gold": ["mart_lead_funnel"],
        "quality": ["scores"],
    }


def test_a_table_of_gold_says_what_its_model_says(settings, glue):
    registered(settings)
    table = in_glue(glue, settings, "gold", FUNNEL.name)
    said = {
        column["Name"]: (column["Comment"], column["Parameters"]["classification"])
        for column in table["StorageDescriptor"]["Columns"]
    }
    assert said == {"stage": ("How far.", "internal"), "email": ("Whose.", "personal:email")}
    assert (table["Description"], table["Owner"]) == ("Leads by stage.", "team:revenue")
    assert table["Parameters"]["restricted"] == "true"


def test_a_table_is_told_as_engines_find_a_delta_table(settings, glue):
    registered(settings)
    table = in_glue(glue, settings, "bronze", "postgres_payments")
    place = f"{settings.lake}/bronze/postgres/payments/"
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert {
        name: table["Parameters"][name] for name in ("EXTERNAL", "table_type", "spark.sql.sources.provider")
    } == {"EXTERNAL": "TRUE", "table_type": "DELTA", "spark.sql.sources.provider": "delta"}
    assert table["StorageDescriptor"]["Location"] == place
    assert table["StorageDescriptor"]["SerdeInfo"]["Parameters"]["path"] == place
    assert [(key["Name"], key["Type"]) for key in table["PartitionKeys"]] == [(LANDED_ON, "date")]
    assert LANDED_ON not in {column["Name"] for column in table["StorageDescriptor"]["Columns"]}
    assert (table["Owner"], table["Parameters"]["restricted"]) == (
        PAYMENTS.owner,
        str(PAYMENTS.restricted).lower(),
    )


def test_columns_have_their_types_comments_and_classification(settings, glue):
    registered(settings)
    columns = in_glue(glue, settings, "silver", "salesforce_leads")["StorageDescriptor"]["Columns"]
    assert [
        (column["Name"], column["Type"], column["Parameters"]["classification"]) for column in columns
    ] == [
        ("lead_id", "string", LEADS.by_name["Id"].classification),
        ("email", "string", "personal:email"),
        ("annual_revenue", "decimal(18,2)", "sensitive"),
        ("_warnings", "array<string>", "internal"),
        ("is_deleted", "boolean", "internal"),
        ("_batch", "bigint", "internal"),
    ]
    assert columns[-1]["Comment"] == "The commit that the row came with; it only grows."
    bronze = in_glue(glue, settings, "bronze", "salesforce_leads")["StorageDescriptor"]["Columns"]
    rescued = next(column for column in bronze if column["Name"] == "_rescued")
    assert rescued["Parameters"] == {"classification": "personal:any"}


def test_types_with_an_inner_shape_are_written_as_hive_writes_them():
    inner = pa.struct([("At", pa.timestamp("us", "UTC")), ("n", pa.int32())])
    schema = Schema.from_arrow(pa.schema([("x", pa.list_(inner)), ("y", pa.map_(pa.string(), pa.float64()))]))
    assert [hive_type(field.type) for field in schema.fields] == [
        "array<struct<at:timestamp,n:int>>",
        "map<string,double>",
    ]


def test_registering_again_changes_nothing(settings, glue):
    registered(settings)
    before = in_glue(glue, settings, "bronze", "salesforce_leads")
    assert set(map(tuple, registered(settings).values())) == {()}
    assert in_glue(glue, settings, "bronze", "salesforce_leads") == before


def test_a_column_that_the_lake_gained_is_told_and_then_there(settings, glue):
    registered(settings)
    wider = REJECTED_SCHEMA.append(pa.field("_retried_at", pa.date32()))
    lake_of(settings).quarantine(LEADS).create(wider, ("_batch",))
    assert registered(settings)["quarantine/salesforce/leads"] == ["column _retried_at is missing"]
    columns = in_glue(glue, settings, "quarantine", "salesforce_leads")["StorageDescriptor"]["Columns"]
    assert (columns[-1]["Name"], columns[-1]["Type"]) == ("_retried_at", "date")


def changed_by_hand(glue, settings, change) -> None:
    table = in_glue(glue, settings, "silver", "salesforce_leads")
    known = ("Name", "Description", "Owner", "TableType", "StorageDescriptor", "PartitionKeys", "Parameters")
    told = {name: table[name] for name in known}
    change(told)
    glue.update_table(DatabaseName=f"{settings.glue_database}_silver", TableInput=told)


DRIFTS = {
    "a type": (
        lambda told: told["StorageDescriptor"]["Columns"][2].update(Type="double"),
        "column annual_revenue is double and should be decimal(18,2)",
    ),
    "a column too many": (
        lambda told: told["StorageDescriptor"]["Columns"].append({"Name": "gone", "Type": "string"}),
        "column gone is not in the lake",
    ),
    "a place": (
        lambda told: told["StorageDescriptor"].update(Location="s3://elsewhere/leads/"),
        "its location is s3://elsewhere/leads/ and should be s3://",
    ),
    "the format": (
        lambda told: told["Parameters"].update(table_type="ICEBERG"),
        "parameter table_type is 'ICEBERG' and should be 'DELTA'",
    ),
    "a classification": (
        lambda told: told["StorageDescriptor"]["Columns"][1].update(
            Parameters={"classification": "internal"}
        ),
        "column email has another comment or classification than declared",
    ),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_what_was_changed_by_hand_is_told_and_put_right(settings, glue, drift):
    change, told = DRIFTS[drift]
    registered(settings)
    changed_by_hand(glue, settings, change)
    silver = next(table for table in tables_of(settings) if table.held.name == "silver/salesforce_leads")
    (difference,) = GlueCatalogue(settings).differences(silver)
    assert difference.startswith(told)
    assert registered(settings)["silver/salesforce_leads"] == [difference]
    assert GlueCatalogue(settings).differences(silver) == []


def test_what_others_wrote_beside_ours_stays(settings, glue):
    registered(settings)
    changed_by_hand(glue, settings, lambda told: told["Parameters"].update(theirs="kept", restricted="no"))
    registered(settings)
    parameters = in_glue(glue, settings, "silver", "salesforce_leads")["Parameters"]
    assert (parameters["theirs"], parameters["restricted"]) == ("kept", str(LEADS.restricted).lower())


def test_dagster_registers_and_then_finds_that_they_agree(settings, glue):
    def tables() -> list[Catalogued]:
        return tables_of(settings)

    sources = [dg.AssetSpec(key) for key in {dg.AssetKey(list(table.asset)) for table in tables()}]
    checks = glue_checks(tables, settings)
    definitions = dg.Definitions(
        assets=[glue_asset(tables, settings), *sources],
        asset_checks=[checks],
        schedules=[glue_schedule(checks)],
    )
    job = definitions.resolve_job_def("glue_catalogue")
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(instance=instance)
        (made,) = done.asset_materializations_for_node("catalogue__glue")
        assert (made.asset_key, made.metadata["tables"].value, made.metadata["changed"].value) == (
            GLUE_CATALOGUE,
            6,
            6,
        )
        verdicts = {
            each.asset_key.to_user_string(): each.passed for each in done.get_asset_check_evaluations()
        }
    assert verdicts == dict.fromkeys(
        [
            "bronze/postgres/payments",
            "bronze/salesforce/leads",
            "silver/postgres_payments",
            "silver/salesforce_leads",
            "silver/ad_performance",
            "lake/gold/mart_lead_funnel",
            "quality/scores",
        ],
        True,
    )


def test_the_check_of_a_table_that_drifted_warns_and_names_what(settings, glue):
    registered(settings)
    glue.delete_table(DatabaseName=f"{settings.glue_database}_quarantine", Name="salesforce_leads")
    checks = glue_checks(lambda: tables_of(settings), settings)
    specs = [dg.AssetSpec(key) for key in {spec.asset_key for spec in checks.check_specs}]
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions(
            assets=specs,
            asset_checks=[checks],
            jobs=[dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks())],
        ).resolve_job_def("checks")
        found = {
            each.asset_key.to_user_string(): each
            for each in job.execute_in_process(instance=instance).get_asset_check_evaluations()
        }
    assert {name for name, each in found.items() if not each.passed} == {"bronze/salesforce/leads"}
    warned = found["bronze/salesforce/leads"]
    assert (warned.check_name, warned.severity) == (CHECK, dg.AssetCheckSeverity.WARN)
    assert f"{settings.glue_database}_quarantine.salesforce_leads: the table is not in Glue" in str(
        warned.metadata["what"].value
    )


def test_a_run_s_tables_are_registered_when_it_has_ended(settings, glue):
    @dg.asset(key=dg.AssetKey(["bronze", "postgres", "payments"]))
    def payments() -> None: ...

    sensor = glue_sensor(lambda: tables_of(settings), settings)
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([payments], instance=instance)
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_instance=instance,
            dagster_run=run.dagster_run,
            dagster_event=next(
                event for event in run.all_events if event.event_type is dg.DagsterEventType.RUN_SUCCESS
            ),
        )
        sensor(context)
    names = [
        table["Name"]
        for table in glue.get_tables(DatabaseName=f"{settings.glue_database}_bronze")["TableList"]
    ]
    assert names == ["postgres_payments"]


def test_it_is_among_the_definitions_where_the_setting_is_set_and_only_there(settings):
    with_it = build(settings).get_repository_def()
    without = build(settings.model_copy(update={"glue_database": None})).get_repository_def()
    for repository, is_there in ((with_it, True), (without, False)):
        assert (GLUE_CATALOGUE in repository.asset_graph.get_all_asset_keys()) is is_there
        assert ("written_tables_to_glue" in {each.name for each in repository.sensor_defs}) is is_there
    checked = {each.asset_key for each in with_it.asset_graph.asset_check_keys if each.name == CHECK}
    assert checked == {
        *(key(table) for table in TABLES for key in (bronze_key, silver_key)),
        *(dg.AssetKey(["silver", table.name]) for table in JOINED),
        *(key for key in with_it.asset_graph.get_all_asset_keys() if key.path[:2] == ["lake", "gold"]),
        dg.AssetKey(["quality", "scores"]),
    }
    assert dg.AssetKey(["lake", "gold", "fct_orders"]) in checked


def test_a_lake_in_a_folder_can_t_be_in_glue(tmp_path):
    with pytest.raises(SourceError, match="GLUE_DATABASE is set, and LAKE_URI is no address in S3"):
        GlueCatalogue(Settings(_env_file=None, lake_uri=str(tmp_path), glue_database="ours"))


def test_glue_that_can_t_be_reached_is_told_without_the_secret(settings):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    elsewhere = settings.model_copy(update={"aws_endpoint_url_glue": None, "aws_endpoint_url": nowhere})
    tables = tables_of(settings)
    with pytest.raises(SourceError, match=r"the tables of .*_bronze \(GLUE_DATABASE\)") as told:
        GlueCatalogue(elsewhere).register(tables)
    assert not isinstance(told.value, CredentialsRefused)
    assert SECRET not in str(told.value)
