"""Silver tables made of several others: what such a table is. `joined_step.py` brings one up to its inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from data_platform.declarations import Column, DeclarationError, Rule, SourceTable
from data_platform.silver.conformed import spark_type

# Each input by its silver name.
Inputs = Mapping[str, DataFrame]


@dataclass(frozen=True)
class Joined:
    """A silver table with a row per `key`, made of other silver tables.

    `made` gives its rows from the inputs' live rows. `touched` gives the keys that may come out differently: from the
    rows of each input that changed (as they are, deleted ones too, and as they were; none where it did not), and from
    the live rows of the inputs and of the table itself as it stands.

    Where a row depends on other rows of the table, `carried_on` stands instead of the two: from the rows of each input
    that changed (at first all; deleted ones too), the inputs' live rows and the table's own as they stand it gives the
    keys that come out differently, and the rows that these have now.

    `by_key_alone` names the inputs of whose changed rows `touched` takes the key alone. It is given nothing else of
    them, and what they were, which would tell the same key, is not looked up.

    `belonging` says of an input which of the key's columns it has: under the same names, under others, or by what
    expression. Rows of it that belong to no touched key are not looked at, and files that hold none not opened. `rules`
    are counted by checks over the live rows; they keep none out.
    """

    name: str
    description: str
    owner: str
    key: tuple[str, ...]
    inputs: tuple["SourceTable | Joined", ...]
    columns: tuple[Column, ...]
    made: Callable[[Inputs], DataFrame] | None = None
    touched: Callable[[Inputs, Inputs], DataFrame] | None = None
    carried_on: Callable[[Inputs, Inputs, DataFrame], tuple[DataFrame, DataFrame]] | None = None
    by_key_alone: tuple[str, ...] = ()
    belonging: Mapping[str, tuple[str, ...] | Mapping[str, str]] = field(default_factory=dict)
    partitioned_by: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        told = (self.made is not None, self.touched is not None, self.carried_on is not None)
        if told not in ((True, True, False), (False, False, True)):
            raise DeclarationError(
                f"silver/{self.name} has to say how its rows are made: by made and touched, or by carried_on alone"
            )

        known = {source.silver_name for source in self.inputs} if self.touched else set()
        if strange := sorted(set(self.by_key_alone) - known):
            raise DeclarationError(
                f"silver/{self.name} names {', '.join(strange)} under by_key_alone; name inputs that touched is told of"
            )

    def found_in(self, source: str) -> Mapping[str, str]:
        """The key's columns that an input has, with its column or expression for each."""
        had = self.belonging.get(source, ())
        return had if isinstance(had, Mapping) else {name: name for name in had}

    @property
    def types(self) -> dict[str, str]:
        return {column.name: spark_type(column.type) for column in self.columns}

    # A table that is made of this one asks of it what it asks of a declared one.

    @property
    def silver_name(self) -> str:
        return self.name

    @property
    def silver_key(self) -> tuple[str, ...]:
        return self.key

    @property
    def plain_key(self) -> tuple[str, ...]:
        """Those columns of the key that say nothing of a person."""
        personal = {column.name for column in self.columns if column.personal}
        return tuple(name for name in self.key if name not in personal)

    @property
    def restricted(self) -> bool:
        return any(source.restricted for source in self.inputs)
