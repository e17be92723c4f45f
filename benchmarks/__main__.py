"""`python -m benchmarks [name]`: runs one benchmark or all; the last line of each is its result as JSON."""

import sys
from collections.abc import Callable

from benchmarks import (
    ads,
    capture,
    change_company,
    change_crm,
    definitions,
    growth,
    identity,
    kafka_avro,
    kafka_continuous,
    kafka_json,
    landing,
    merge,
    mysql,
    postgres,
    quiet,
    salesforce_bulk,
    salesforce_rest,
    sensors,
    small_files,
    snowflake,
)
from benchmarks.result import Result

BENCHMARKS: dict[str, Callable[[], Result]] = {
    "salesforce-rest": salesforce_rest.measure,
    "salesforce-bulk": salesforce_bulk.measure,
    "quiet": quiet.measure,
    "change-crm": change_crm.measure,
    "merge": merge.measure,
    "postgres": postgres.measure,
    "mysql": mysql.measure,
    "capture": capture.measure,
    "ads": ads.measure,
    "snowflake": snowflake.measure,
    "kafka-json": kafka_json.measure,
    "kafka-avro": kafka_avro.measure,
    "kafka-continuous": kafka_continuous.measure,
    "landing": landing.measure,
    "small-files": small_files.measure,
    "sensors": sensors.measure,
    "change-company": change_company.measure,
    "growth": growth.measure,
    "identity": identity.measure,
    "definitions": definitions.measure,
}


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        print(f"{name}:", flush=True)
        print(BENCHMARKS[name]().to_json(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
