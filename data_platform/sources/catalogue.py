"""Every table that the platform lands, gathered from the modules beside this one."""

from data_platform.declarations import SourceTable, catalogue
from data_platform.sources import (
    clevertap,
    dynamodb,
    facebook,
    google,
    kafka,
    mysql,
    postgres,
    rest_api,
    salesforce,
    snowflake,
)

TABLES: tuple[SourceTable, ...] = catalogue(
    salesforce.TABLES,
    rest_api.TABLES,
    snowflake.TABLES,
    postgres.TABLES,
    mysql.TABLES,
    facebook.TABLES,
    google.TABLES,
    clevertap.TABLES,
    kafka.TABLES,
    dynamodb.TABLES,
)


def table_named(name: str) -> SourceTable:
    """The table called `salesforce.leads` (or `salesforce/leads`, or `bronze/salesforce/leads`)."""
    wanted = name.replace("/", ".").removeprefix("bronze.")
    for table in TABLES:
        if f"{table.system}.{table.name}" == wanted:
            return table
    known = ", ".join(f"{table.system}.{table.name}" for table in TABLES)
    raise LookupError(f"there is no table {name!r}; declared are {known}")
