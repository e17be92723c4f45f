"""The few commands that Dagster's own CLI does not have."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Annotated

import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table

from data_platform.connectors.base import SourceError
from data_platform.declarations import SourceTable
from data_platform.lake.errors import LakeError, PositionMissing
from data_platform.lake.places import lake_of
from data_platform.lake.tables import Lake, LakeTable
from data_platform.settings import CHECKOUT, Settings, dagster_home
from data_platform.sources.catalogue import TABLES, table_named

commands = typer.Typer(
    help="Look at the lake's tables, mend them, and try the platform out.", no_args_is_help=True
)
position = typer.Typer(help="How far a table's inputs were read.", no_args_is_help=True)
quarantine = typer.Typer(help="Rows that were kept back, and why.", no_args_is_help=True)
commands.add_typer(position, name="position")
commands.add_typer(quarantine, name="quarantine")
console = Console()

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="As salesforce.leads.")]


def app() -> None:
    """Errors that we foresaw are told in a line."""
    from data_platform.demo import DemoFailed

    try:
        commands()
    except (KeyError, IndexError):
        # Lookups too, and none that we foresaw.
        raise
    except (LakeError, SourceError, LookupError, DemoFailed) as error:
        told = str(error)
    except ValidationError as error:
        told = "\n".join(_wrong_settings(error))
    Console(stderr=True).print(told, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(1)


def _wrong_settings(error: ValidationError) -> Iterator[str]:
    """Without the value, which may be a secret."""
    for wrong in error.errors(include_input=False):
        name = "_".join(map(str, wrong["loc"])).upper()
        yield f"the setting {name} can't be used: {wrong['msg']}; correct it in the environment or in .env"


@commands.command()
def demo() -> None:
    """Start the sandbox and run the whole chain on it; each later time a day goes by in it first."""
    from data_platform.demo import show

    show()


@commands.command()
def ui() -> None:
    """Dagster's UI, with the runs of the demo in it."""
    os.environ.setdefault("DAGSTER_HOME", str(dagster_home()))
    os.chdir(CHECKOUT)
    raise SystemExit(subprocess.call([sys.executable, "-m", "dagster", "dev"]))


# Help is asked of the sandbox itself.
@commands.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def sandbox(context: typer.Context) -> None:
    """Servers that stand in for the vendors: up, down, status, advance, misbehave."""
    done = subprocess.run([sys.executable, "-m", "sandbox", *context.args], cwd=CHECKOUT, check=False)  # noqa: S603
    raise SystemExit(done.returncode)


@commands.command()
def tables() -> None:
    """Each table: its position, rows, last load, receipt and score."""
    from data_platform.checks.scores import quality_of

    lake = lake_of(Settings())
    shown = _table()
    for name in ("table", "read up to", "last load", "bronze", "silver", "kept", "sums", "score"):
        is_number = name in ("bronze", "silver", "kept", "score")
        # A narrow terminal folds the dates between day and hour.
        folded = 6 if name in ("read up to", "last load") else None
        shown.add_column(name, justify="right" if is_number else "left", no_wrap=not folded, min_width=folded)
    for table in TABLES:
        bronze, quality = lake.bronze(table), quality_of(table, lake)
        shown.add_row(
            f"{table.system}.{table.name}",
            _short_position(bronze),
            bronze.written_at.strftime("%d %b %H:%M") if bronze.written_at else "never",
            f"{bronze.rows:,}",
            f"{quality.live:,}" if quality else "",
            f"{quality.quarantined:,}" if quality else "",
            _verdict(bronze),
            f"{quality.score:.1f}" if quality else "",
        )
    console.print(shown)


@commands.command()
def stream(
    names: Annotated[list[str], typer.Argument(metavar="TABLE…", help="As kafka.user_events.")],
) -> None:
    """Load streams all the time, a commit every second or so, until a signal ends it."""
    import dagster

    from data_platform.streaming.process import stream as follow_all

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("DAGSTER_HOME", str(dagster_home()))
    with dagster.DagsterInstance.get() as instance:
        follow_all([table_named(name) for name in names], Settings(), instance)


@position.command("show")
def show_position(name: TableName) -> None:
    """The positions that a table's bronze and silver hold; of one that is made of others, silver's."""
    for held in _layers(name, lake_of(Settings())).values():
        console.print(
            f"{held.name}: {json.dumps(held.position, sort_keys=True)}", highlight=False, soft_wrap=True
        )


def _layers(name: str, lake: Lake) -> dict[str, LakeTable]:
    if "." not in name:
        from data_platform.silver.catalogue import JOINED

        if name in {table.name for table in JOINED}:
            return {"silver": lake.silver(name)}
    table = table_named(name)
    return {"bronze": lake.bronze(table), "silver": lake.silver(table.silver_name)}


@position.command("set")
def set_position(
    name: TableName,
    to: Annotated[
        str, typer.Argument(metavar="JSON", help="As `position show` prints it; null to read all again.")
    ],
    layer: Annotated[
        str, typer.Option(help="bronze or silver; where not said, the first that there is.")
    ] = "",
) -> None:
    """Say from where the next load reads. Nothing is deleted; what landed before is left out or merged again."""
    layers = _layers(name, lake_of(Settings()))
    if layer and layer not in layers:
        raise LookupError(f"{name} has no layer {layer!r} with a position; write {' or '.join(layers)}")
    try:
        wanted = json.loads(to)
    except ValueError:
        raise LookupError(
            f"{to!r} is not JSON; `data-platform position show {name}` prints what is expected"
        ) from None
    if not isinstance(wanted, dict | None):
        raise LookupError(f"a position is a JSON object or null, and {to!r} is neither")
    held = layers[layer] if layer else next(iter(layers.values()))
    if missing := sorted(set(_position_now(held) if wanted else ()) - set(wanted or ())):
        raise LookupError(
            f"the position of {held.name} says {', '.join(missing)} too, and {to} does not; "
            f"`data-platform position show {name}` prints a whole one"
        )
    held.set_position(wanted or {})
    console.print(f"{held.name} goes on from {json.dumps(wanted)}", soft_wrap=True)


@quarantine.command("list")
def list_quarantine() -> None:
    """Every table with rows kept back, by rule."""
    lake = lake_of(Settings())
    shown = _table()
    for name in ("table", "reason", "rows"):
        shown.add_column(name, justify="right" if name == "rows" else "left")
    for table in TABLES:
        for held, reasons in (
            (lake.silver_quarantine(table.silver_name), "unnest(_reasons)"),
            (lake.quarantine(table), "_reason"),
        ):
            for reason, rows in _by_reason(held, reasons):
                shown.add_row(f"{table.system}.{table.name}", reason, f"{rows:,}")
    console.print(shown)


@quarantine.command("show")
def show_quarantine(name: TableName, limit: Annotated[int, typer.Option(min=1)] = 20) -> None:
    """Some of a table's kept rows: the key, the reasons, and the values that the broken rules look at."""
    table = table_named(name)
    held = lake_of(Settings()).silver_quarantine(table.silver_name)
    if not held.rows:
        console.print(f"Nothing of {name} is in quarantine.")
        return
    newest = held.query(f"select * from held order by _source_batch desc limit {limit}").to_pylist()
    reasons = {reason for row in newest for reason in row["_reasons"]}
    columns = list(dict.fromkeys((*table.silver_key, *_judged_by(table, reasons))))
    shown = _table(f"{held.rows:,} rows in quarantine")
    for column in (*columns, "reasons", "batch"):
        shown.add_column(column, overflow="fold", no_wrap=column in table.silver_key)
    for row in newest:
        shown.add_row(
            *(str(row[column]) for column in columns), ", ".join(row["_reasons"]), str(row["_source_batch"])
        )
    console.print(shown)


@quarantine.command("replay")
def replay_quarantine(name: TableName) -> None:
    """Judge a table's kept rows by today's declaration; what passes lands in silver, once."""
    from data_platform.demo import printing_to
    from data_platform.lake.spark import session
    from data_platform.silver.replay import replay

    settings = Settings()
    table = table_named(name)
    # A descriptor of its own, since the JVM's words go to a file.
    shown = Console(file=os.fdopen(os.dup(1), "w"))
    with shown.status("Replaying"), printing_to(settings.home / "replay.log"):
        done = replay(session(settings), table, lake_of(settings))
    console.print(
        f"{done.passed:,} rows of {name} now pass and are in silver; {done.kept:,} stay in quarantine."
    )


def _position_now(held: LakeTable) -> Iterable[str]:
    """What the position that is to be replaced says; nothing where it is lost."""
    try:
        return held.position or ()
    except PositionMissing:
        return ()


def _judged_by(table: SourceTable, rules: set[str]) -> Iterator[str]:
    """The silver columns that these rules look at."""
    for name, rule, column in table.every_rule:
        if name in rules:
            named = [
                table.by_name[other] for other in re.findall(r"{(\w+)}", rule.condition) if other != "column"
            ]
            yield from (each.silver_name for each in (column, *named) if each and each.silver_name)


def _by_reason(held: LakeTable, reasons: str) -> list[tuple[str, int]]:
    if not held.rows:
        return []
    asked = f"select reason, count(*) as n from (select {reasons} as reason from held) group by reason order by n desc"
    return [(str(row["reason"]), int(row["n"])) for row in held.query(asked).to_pylist()]


def _table(title: str | None = None) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )


def _verdict(held: LakeTable) -> str:
    """Whether the last load's receipt adds up; in full where it does not."""
    if held.receipt is None:
        return ""
    return "✓" if held.receipt.adds_up else held.receipt.says


def _short_position(held: LakeTable) -> str:
    """The part of a position that a person follows."""
    match held.position:
        case {"until": until}:
            return f"{datetime.fromisoformat(until):%d %b %H:%M}"
        case {"lsn": lsn}:
            return str(lsn)
        case {"offsets": offsets}:
            return f"{sum(offsets.values()):,} messages"
        case {"days": days}:
            return f"{date.fromisoformat(min(days.values())):%d %b}"
        case {"layouts": layouts}:
            days = [day for files in layouts.values() for day in files]
            return f"{date.fromisoformat(max(days)):%d %b}" if days else "files"
    return json.dumps(held.position) if held.position else ""


if __name__ == "__main__":
    app()
