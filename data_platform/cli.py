"""The few commands that Dagster's own CLI does not have."""

import json
import os
import subprocess
import sys
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from data_platform.connectors.base import SourceError
from data_platform.declarations import Severity
from data_platform.lake.errors import LakeError
from data_platform.lake.places import lake_of
from data_platform.lake.tables import LakeTable
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
    except (LakeError, SourceError, LookupError, DemoFailed) as error:
        Console(stderr=True).print(f"[red]{error.args[0] if error.args else error}[/red]", soft_wrap=True)
        raise SystemExit(1) from None


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


@commands.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
    for name in ("table", "read up to", "last load", "bronze", "silver", "kept back", "receipt", "score"):
        shown.add_column(
            name, justify="right" if name in ("bronze", "silver", "kept back", "score") else "left"
        )
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


@position.command("show")
def show_position(name: TableName) -> None:
    """The positions that a table's bronze and silver hold."""
    table, lake = table_named(name), lake_of(Settings())
    for held in (lake.bronze(table), lake.silver(table.silver_name)):
        console.print(
            f"{held.name}: {json.dumps(held.position, sort_keys=True)}", highlight=False, soft_wrap=True
        )


@position.command("set")
def set_position(
    name: TableName,
    to: Annotated[
        str, typer.Argument(metavar="JSON", help="As `position show` prints it; null to read all again.")
    ],
    layer: Annotated[str, typer.Option(help="bronze or silver.")] = "bronze",
) -> None:
    """Say from where the next load reads. Nothing is deleted; what landed before is left out or merged again."""
    table, lake = table_named(name), lake_of(Settings())
    if layer not in ("bronze", "silver"):
        raise LookupError(f"there is no layer {layer!r} with a position; write bronze or silver")
    try:
        wanted = json.loads(to)
    except ValueError:
        raise LookupError(
            f"{to!r} is not JSON; `data-platform position show {name}` prints what is expected"
        ) from None
    if not isinstance(wanted, dict | None):
        raise LookupError(f"a position is a JSON object or null, and {to!r} is neither")
    held = lake.bronze(table) if layer == "bronze" else lake.silver(table.silver_name)
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
    judged = [
        column.silver_name
        for _, rule, column in table.every_rule
        if column and rule.severity is Severity.ERROR
    ]
    columns = list(dict.fromkeys((*table.silver_key, *filter(None, judged))))
    shown = _table(f"{held.rows:,} rows in quarantine")
    for column in (*columns, "reasons", "batch"):
        shown.add_column(column)
    wanted = ", ".join(f'"{column}"' for column in columns)
    answer = held.query(
        f"select {wanted}, _reasons, _source_batch from held order by _source_batch desc limit {limit}"
    )
    for row in answer.to_pylist():
        shown.add_row(
            *(str(row[column]) for column in columns), ", ".join(row["_reasons"]), str(row["_source_batch"])
        )
    console.print(shown)


@quarantine.command("replay")
def replay_quarantine(name: TableName) -> None:
    """Judge a table's kept rows by today's declaration; what passes lands in silver, once."""
    from data_platform.lake.spark import session
    from data_platform.silver.replay import replay

    settings = Settings()
    table = table_named(name)
    with console.status("Replaying"):
        done = replay(session(settings), table, lake_of(settings))
    console.print(
        f"{done.passed:,} rows of {name} now pass and are in silver; {done.kept:,} stay in quarantine."
    )


def _by_reason(held: LakeTable, reasons: str) -> list[tuple[str, int]]:
    if not held.rows:
        return []
    asked = f"select reason, count(*) as n from (select {reasons} as reason from held) group by reason order by n desc"
    return [(str(row["reason"]), int(row["n"])) for row in held.query(asked).to_pylist()]


def _table(title: str | None = None) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _verdict(held: LakeTable) -> str:
    """Whether the last load's receipt adds up; in full where it does not."""
    if held.receipt is None:
        return ""
    return "adds up" if held.receipt.adds_up else held.receipt.says


def _short_position(held: LakeTable) -> str:
    """The part of a position that a person follows."""
    told = held.position or {}
    return str(told.get("until") or told.get("cursor") or (json.dumps(told) if told else "")).removesuffix(
        ":00Z"
    )


if __name__ == "__main__":
    app()
