"""What DynamoDB is asked, and its errors in our words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from data_platform.connectors.aws import CREDENTIALS, client, error_code, explained
from data_platform.connectors.base import CredentialsRefused, QuotaReached, SourceError
from data_platform.connectors.dynamodb.position import Key
from data_platform.connectors.dynamodb.shards import Place, Shard, Shards
from data_platform.declarations import SourceTable
from data_platform.settings import Settings

Item = Mapping[str, Any]
Record = Mapping[str, Any]

# More than a page of one megabyte holds, so that the page is as long as it can be.
PAGE_ITEMS = 100_000
RIGHTS = "DescribeTable, Scan, DescribeStream, GetShardIterator and GetRecords"
# What shows an item as it is after a change.
_WITH_NEW_IMAGE: Final = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE")
_OF_A_SHARD: Final = ("GetShardIterator", "GetRecords")
_THROTTLED: Final = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)


class Trimmed(Exception):
    """What was to be read next is not in the stream any more."""


class IteratorExpired(Exception):
    """An iterator was not used for too long; another one reads on."""


@dataclass(frozen=True)
class Page:
    """What a shard's iterator gave, and the iterator for what follows; None where the shard is at its end."""

    records: Sequence[Record]
    following: str | None


class Session:
    """DynamoDB and its Streams, asked about one table. May be used by several threads."""

    def __init__(self, settings: Settings, table: SourceTable) -> None:
        self.table = table
        self._tries = settings.http_retries + 1
        self._dynamodb = client("dynamodb", settings)
        self._streams = client("dynamodbstreams", settings)

    def stream(self) -> str:
        """The table's stream, which has to tell all that is needed."""
        found = self._asked(self._dynamodb.describe_table, "Table", TableName=self.table.reads)["Table"]
        key = tuple(part["AttributeName"] for part in found["KeySchema"])
        if set(key) != set(self.table.key):
            raise SourceError(
                f"{self.table.reads} has the key {', '.join(key)} in DynamoDB, and is declared with "
                f"{', '.join(self.table.key)}; declare the key that it has"
            )
        stream = found.get("StreamSpecification") or {}
        if not stream.get("StreamEnabled"):
            raise SourceError(
                f"{self.table.reads} has no stream, by which its changes could be followed; enable it with the view "
                "type NEW_AND_OLD_IMAGES (aws dynamodb update-table --stream-specification …)"
            )
        if (view := stream["StreamViewType"]) not in _WITH_NEW_IMAGE:
            raise SourceError(
                f"the stream of {self.table.reads} shows {view}, which leaves out how an item is after a change; "
                "disable it, and enable it with the view type NEW_AND_OLD_IMAGES"
            )
        return str(found["LatestStreamArn"])

    def shards(self, stream: str) -> Shards:
        """Every shard that is listed, open or closed."""
        found: dict[str, Shard] = {}
        asked: dict[str, Any] = {"StreamArn": stream}
        while True:
            told = self._asked(self._streams.describe_stream, "StreamDescription", **asked)[
                "StreamDescription"
            ]
            for shard in told["Shards"]:
                numbers = shard["SequenceNumberRange"]
                found[shard["ShardId"]] = Shard(
                    shard["ShardId"],
                    shard.get("ParentShardId"),
                    numbers["StartingSequenceNumber"],
                    numbers.get("EndingSequenceNumber"),
                )
            if not (last := told.get("LastEvaluatedShardId")):
                return found
            asked["ExclusiveStartShardId"] = last

    def iterator(self, stream: str, shard: str, place: Place) -> str:
        told = (
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": place.number}
            if place.how == "after"
            else {"ShardIteratorType": "TRIM_HORIZON"}
        )
        answer = self._asked(
            self._streams.get_shard_iterator, "ShardIterator", StreamArn=stream, ShardId=shard, **told
        )
        return str(answer["ShardIterator"])

    def records(self, iterator: str, limit: int) -> Page:
        answer = self._asked(self._streams.get_records, "Records", ShardIterator=iterator, Limit=limit)
        return Page(answer["Records"], answer.get("NextShardIterator"))

    def scanned(self, segment: int, segments: int, after: Key) -> tuple[Sequence[Item], Key | None]:
        """A page of one of so many parts of the table, and the key that it ends at; None at the part's end."""
        # An item that was written before the stream's place was taken must be seen, and so must be what it was then.
        asked: dict[str, Any] = {
            "Segment": segment,
            "TotalSegments": segments,
            "ConsistentRead": True,
            "Limit": PAGE_ITEMS,
        }
        if after:
            asked["ExclusiveStartKey"] = after
        answer = self._asked(self._dynamodb.scan, "Items", TableName=self.table.reads, **asked)
        return answer["Items"], answer.get("LastEvaluatedKey")

    def _asked(self, call: Callable[..., Any], wanted: str, **asked: Any) -> Mapping[str, Any]:
        """The answer, with what is wanted in it: of one that was cut off, the SDK makes an answer without anything."""
        for _ in range(self._tries):
            with self._explained():
                answer: Mapping[str, Any] = call(**asked)
            if wanted in answer:
                return answer
        raise SourceError(
            f"DynamoDB's answers about {self.table.reads} held no {wanted}, {self._tries} times: they were cut off, or "
            "something else answers at its address. The position stands; check AWS_ENDPOINT_URL_DYNAMODB, and run again"
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        what = f"the table {self.table.reads} and its stream"
        with explained("dynamodb", what):
            try:
                yield
            except ClientError as error:
                self._raise_ours(error.operation_name, error_code(error))
                raise

    def _raise_ours(self, operation: str, code: str) -> None:
        reads = self.table.reads
        match code:
            case "TrimmedDataAccessException":
                raise Trimmed from None
            case "ResourceNotFoundException" if operation in _OF_A_SHARD:
                # It was listed, and has been trimmed as a whole since.
                raise Trimmed from None
            case "ExpiredIteratorException":
                raise IteratorExpired from None
            case "ResourceNotFoundException":
                raise SourceError(
                    f"DynamoDB has no table {reads}, or not its stream any more; check the name, AWS_REGION, and "
                    "AWS_ENDPOINT_URL_DYNAMODB where it is set"
                ) from None
            case "AccessDeniedException":
                raise CredentialsRefused(
                    f"DynamoDB refuses a right on {reads} (AccessDeniedException); {RIGHTS} are needed, on the table "
                    f"and its stream. Check {CREDENTIALS}, and what they are allowed"
                ) from None
            case throttled if throttled in _THROTTLED:
                raise QuotaReached(
                    f"DynamoDB throttled the read of {reads} {self._tries} times ({throttled}). The position stands; "
                    "run again later, give the table more read capacity, or lower DYNAMODB_SCAN_SEGMENTS"
                ) from None
