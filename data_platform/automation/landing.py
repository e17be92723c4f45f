"""The sensor that S3 wakes: a message for each new file, by way of SQS, and one run for the files of a batch of them.

A message is deleted by the tick after the one that asked for its run, so a tick that dies loses none. Those that SQS
shows again are known by their ids. A run that was asked for twice all the same finds nothing new, and lands nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_plus

import dagster as dg

from data_platform.connectors.aws import client, explained
from data_platform.declarations import Snapshot, SourceTable
from data_platform.described import bronze_key
from data_platform.settings import Settings

LANDED_FILES = "landed_files"
SECONDS_BETWEEN = 30
# Hidden from other readers until the tick after the next has surely deleted it.
SECONDS_HIDDEN = 600
MESSAGES_AT_ONCE = 10
BATCHES_A_TICK = 20
IDS_REMEMBERED = 2_000


@dataclass
class _Seen:
    """What the sensor's cursor holds: ids of messages whose runs were asked for, and handles that are to be deleted."""

    known: list[str] = field(default_factory=list)
    handles: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, cursor: str | None) -> "_Seen":
        return cls(**json.loads(cursor)) if cursor else cls()

    def cursor(self) -> str:
        return json.dumps({"known": self.known[-IDS_REMEMBERED:], "handles": self.handles})


class _Queue:
    """The queue that S3 writes to."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.landing_queue_url
        self._client = client("sqs", settings)

    def messages(self) -> Iterator[Mapping[str, Any]]:
        for _ in range(BATCHES_A_TICK):
            with explained("sqs", f"the messages of {self._url} (LANDING_QUEUE_URL)"):
                answer = self._client.receive_message(
                    QueueUrl=self._url,
                    MaxNumberOfMessages=MESSAGES_AT_ONCE,
                    VisibilityTimeout=SECONDS_HIDDEN,
                    WaitTimeSeconds=0,
                )
            if not (received := answer.get("Messages", ())):
                return
            yield from received

    def delete(self, handles: Sequence[str]) -> None:
        """A handle that has expired deletes nothing: its message is shown again, and known."""
        for start in range(0, len(handles), MESSAGES_AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle}
                for number, handle in enumerate(handles[start : start + MESSAGES_AT_ONCE])
            ]
            with explained("sqs", f"the deletion of messages of {self._url} (LANDING_QUEUE_URL)"):
                self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)


def landing_sensor(tables: Sequence[SourceTable], settings: Settings) -> dg.SensorDefinition | None:
    """None where no queue is set: files are then found by the schedules."""
    prefixes = _prefixes(tables, settings)
    if not settings.landing_queue_url or not prefixes:
        return None

    @dg.sensor(
        name=LANDED_FILES,
        target=dg.AssetSelection.assets(*prefixes.values()),
        minimum_interval_seconds=SECONDS_BETWEEN,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Loads the tables that new files belong to, as S3 tells of them through SQS.",
    )
    def landed_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return _tick(context, _Queue(settings), prefixes)

    return landed_files


def _prefixes(tables: Sequence[SourceTable], settings: Settings) -> dict[str, dg.AssetKey]:
    """Where the files of each table are, bucket and all."""
    place = settings.landing.removeprefix("s3://")
    read_from_files = (
        (table, table.files if settings.salesforce_routes.get(table.name) == "appflow" else table.load)
        for table in tables
    )
    return {
        f"{place}/{files.prefix}": bronze_key(table)
        for table, files in read_from_files
        if isinstance(files, Snapshot)
    }


def _tick(
    context: dg.SensorEvaluationContext, queue: _Queue, prefixes: Mapping[str, dg.AssetKey]
) -> dg.SensorResult:
    seen = _Seen.of(context.cursor)
    queue.delete(seen.handles)
    fresh: dict[str, str] = {}
    touched: set[dg.AssetKey] = set()
    for message in queue.messages():
        objects = _objects(message["Body"])
        if objects is None:
            context.log.warning(
                "message %s does not come from S3; the queue's own redrive deals with it",
                message["MessageId"],
            )
            continue
        fresh[message["MessageId"]] = message["ReceiptHandle"]
        if message["MessageId"] not in seen.known:
            touched |= {
                key for prefix, key in prefixes.items() if any(each.startswith(prefix) for each in objects)
            }
    after = _Seen([*seen.known, *(each for each in fresh if each not in seen.known)], list(fresh.values()))
    if not touched:
        said = "no message tells of a new file" if fresh else "the queue is empty"
        return dg.SensorResult(skip_reason=dg.SkipReason(said), cursor=after.cursor())
    run = dg.RunRequest(run_key=_run_key(fresh), asset_selection=sorted(touched))
    return dg.SensorResult(run_requests=[run], cursor=after.cursor())


def _run_key(ids: Iterable[str]) -> str:
    return sha256("\n".join(sorted(ids)).encode()).hexdigest()


def _objects(body: str) -> list[str] | None:
    """The objects that a notification of S3 tells of, as bucket/key; None where it is none."""
    try:
        said = json.loads(body)
        if said.get("Event") == "s3:TestEvent":
            return []
        told = [record["s3"] for record in said["Records"]]
        return [f"{each['bucket']['name']}/{unquote_plus(each['object']['key'])}" for each in told]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
