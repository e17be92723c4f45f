"""The limit: PostgreSQL's own COPY of what COPY_OF names, in its binary form, to a client that looks at nothing."""

import os

import psycopg2

from benchmarks.loads.job import Job, run


class Nowhere:
    """A file that keeps nothing."""

    def write(self, some: bytes) -> int:
        return len(some)


def load(_: Job) -> None:
    with psycopg2.connect(os.environ["POSTGRES_DSN"]) as connection, connection.cursor() as cursor:
        cursor.copy_expert(f"copy {os.environ['COPY_OF']} to stdout (format binary)", Nowhere(), size=1 << 20)


if __name__ == "__main__":
    run(load)
