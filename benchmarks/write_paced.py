"""An application that writes orders at a steady pace: small transactions, each stamped by the database's clock.

    python -m benchmarks.write_paced --seconds 20 --changes-a-second 1000

It says on its last line how many changes it made, and in how many seconds.
"""

import argparse
import json
import os
import time

import psycopg2

TRANSACTIONS_A_SECOND = 20
INSERT = """
insert into orders
select n, n %% 10000 / 100.0, 'Lamp', false, 1, date '2026-01-01', '{"weight": 1}', clock_timestamp()
from generate_series(%s, %s) as n
"""
UPDATE = """
update orders set quantity = quantity + 1, updated_at = clock_timestamp() where order_id between %s and %s
"""


def write(seconds: float, changes_a_second: int) -> dict[str, float]:
    """Half of the changes are new orders, half change old ones."""
    half = changes_a_second // TRANSACTIONS_A_SECOND // 2
    connection = psycopg2.connect(os.environ["POSTGRES_DSN"])
    with connection, connection.cursor() as cursor:
        cursor.execute("select max(order_id) from orders")
        ((last,),) = cursor.fetchall()
    changes, begun = 0, time.monotonic()
    for number in range(round(seconds * TRANSACTIONS_A_SECOND)):
        # One that is late is not waited for, so that the pace is kept over all.
        time.sleep(max(0.0, begun + number / TRANSACTIONS_A_SECOND - time.monotonic()))
        with connection, connection.cursor() as cursor:
            new, old = last + 1 + number * half, 1 + number * half % (last - half)
            cursor.execute(INSERT, [new, new + half - 1])
            changes += cursor.rowcount
            cursor.execute(UPDATE, [old, old + half - 1])
            changes += cursor.rowcount
    connection.close()
    return {"changes": changes, "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("--seconds", type=float)
    asked.add_argument("--changes-a-second", type=int)
    told = asked.parse_args()
    print(json.dumps(write(told.seconds, told.changes_a_second)))
