"""The lake's tables in the Glue Data Catalog, as Athena and Spark look them up: each a native Delta table.

Athena reads rows and columns from Delta's own log and takes from Glue where that is; Lake Formation, views and people
go by what Glue says of columns. So both are kept alike: `differences` tells where they are not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from deltalake.schema import ArrayType, MapType, PrimitiveType, StructType

from data_platform.connectors.aws import client, error_code, explained
from data_platform.connectors.base import SourceError
from data_platform.governance.catalogued import Catalogued
from data_platform.settings import Settings

# By these an engine knows the table for a Delta table; Athena's own statements and Glue's crawlers write the same.
DELTA = {"EXTERNAL": "TRUE", "table_type": "DELTA", "spark.sql.sources.provider": "delta"}
# What stands there for formats that Hive reads itself; engines that know Delta pass over it.
_FORMAT = {
    "InputFormat": "org.apache.hadoop.mapred.SequenceFileInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
}
_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
_HIVE_TYPES = {
    "long": "bigint",
    "integer": "int",
    "short": "smallint",
    "byte": "tinyint",
    "timestamp_ntz": "timestamp",
}
# As much as Glue takes.
COMMENT_LENGTH, DESCRIPTION_LENGTH = 255, 2048

Described = Mapping[str, Any]


@dataclass(frozen=True)
class Registered:
    """What was done about a table: nothing, where it said already what it should."""

    table: Catalogued
    differences: Sequence[str]


class GlueCatalogue:
    """The databases that `GLUE_DATABASE` begins the names of: one for each layer."""

    def __init__(self, settings: Settings) -> None:
        if not settings.lake.startswith("s3://"):
            raise SourceError(
                "GLUE_DATABASE is set, and LAKE_URI is no address in S3, where a catalogue of AWS has its tables; "
                "set LAKE_URI=s3://bucket/prefix, or leave GLUE_DATABASE unset"
            )
        self.prefix = settings.glue_database
        self._glue = client("glue", settings)
        self._databases: dict[str, dict[str, Described] | None] = {}

    def register(self, tables: Iterable[Catalogued]) -> list[Registered]:
        """Bring Glue up to the lake; a table that was never written has no place there yet."""
        return [self._register(table) for table in tables if table.held.exists]

    def differences(self, table: Catalogued) -> list[str]:
        """Where Glue says something else than the lake; counts and names of columns, never values."""
        found = (self._found(self.database(table)) or {}).get(table.name)
        if not table.held.exists:
            return [f"{table.held.uri} is in Glue and not in the lake"] if found else []
        return differences(table_input(table), found)

    def database(self, table: Catalogued) -> str:
        return f"{self.prefix}_{table.layer}"

    def _register(self, table: Catalogued) -> Registered:
        different = self.differences(table)
        if different:
            self._write(table)
        return Registered(table, different)

    def _write(self, table: Catalogued) -> None:
        database, wanted = self.database(table), table_input(table)
        with explained("glue", f"the table {database}.{table.name} (GLUE_DATABASE)"):
            if self._found(database) is None:
                self._made(database)
            found = (self._found(database) or {}).get(table.name)
            if found is None:
                self._glue.create_table(DatabaseName=database, TableInput=wanted)
            else:
                # What others have written beside ours stays, such as Lake Formation's marks and statistics.
                wanted["Parameters"] = {**found.get("Parameters", {}), **wanted["Parameters"]}
                self._glue.update_table(DatabaseName=database, TableInput=wanted, SkipArchive=True)
        self._databases.pop(database)

    def _made(self, database: str) -> None:
        try:
            self._glue.create_database(
                DatabaseInput={"Name": database, "Description": "Written by the data platform."}
            )
        except ClientError as error:
            if error_code(error) != "AlreadyExistsException":
                raise

    def _found(self, database: str) -> dict[str, Described] | None:
        """The database's tables by name, asked for once; None where there is no such database."""
        if database not in self._databases:
            with explained("glue", f"the tables of {database} (GLUE_DATABASE)"):
                self._databases[database] = self._asked(database)
        return self._databases[database]

    def _asked(self, database: str) -> dict[str, Described] | None:
        try:
            pages = self._glue.get_paginator("get_tables").paginate(DatabaseName=database)
            return {table["Name"]: table for page in pages for table in page["TableList"]}
        except ClientError as error:
            if error_code(error) == "EntityNotFoundException":
                return None
            raise


def table_input(table: Catalogued) -> dict[str, Any]:
    """What Glue is told of a table that exists, its columns as they stand in Delta's log."""
    assert table.held.delta is not None  # noqa: S101 - asked of tables that exist
    partitions = table.held.delta.metadata().partition_columns
    fields = {field.name: hive_type(field.type) for field in table.held.delta.schema().fields}
    location = table.held.uri.rstrip("/") + "/"
    return {
        "Name": table.name,
        "Description": table.description[:DESCRIPTION_LENGTH],
        "Owner": table.owner,
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": {
            "Columns": [
                _column(table, name, kind) for name, kind in fields.items() if name not in partitions
            ],
            "Location": location,
            **_FORMAT,
            "SerdeInfo": {
                "SerializationLibrary": _SERDE,
                # Spark looks for the place here.
                "Parameters": {"serialization.format": "1", "path": location},
            },
        },
        "PartitionKeys": [_column(table, name, fields[name]) for name in partitions],
        "Parameters": {**DELTA, "owner": table.owner, "restricted": str(table.restricted).lower()},
    }


def _column(table: Catalogued, name: str, kind: str) -> dict[str, Any]:
    """Athena knows no capitals in names."""
    return {
        "Name": name.lower(),
        "Type": kind,
        "Comment": table.comment(name)[:COMMENT_LENGTH],
        "Parameters": {"classification": table.classification(name)},
    }


def hive_type(kind: Any) -> str:
    """A type of Delta's as Hive, and so Glue, writes it."""
    match kind:
        case ArrayType():
            return f"array<{hive_type(kind.element_type)}>"
        case MapType():
            return f"map<{hive_type(kind.key_type)},{hive_type(kind.value_type)}>"
        case StructType():
            inner = ",".join(f"{field.name.lower()}:{hive_type(field.type)}" for field in kind.fields)
            return f"struct<{inner}>"
        case PrimitiveType():
            return _HIVE_TYPES.get(kind.type, kind.type)
    raise TypeError(f"Glue has no type for Delta's {type(kind).__name__}")


def differences(wanted: Described, found: Described | None) -> list[str]:
    """What Glue does not say as it should, each in a few words."""
    if found is None:
        return ["the table is not in Glue"]
    parameters = found.get("Parameters", {})
    told = [
        f"parameter {name} is {parameters.get(name)!r} and should be {value!r}"
        for name, value in wanted["Parameters"].items()
        if parameters.get(name) != value
    ]
    storage, there = wanted["StorageDescriptor"], found.get("StorageDescriptor", {})
    place = there.get("Location", "")
    path = there.get("SerdeInfo", {}).get("Parameters", {}).get("path", "")
    for what, it_is in (("location", place), ("path for Spark", path)):
        if it_is != storage["Location"]:
            told.append(f"its {what} is {it_is or 'not told'} and should be {storage['Location']}")
    if (found.get("Description", ""), found.get("Owner", "")) != (wanted["Description"], wanted["Owner"]):
        told.append("its description or owner is not the declared one")
    return [
        *told,
        *_of_columns("column", storage["Columns"], there.get("Columns", [])),
        *_of_columns("partition key", wanted["PartitionKeys"], found.get("PartitionKeys", [])),
    ]


def _of_columns(kind: str, wanted: Sequence[Described], found: Sequence[Described]) -> list[str]:
    there = {column["Name"]: column for column in found}
    told = [
        f"{kind} {name} is not in the lake" for name in there if name not in {each["Name"] for each in wanted}
    ]
    for column in wanted:
        held = there.get(column["Name"])
        if held is None:
            told.append(f"{kind} {column['Name']} is missing")
        elif held["Type"] != column["Type"]:
            told.append(f"{kind} {column['Name']} is {held['Type']} and should be {column['Type']}")
        elif (held.get("Comment", ""), held.get("Parameters", {})) != (
            column["Comment"],
            column["Parameters"],
        ):
            told.append(f"{kind} {column['Name']} has another comment or classification than declared")
    return told
