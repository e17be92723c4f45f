"""A stand-in for the DynamoDB Streams API, for the shard trees that DynamoDB Local does not have.

`with ShardedStreams(server) as streams: …` answers DescribeStream, GetShardIterator and GetRecords in Amazon's own
protocol (JSON 1.0, X-Amz-Target) to unmodified clients. The records are those of a DynamoDB Local, dealt to shards by
their keys, with sequence numbers of our own. Shards split, roll over, close and are trimmed, iterators expire and calls
are throttled when it is told so; nothing happens by itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from typing import Any
from zlib import crc32

import msgspec

from sandbox.dynamodb.server import DynamoDBServer
from sandbox.vendor import Answer, Request, VendorServer, answer_json

# As long as Amazon's are.
FIRST_NUMBER = 10**22
EVERYTHING = 2**32
Asked = Mapping[str, Any]


class Refused(Exception):
    """What the API answers instead, by its code."""


@dataclass
class _Shard:
    """Some of the keys, by their hash, from when it opened until it closed."""

    id: str
    parent: str | None
    keys: range
    first: int
    last: int | None = None
    records: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    # What is numbered lower has been forgotten.
    kept_from: int = 0

    def listed(self) -> dict[str, Any]:
        numbers = {"StartingSequenceNumber": str(self.first)}
        if self.last is not None:
            numbers["EndingSequenceNumber"] = str(self.last)
        parent = {"ParentShardId": self.parent} if self.parent else {}
        return {"ShardId": self.id, "SequenceNumberRange": numbers} | parent


@dataclass
class _Tree:
    """A stream's shards, in the order in which they opened, and how far DynamoDB Local's own stream was taken in."""

    shards: dict[str, _Shard] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)

    @property
    def open(self) -> list[_Shard]:
        return [shard for shard in self.shards.values() if shard.last is None]


class ShardedStreams:
    """`page` is how many records, and `listed` how many shards, are told at once; `empty` how many empty answers come
    before each answer with records."""

    def __init__(self, server: DynamoDBServer, port: int = 0) -> None:
        self.page = 1_000
        self.listed = 100
        self.empty = 0
        # Each call that came, by its name.
        self.asked: list[str] = []
        self._source = server.client("dynamodbstreams")
        self._server = server
        self._lock = RLock()
        self._trees: dict[str, _Tree] = {}
        self._number = FIRST_NUMBER
        self._made = 0
        self._expired = 0
        self._failing: list[list[Any]] = []
        self.http = VendorServer(self._answer, lambda: datetime.now(UTC), port)

    def settings(self) -> dict[str, str]:
        return self._server.settings() | {"AWS_ENDPOINT_URL_DYNAMODB_STREAMS": self.http.url}

    # What it is told.

    def split(self, table: str, into: int = 2) -> None:
        """Every open shard closes, and others go on in its place; one alone is what Amazon does every few hours."""
        with self._lock:
            tree = self._tree(self._stream_of(table))
            for shard in tree.open:
                self._close(shard)
                step = -(-len(shard.keys) // into)
                for start in range(shard.keys.start, shard.keys.stop, step):
                    self._open(tree, range(start, min(start + step, shard.keys.stop)), shard.id)

    def close(self, table: str) -> None:
        """Every open shard closes, and none goes on yet."""
        with self._lock:
            for shard in self._tree(self._stream_of(table)).open:
                self._close(shard)

    def go_on(self, table: str) -> None:
        """The shards that closed last get a child each."""
        with self._lock:
            tree = self._tree(self._stream_of(table))
            parents = {shard.parent for shard in tree.shards.values()}
            for shard in list(tree.shards.values()):
                if shard.last is not None and shard.id not in parents:
                    self._open(tree, shard.keys, shard.id)

    def trim(self, table: str) -> None:
        """A day goes by: every record so far is forgotten, and so is every shard that is closed."""
        with self._lock:
            tree = self._tree(self._stream_of(table))
            self._number += 1
            for shard in list(tree.shards.values()):
                shard.records, shard.kept_from = [], self._number
                if shard.last is not None:
                    del tree.shards[shard.id]

    def expire_iterators(self) -> None:
        """Those that were given out so far."""
        with self._lock:
            self._expired = self._made

    def fail_next(self, call: str, code: str, times: int = 1, after: int = 0) -> None:
        """So many of these calls, once some went well, are answered with an error."""
        with self._lock:
            self._failing.append([call, code, times, after])

    def forgive(self) -> None:
        """No call is answered with an error any more."""
        with self._lock:
            self._failing.clear()

    def __enter__(self) -> "ShardedStreams":
        self.http.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.__exit__()

    # What it is asked.

    def _answer(self, request: Request) -> Answer:
        call = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        answers = {
            "DescribeStream": self._describe,
            "GetShardIterator": self._iterator,
            "GetRecords": self._records,
        }
        with self._lock:
            self.asked.append(call)
            try:
                self._fail_if_told(call)
                return answer_json(answers[call](request.asked))
            except Refused as refused:
                return answer_json(
                    {"__type": f"com.amazonaws.dynamodb.v20120810#{refused}", "message": "no"}, 400
                )

    def _fail_if_told(self, call: str) -> None:
        for told in self._failing:
            if told[0] == call and told[3] > 0:
                told[3] -= 1
            elif told[0] == call:
                told[2] -= 1
                if not told[2]:
                    self._failing.remove(told)
                raise Refused(told[1])

    def _describe(self, asked: Asked) -> Any:
        tree = self._tree(asked["StreamArn"])
        shards = list(tree.shards.values())
        names = [shard.id for shard in shards]
        start = names.index(asked["ExclusiveStartShardId"]) + 1 if "ExclusiveStartShardId" in asked else 0
        some = shards[start : start + self.listed]
        told = {
            "StreamArn": asked["StreamArn"],
            "StreamStatus": "ENABLED",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "Shards": [shard.listed() for shard in some],
        }
        if start + self.listed < len(shards):
            told["LastEvaluatedShardId"] = some[-1].id
        return {"StreamDescription": told}

    def _iterator(self, asked: Asked) -> Any:
        shard = self._shard(asked["StreamArn"], asked["ShardId"])
        number = int(asked.get("SequenceNumber", 0))
        match asked["ShardIteratorType"]:
            case "TRIM_HORIZON":
                start = shard.kept_from
            case "LATEST":
                start = self._number + 1
            case "AT_SEQUENCE_NUMBER":
                start = number
            case _:
                start = number + 1
        if number and number < shard.kept_from:
            raise Refused("TrimmedDataAccessException")
        return {"ShardIterator": self._token(asked["StreamArn"], shard.id, start, self.empty)}

    def _records(self, asked: Asked) -> Any:
        stream, shard_id, start, empty, made = msgspec.json.decode(asked["ShardIterator"])
        if made <= self._expired:
            raise Refused("ExpiredIteratorException")
        shard = self._shard(stream, shard_id)
        if start < shard.kept_from:
            raise Refused("TrimmedDataAccessException")
        limit = 0 if empty else min(self.page, asked.get("Limit", self.page))
        left = [each for each in shard.records if each[0] >= start]
        some = left[:limit]
        told: dict[str, Any] = {"Records": [record for _, record in some]}
        if shard.last is None or len(some) < len(left):
            following = some[-1][0] + 1 if some else start
            told["NextShardIterator"] = self._token(
                stream, shard_id, following, empty - 1 if empty else self.empty
            )
        return told

    def _token(self, stream: str, shard: str, start: int, empty: int) -> str:
        self._made += 1
        return msgspec.json.encode([stream, shard, start, empty, self._made]).decode()

    # What it holds.

    def _stream_of(self, table: str) -> str:
        return str(self._server.client().describe_table(TableName=table)["Table"]["LatestStreamArn"])

    def _shard(self, stream: str, name: str) -> _Shard:
        tree = self._tree(stream)
        if name not in tree.shards:
            raise Refused("ResourceNotFoundException")
        return tree.shards[name]

    def _tree(self, stream: str) -> _Tree:
        """The stream's shards, with all that happened to the table."""
        if stream not in self._trees:
            self._trees[stream] = _Tree()
            self._open(self._trees[stream], range(EVERYTHING), None)
        tree = self._trees[stream]
        for record in self._new_records(stream, tree):
            self._deal(tree, record)
        return tree

    def _new_records(self, stream: str, tree: _Tree) -> Iterator[dict[str, Any]]:
        described = self._source.describe_stream(StreamArn=stream)["StreamDescription"]
        for shard in described["Shards"]:
            place = {"StreamArn": stream, "ShardId": shard["ShardId"]}
            if taken := tree.taken.get(shard["ShardId"]):
                place |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": taken}
            else:
                place |= {"ShardIteratorType": "TRIM_HORIZON"}
            iterator = self._source.get_shard_iterator(**place)["ShardIterator"]
            while iterator:
                told = self._source.get_records(ShardIterator=iterator)
                for record in told["Records"]:
                    tree.taken[shard["ShardId"]] = record["dynamodb"]["SequenceNumber"]
                    yield record
                iterator = told.get("NextShardIterator") if told["Records"] else None

    def _deal(self, tree: _Tree, record: dict[str, Any]) -> None:
        place = crc32(msgspec.json.encode(record["dynamodb"]["Keys"]))
        waiting = [shard for shard in tree.open if place in shard.keys]
        # Where none is open, what happens is told by those that will be.
        shard = waiting[0] if waiting else self._reopened(tree, place)
        self._number += 1
        at = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
        told = record["dynamodb"] | {
            "SequenceNumber": str(self._number),
            "ApproximateCreationDateTime": at,
        }
        shard.records.append((self._number, record | {"dynamodb": told}))

    def _reopened(self, tree: _Tree, place: int) -> _Shard:
        parents = {shard.parent for shard in tree.shards.values()}
        for shard in list(tree.shards.values()):
            if place in shard.keys and shard.id not in parents:
                return self._open(tree, shard.keys, shard.id)
        raise LookupError(f"no shard ever held the key at {place}")

    def _open(self, tree: _Tree, keys: range, parent: str | None) -> _Shard:
        self._number += 1
        name = f"shardId-{self._number % FIRST_NUMBER:020}-{keys.start:08x}"
        tree.shards[name] = _Shard(name, parent, keys, self._number)
        return tree.shards[name]

    def _close(self, shard: _Shard) -> None:
        self._number += 1
        shard.last = shard.records[-1][0] if shard.records else self._number
