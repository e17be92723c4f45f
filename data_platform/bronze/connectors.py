"""Which connector reads which system. Apart from the assets, so that a load by itself brings in no Dagster."""

from data_platform.connectors.base import Connector
from data_platform.declarations import SourceTable
from data_platform.settings import Settings


def connector_for(table: SourceTable, settings: Settings) -> Connector:
    """The connector that reads the table, made when a step runs and not before."""
    # It brings in pandas, which is slow to import and which definitions do without.
    from data_platform.connectors.concealed import concealing

    return concealing(table, _of_its_system(table, settings), settings)


def _of_its_system(table: SourceTable, settings: Settings) -> Connector:  # noqa: C901 - a case per system
    match table.system:
        case "salesforce" if settings.salesforce_routes.get(table.name) == "appflow":
            from data_platform.connectors.landing.appflow import AppFlow

            return AppFlow(settings)
        case "salesforce":
            from data_platform.connectors.salesforce.connector import Salesforce

            return Salesforce(settings)
        case "postgres":
            from data_platform.connectors.postgres.connector import Postgres

            return Postgres(settings)
        case "facebook":
            from data_platform.connectors.facebook.connector import Facebook

            return Facebook(settings)
        case "google":
            from data_platform.connectors.google_ads.connector import GoogleAds

            return GoogleAds(settings)
        case "clevertap":
            from data_platform.connectors.clevertap.connector import CleverTap

            return CleverTap(settings)
        case "mysql":
            from data_platform.connectors.mysql.connector import MySQL

            return MySQL(settings)
        case "snowflake":
            from data_platform.connectors.snowflake.connector import Snowflake

            return Snowflake(settings)
        case "kafka":
            from data_platform.connectors.kafka.connector import Kafka

            return Kafka(settings)
        case "dynamodb":
            from data_platform.connectors.dynamodb.connector import DynamoDB

            return DynamoDB(settings)
        case "rest_api":
            from data_platform.connectors.landing.connector import LandingFiles

            return LandingFiles(settings)
        case unknown:
            raise LookupError(f"no connector reads {unknown!r} (table {table.name}); add it to connector_for")
