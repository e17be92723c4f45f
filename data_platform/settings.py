"""The only reader of the environment: every endpoint, credential and path that the platform uses.

What is unset means the sandbox on this machine: `data-platform sandbox up` writes where its servers listen to
`<home>/sandbox/sandbox.env`, and a system with no setting of its own takes them from there.
"""

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource

CHECKOUT = Path(__file__).resolve().parent.parent
# Where the releases of EMR have theirs.
EMR_DELTA = "/usr/share/aws/delta/lib"


def home_folder() -> Path:
    """All local state lives here; read before the other settings, since the sandbox's are found in it."""
    return Path(os.environ.get("DATA_PLATFORM_HOME", CHECKOUT / ".data")).resolve()


def dagster_home() -> Path:
    """Dagster's runs and events, for the commands that are given no DAGSTER_HOME; made where it is missing."""
    folder = home_folder() / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        shutil.copy(CHECKOUT / "dagster.yaml", folder)
    return folder


def _system(name: str) -> str:
    """The system that a setting is about: its first word."""
    return name.split("_")[0]


def _written_by_the_sandbox(settings: type[BaseSettings]) -> dict[str, Any]:
    return DotEnvSettingsSource(settings, env_file=home_folder() / "sandbox" / "sandbox.env")()


class _SandboxSource(PydanticBaseSettingsSource):
    """The sandbox's addresses, for each system of which no address or credential is set elsewhere."""

    def __call__(self) -> dict[str, Any]:
        written = _written_by_the_sandbox(self.settings_cls)
        chosen = {_system(name) for name in written if name in self.current_state}
        return {name: value for name, value in written.items() if _system(name) not in chosen}

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Asked of sources that know one field at a time; this one answers for all at once."""
        return None, field_name, False


class Settings(BaseSettings):
    """The platform's settings, each by its name in capitals from the environment, else from `.env`."""

    model_config = SettingsConfigDict(env_file=CHECKOUT / ".env", extra="ignore", frozen=True)

    data_platform_home: Path = Field(default_factory=home_folder)
    lake_uri: str = ""
    spark_remote: str | None = None
    spark_master: str = "local[2]"
    spark_driver_memory: str = "2g"
    # Where silver's steps run as jobs of EMR Serverless; unset, they run by SPARK_REMOTE or SPARK_MASTER.
    emr_application_id: str | None = None
    emr_execution_role: str | None = None
    # s3://bucket/prefix of the release that the jobs run; what they have to say is put into its bucket too.
    emr_code_uri: str | None = Field(default=None, pattern=r"^s3://[^/]+(/.*[^/])?$")
    # More of spark-submit's parameters: the size of driver and executors, and where the release of EMR has its Delta.
    emr_spark_parameters: str = f"--conf spark.jars={EMR_DELTA}/delta-spark.jar,{EMR_DELTA}/delta-storage.jar"
    emr_looks_every: timedelta = timedelta(seconds=5)
    # Where gold is built: in a file of this machine, on the cluster of REDSHIFT_*, or in the account of SNOWFLAKE_*.
    warehouse: Literal["duckdb", "redshift", "snowflake"] = "duckdb"
    # Whether a build grants the readers of dbt_project.yml, who have to be groups of Redshift or roles of Snowflake.
    warehouse_grants: bool = False

    # The AWS SDK's own names; delta-rs and Spark are told of them where the lake is on S3.
    aws_endpoint_url: str | None = None
    aws_endpoint_url_appflow: str | None = None
    aws_endpoint_url_dynamodb: str | None = None
    aws_endpoint_url_emr_serverless: str | None = None
    # A stand-in mostly serves both at one address; unset, it is the one of DynamoDB.
    aws_endpoint_url_dynamodb_streams: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    aws_region: str | None = None

    # What the names of the Glue databases begin with in which the lake's tables are registered; unset, none is.
    glue_database: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")

    salesforce_login_url: str | None = None
    salesforce_client_id: str | None = None
    salesforce_client_secret: SecretStr | None = None
    # One of these chooses the grant: a refresh token, or a user and a key (JWT bearer); neither, client credentials.
    salesforce_refresh_token: SecretStr | None = None
    salesforce_username: str | None = None
    salesforce_private_key: SecretStr | None = None
    salesforce_ca_bundle: Path | None = None
    salesforce_api_version: str = "58.0"
    # From this many rows on, one Bulk 2.0 job costs less of the daily quota than pages of 2,000.
    salesforce_bulk_threshold: int = 100_000
    # The share of the daily API calls that is left for the company's other users.
    salesforce_quota_reserve: float = Field(default=0.1, ge=0, lt=1)
    # How long a run may wait for the quota's next window before it ends and leaves the rest to the next run.
    salesforce_quota_patience: timedelta = timedelta(minutes=15)
    # Who reads a table of Salesforce, where it is not the API: {"accounts": "appflow"}.
    salesforce_routes: dict[str, Literal["api", "appflow"]] = Field(default_factory=dict)
    # Where AppFlow and Lambda write: a folder, or s3://bucket/prefix.
    landing_uri: str = ""
    # The SQS queue that S3 tells of new files.
    landing_queue_url: str | None = None
    # The flow that a load starts and waits for, by table; a flow with a schedule of its own needs no name here.
    appflow_flows: dict[str, str] = Field(default_factory=dict)
    # How long a load follows its flow.
    appflow_patience: timedelta = timedelta(minutes=30)
    # How many parts of a DynamoDB table are read at once when it is read whole.
    dynamodb_scan_segments: int = Field(default=4, ge=1, le=1_000)
    # libpq's own form, postgresql://user:password@host:port/database.
    postgres_dsn: SecretStr | None = None
    # What our replication slots and publications are called first; one of its own for each platform on a database.
    postgres_slot_prefix: str = "data_platform"
    # mysql://user:password@host:port/database; parts with other characters than letters and digits are URL-encoded.
    mysql_dsn: SecretStr | None = None
    # Who signed MySQL's certificate; where it is set, no connection is made without TLS and a host that it names.
    mysql_ca_bundle: Path | None = None
    snowflake_account: str | None = None
    snowflake_username: str | None = None
    # One of these chooses the login: a client of an OAuth server, a token of one, a private key (PEM), or a password.
    snowflake_oauth_client_id: str | None = None
    snowflake_oauth_client_secret: SecretStr | None = None
    snowflake_oauth_token_url: str | None = None
    snowflake_oauth_token: SecretStr | None = None
    snowflake_private_key: SecretStr | None = None
    snowflake_private_key_passphrase: SecretStr | None = None
    snowflake_password: SecretStr | None = None
    snowflake_warehouse: str = "ETL_WH"
    snowflake_role: str | None = None
    # Where gold is built with WAREHOUSE=snowflake, and by which role and warehouse; unset, those that read.
    snowflake_target_database: str = "DATA_PLATFORM"
    snowflake_target_role: str | None = None
    snowflake_target_warehouse: str | None = None
    # For a stand-in; the vendor's own are found by the account.
    snowflake_host: str | None = None
    snowflake_port: int = 443
    snowflake_protocol: Literal["https", "http"] = "https"
    # Comma-separated where there are several accounts.
    facebook_ads_base_url: str | None = None
    facebook_ads_account_id: str | None = None
    facebook_ads_access_token: SecretStr | None = None
    google_ads_base_url: str | None = None
    # Where the refresh token is exchanged; a stand-in does that itself.
    google_ads_token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    google_ads_customer_id: str | None = None
    # The manager account that is logged in with, where the customer is reached through one.
    google_ads_login_customer_id: str | None = None
    google_ads_developer_token: SecretStr | None = None
    google_ads_client_id: str | None = None
    google_ads_client_secret: SecretStr | None = None
    google_ads_refresh_token: SecretStr | None = None
    # Of the account's region (https://eu1.api.clevertap.com, https://in1.api.clevertap.com, …).
    clevertap_base_url: str | None = None
    clevertap_account_id: str | None = None
    clevertap_passcode: SecretStr | None = None
    # In which the account's days begin and its events are stamped; the vendor's API does not say.
    clevertap_time_zone: str = "UTC"
    # Comma-separated hosts with their ports.
    kafka_bootstrap_servers: str | None = None
    kafka_security_protocol: Literal["SASL_SSL", "SSL", "SASL_PLAINTEXT", "PLAINTEXT"] = "SASL_SSL"
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    # Who signed the brokers' certificates; unset, the usual authorities.
    kafka_ca_location: Path | None = None
    # The consumer groups that progress is reported under: this and the table's name.
    kafka_group_prefix: str = "data-platform"
    # How long a load waits for brokers that are gone, in sum, before it ends and leaves the rest to the next run.
    kafka_patience: timedelta = timedelta(minutes=1)
    schema_registry_url: str | None = None
    schema_registry_username: str | None = None
    schema_registry_password: SecretStr | None = None
    schema_registry_ca_location: Path | None = None
    # By which a value that must not be stored becomes a token; the same everywhere, or tokens do not meet.
    token_key: SecretStr | None = None
    # How often `data-platform stream` commits, and how often it tells Dagster.
    stream_commit_every: timedelta = timedelta(seconds=1)
    stream_report_every: timedelta = timedelta(minutes=1)
    # Where silver is loaded out to; a target that has no address has no assets. libpq's own form, as POSTGRES_DSN.
    served_postgres_dsn: SecretStr | None = None
    redshift_host: str | None = None
    redshift_port: int = 5439
    redshift_database: str | None = None
    redshift_username: str | None = None
    redshift_password: SecretStr | None = None
    # By which Redshift reads what is staged; unset, the role that is the cluster's default.
    redshift_iam_role: str | None = None
    # Where Parquet is put for COPY: s3://bucket/prefix, in the cluster's region.
    redshift_staging_uri: str | None = None
    # How far back the first load of a table that is read by days begins.
    window_history: timedelta = timedelta(days=90)
    # How long a run waits, in sum, for a throttled or computing source before it ends and leaves the rest to the next.
    window_patience: timedelta = timedelta(minutes=15)
    http_retries: int = Field(default=6, ge=0)
    http_timeout: float = Field(default=60.0, gt=0)
    # How long a database may take to let us in, and then to say anything at all, in seconds.
    database_login_timeout: int = Field(default=15, ge=1)
    database_network_timeout: int = Field(default=300, ge=1)

    # Rows per bronze commit: what a killed first load reads again, and what memory is sized by.
    commit_rows: int = Field(default=50_000, ge=1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, _SandboxSource(settings_cls)

    @property
    def home(self) -> Path:
        return self.data_platform_home.resolve()

    @property
    def lake(self) -> str:
        """Where the tables are: a folder, or s3://bucket/prefix."""
        return (self.lake_uri or str(self.home / "lake")).rstrip("/")

    @property
    def landing(self) -> str:
        """Where files are landed for us: a folder, or s3://bucket/prefix."""
        return (self.landing_uri or str(self.home / "landing")).rstrip("/")

    @property
    def duckdb_file(self) -> Path:
        """Gold as analysts open it: the state after the last build that went well."""
        return self.home / "warehouse" / "warehouse.duckdb"

    @property
    def duckdb_building(self) -> Path:
        """Gold as the platform builds it. The file's name is its catalog's, which dbt's manifest names."""
        return self.home / "warehouse" / "building" / "warehouse.duckdb"

    @property
    def spark_jars(self) -> Path:
        return CHECKOUT / ".tools" / "jars"

    @property
    def dbt_project(self) -> Path:
        return CHECKOUT / "dbt_project"


def served_elsewhere(settings: Settings) -> set[str]:
    """The systems that the sandbox serves and that these settings take from somewhere else."""

    def plain(value: Any) -> str:
        return str(value.get_secret_value() if isinstance(value, SecretStr) else value)

    written = _written_by_the_sandbox(Settings)
    return {_system(name) for name, value in written.items() if plain(getattr(settings, name)) != str(value)}
