"""A Salesforce some of whose records can't be decoded: the vendor's own answers never come to that."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import pyarrow as pa

from data_platform.connectors.base import Batch, Connector, Landed, Offer, Rejected
from data_platform.declarations import SourceTable
from tests.faults.launcher import patch


def is_undecodable(record_id: str) -> bool:
    return crc32(record_id.encode()) % 20 == 0


def origin_of(record_id: str, modified: Any) -> str:
    return f"Lead {record_id} as of {modified.isoformat()}"


@dataclass(frozen=True)
class Undecodable:
    """Plants it in the place of the connector."""

    def plant(self) -> None:
        patch(
            "data_platform.bronze.assets:connector_for", lambda original, *args: Undecoding(original(*args))
        )


class Undecoding:
    """A connector that hands those records over as rejected."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector

    def offer(self, table: SourceTable, landed: Landed) -> Offer:
        offer = self.connector.offer(table, landed)
        parts = (replace(part, batches=map(_without_undecodable, part.batches)) for part in offer.parts)
        return replace(offer, parts=parts)


def _without_undecodable(batch: Batch) -> Batch:
    bad = [is_undecodable(key) for key in batch.rows.column("Id").to_pylist()]
    rejected = list(_rejected(batch.rows.filter(pa.array(bad))))
    return replace(batch, rows=batch.rows.filter(pa.array([not each for each in bad])), rejected=rejected)


def _rejected(rows: pa.RecordBatch) -> Iterator[Rejected]:
    for row in rows.select(["Id", "SystemModstamp"]).to_pylist():
        yield Rejected(origin_of(row["Id"], row["SystemModstamp"]), "no record at all", row["Id"].encode())
