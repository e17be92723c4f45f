"""The limit: the official connector's own Arrow batches of the same rows, money as decimals, and no more done."""

import os

import snowflake.connector

from benchmarks.loads.job import Job, run
from benchmarks.tables import table_named


def load(job: Job) -> dict[str, int]:
    table = table_named(job.table)
    names = ", ".join(f'{column.name} as "{column.name}"' for column in table.columns)
    order = ", ".join((*table.cursors, *table.key))
    connection = snowflake.connector.connect(
        account=os.environ["SNOWFLAKE_ACCOUNT"],
        user=os.environ["SNOWFLAKE_USERNAME"],
        password=os.environ["SNOWFLAKE_PASSWORD"],
        host=os.environ["SNOWFLAKE_HOST"],
        port=int(os.environ["SNOWFLAKE_PORT"]),
        protocol=os.environ["SNOWFLAKE_PROTOCOL"],
        network_timeout=300,
        arrow_number_to_decimal=True,
    )
    try:
        cursor = connection.cursor()
        cursor.execute(f"select {names} from {table.reads} order by {order}")
        pieces = cursor.fetch_arrow_batches(force_microsecond_precision=True)
        return {"rows": sum(piece.num_rows for piece in pieces)}
    finally:
        connection.close(retry=False)


if __name__ == "__main__":
    run(load)
