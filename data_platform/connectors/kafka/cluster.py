"""The cluster: how its clients are made, what is asked of it, and what is said when it can't be had or breaks off."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from data_platform.connectors.base import CredentialsRefused, SourceError
from data_platform.connectors.kafka.progress import Progress
from data_platform.settings import Settings

log = logging.getLogger(__name__)

# A broker that is there answers sooner; one that is not is asked again while patience lasts.
ANSWERS_WITHIN = 10.0
PAUSE = 0.25
PASSING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._RESOLVE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
    }
)

Place = tuple[str, int]


@dataclass(frozen=True)
class Topic:
    """A topic as it is now. One that was deleted and made again has another id."""

    name: str
    id: str
    partitions: tuple[int, ...]


class Cluster:
    """One cluster. Opens no connection before it is asked something."""

    def __init__(self, settings: Settings) -> None:
        if not settings.kafka_bootstrap_servers:
            raise SourceError(
                "Kafka can't be read: KAFKA_BOOTSTRAP_SERVERS is not set, and no sandbox is up. Set it to the brokers' "
                "hosts and ports, or start the sandbox with `data-platform sandbox up`"
            )
        self.settings = settings
        self.name = settings.kafka_bootstrap_servers
        self.patience = settings.kafka_patience.total_seconds()
        self._trouble: KafkaError | None = None
        self._progress: dict[str, Progress] = {}

    def consumer(self, topic: str) -> Consumer:
        """Reads what it is assigned; it joins no group, and nothing is committed by itself."""
        with_group = {
            "group.id": self.group(topic),
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            # What is no longer there is an error that the next offer meets with open eyes, and no jump.
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            # Librdkafka sits out a second whenever its own queue was full.
            "fetch.queue.backoff.ms": 5,
            # What waits is held unpacked, and may be packed ten to one: small answers keep memory flat.
            "queued.max.messages.kbytes": 16 * 1024,
            "fetch.message.max.bytes": 512 * 1024,
            "fetch.max.bytes": 8 * 1024 * 1024,
        }
        return Consumer(self._client | with_group, logger=log)

    def group(self, topic: str) -> str:
        return f"{self.settings.kafka_group_prefix}.{topic}"

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        answers = self._asked(
            lambda admin: admin.describe_topics(TopicCollection(list(names)), request_timeout=ANSWERS_WITHIN)
        )
        return {
            name: Topic(name, str(told.topic_id), tuple(sorted(part.id for part in told.partitions)))
            for name, told in answers.items()
        }

    def beginnings(self, topics: Iterable[Topic]) -> dict[Place, int]:
        return self._offsets(topics, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def ends(self, topics: Iterable[Topic]) -> dict[Place, int]:
        """Up to where messages can be read: what an open transaction holds back comes later."""
        return self._offsets(topics, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def sent_since(self, topics: Iterable[Topic], moment: float) -> dict[Place, int]:
        """The first offset whose message is not older; -1 where there is none."""
        return self._offsets(topics, OffsetSpec.for_timestamp(int(moment * 1000)))

    def report(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Tell the topic's group how far its table has come."""
        if topic not in self._progress:
            self._progress[topic] = Progress(self._client, topic, self.group(topic))
        self._progress[topic].tell(offsets)

    def refuse_lasting(self, error: KafkaError | None = None, topic: str = "") -> None:
        """Raise what waiting does not mend: of an error about a topic, or of what the clients met lately."""
        for met in (error, self._trouble):
            if met is not None and (lasting := self._lasting(met, topic)):
                raise lasting

    def gave_up(self, waited: float) -> SourceError:
        met = f" The last that was met: {self._trouble.str()}." if self._trouble else ""
        return SourceError(
            f"Kafka at {self.name} (KAFKA_BOOTSTRAP_SERVERS) gave no answer for {waited:.0f} s (KAFKA_PATIENCE).{met} "
            "See that the brokers are up, and KAFKA_SECURITY_PROTOCOL theirs, then run again; the position stands"
        )

    def _lasting(self, error: KafkaError, topic: str) -> SourceError | None:
        if (
            error.code() == KafkaError._AUTHENTICATION
            or error.code() == KafkaError.SASL_AUTHENTICATION_FAILED
        ):
            return CredentialsRefused(
                f"Kafka at {self.name} refuses the login: correct KAFKA_USERNAME and KAFKA_PASSWORD, or the "
                "KAFKA_SASL_MECHANISM that they are for"
            )
        if error.code() == KafkaError._SSL:
            return SourceError(
                f"Kafka at {self.name} could not be reached by TLS: its certificate has expired, is of another host, "
                "or is not signed by who KAFKA_CA_LOCATION names. Renew it, or correct that setting"
            )
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return SourceError(
                f"Kafka at {self.name} has no topic {topic} (or this user may not know of it); see what the table "
                "declares that it reads, and the topics that KAFKA_USERNAME may describe"
            )
        if error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
            return SourceError(
                f"Kafka at {self.name} does not let KAFKA_USERNAME read {topic}; allow it to read and describe it"
            )
        return None

    def _offsets(self, topics: Iterable[Topic], spec: OffsetSpec) -> dict[Place, int]:
        wanted = {TopicPartition(topic.name, part): spec for topic in topics for part in topic.partitions}
        if not wanted:
            return {}
        answers = self._asked(
            lambda admin: admin.list_offsets(
                wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ANSWERS_WITHIN
            )
        )
        return {(place.topic, place.partition): told.offset for place, told in answers.items()}

    def _asked(self, ask: Callable[[AdminClient], Mapping[Any, Future[Any]]]) -> dict[Any, Any]:
        """The answers to one question about many things, asked again while what went wrong may pass."""
        started = time.monotonic()
        while True:
            self._trouble = None
            answers = ask(self._admin)
            told: dict[Any, Any] = {}
            try:
                for thing, future in answers.items():
                    told[thing] = self._awaited(future, started)
                return told
            except KafkaException as refused:
                error = refused.args[0]
                about = next(thing for thing in answers if thing not in told)
                self.refuse_lasting(error, getattr(about, "topic", str(about)))
                if error.code() not in PASSING:
                    raise SourceError(
                        f"Kafka at {self.name} refused a question: {error.str()}. See whether it is well, then run "
                        "again; the position stands"
                    ) from None
                self._heed(error)
            if time.monotonic() - started > self.patience:
                raise self.gave_up(time.monotonic() - started)
            time.sleep(PAUSE)

    def _awaited(self, future: Future[Any], started: float) -> Any:
        """Errors of the login come by callback, long before the question itself is given up."""
        while not future.done():
            self._admin.poll(0.02)
            self.refuse_lasting()
            if time.monotonic() - started > self.patience:
                raise self.gave_up(time.monotonic() - started)
        return future.result()

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient(self._client, logger=log)

    @cached_property
    def _client(self) -> dict[str, Any]:
        settings = self.settings
        said: dict[str, Any] = {
            "bootstrap.servers": self.name,
            "client.id": "data-platform",
            "security.protocol": settings.kafka_security_protocol,
            "error_cb": self._heed,
            "reconnect.backoff.max.ms": 1000,
            "socket.connection.setup.timeout.ms": 10_000,
            "log.connection.close": False,
        }
        if settings.kafka_security_protocol.startswith("SASL"):
            if not settings.kafka_username or not settings.kafka_password:
                raise CredentialsRefused(
                    f"Kafka at {self.name} wants a login ({settings.kafka_security_protocol}): set KAFKA_USERNAME and "
                    "KAFKA_PASSWORD, or another KAFKA_SECURITY_PROTOCOL"
                )
            said["sasl.mechanism"] = settings.kafka_sasl_mechanism
            said["sasl.username"] = settings.kafka_username
            said["sasl.password"] = settings.kafka_password.get_secret_value()
        if settings.kafka_ca_location:
            if not settings.kafka_ca_location.is_file():
                raise SourceError(
                    f"the CA bundle {settings.kafka_ca_location} (KAFKA_CA_LOCATION) is not there; correct the setting"
                )
            said["ssl.ca.location"] = str(settings.kafka_ca_location)
        return said

    def _heed(self, error: KafkaError) -> None:
        """What a client met. That all brokers are down says less than why."""
        if self._trouble is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._trouble = error
