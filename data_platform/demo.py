"""The demo: the sandbox, the whole chain on it, and what came of it, told to a person at a terminal."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
from rich import box
from rich.console import Console
from rich.table import Table

from data_platform.checks.scores import quality_of
from data_platform.lake.places import lake_of
from data_platform.lake.spark import session
from data_platform.lake.tables import Lake
from data_platform.settings import CHECKOUT, Settings, dagster_home, served_elsewhere
from data_platform.sources.catalogue import TABLES

# A first look at the marts: a title, and the question that it answers.
FIRST_LOOKS = (
    (
        "Lead funnel by source",
        """select lead_source as "source", sum(leads) as leads, sum(worked) as worked, sum(converted) as converted,
        sum(won) as won, round(100.0 * sum(converted) / sum(leads), 1) as "converted %"
        from crm.mart_lead_funnel group by 1 order by leads desc limit 6""",
    ),
    (
        "Open pipeline by stage",
        """select stage, currency, sum(opportunities) as deals, round(sum(amount)) as amount,
        round(sum(weighted_amount)) as weighted
        from crm.mart_pipeline group by 1, 2 order by weighted desc limit 6""",
    ),
)


class DemoFailed(Exception):
    """The demo could not be shown; the message says why and where the whole story is."""


def show() -> None:
    # A descriptor of its own, since standard output goes to a file while the chain runs.
    console = Console(file=os.fdopen(os.dup(1), "w"))
    began = time.monotonic()
    is_later = _sandbox_ready(console)
    settings = Settings()
    ran = _run_chain(settings, console)
    _tell_tables(console, lake_of(settings), ran, is_later)
    _tell_quarantine(console, lake_of(settings))
    if settings.warehouse == "duckdb":
        _tell_marts(console, settings)
    _tell_next(console, settings, time.monotonic() - began)


def _sandbox_ready(console: Console) -> bool:
    """Start the sandbox; where the demo ran before, let a day go by in it. True then."""
    with console.status("Starting the sandbox: one company, and a server for each of its systems"):
        _sandbox("up")
        _must_be_the_sandbox(Settings())
        is_later = lake_of(Settings()).bronze(TABLES[0]).rows > 0
        if is_later:
            _sandbox("advance")
    console.print(
        "[bold]A day has gone by in the sandbox's company.[/bold] Only what changed is moved."
        if is_later
        else "[bold]The sandbox is up:[/bold] one company, and a server for each of its systems."
    )
    return is_later


def _must_be_the_sandbox(settings: Settings) -> None:
    """Nobody's own systems are loaded by a demo, wherever its settings come from."""
    # AWS is not asked for anything: the demo reads Salesforce by its API.
    if others := sorted(served_elsewhere(settings) - {"aws"}):
        raise DemoFailed(
            f"the demo runs on the sandbox, and the settings {', '.join(f'{name.upper()}_…' for name in others)} in "
            "the environment or in .env point elsewhere; unset them, or load your own systems from the UI (`make ui`)"
        )


def _sandbox(*command: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "sandbox", *command], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoFailed(f"the sandbox did not start: {done.stderr.strip() or done.stdout.strip()}")


class _Progress:
    """Prints a line for each step as it ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.metadata: dict[str, dict[str, Any]] = {}
        self.status = console.status("Loading the definitions")

    def __call__(self, event: dg.EventLogEntry) -> None:
        told = event.dagster_event
        if told is None:
            return
        if told.event_type is dg.DagsterEventType.STEP_START and told.step_key:
            self.status.update(f"{_readable(told.step_key)} …")
        elif told.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and told.asset_key:
            metadata = told.step_materialization_data.materialization.metadata
            self.metadata[told.asset_key.to_user_string()] = {
                name: value.value for name, value in metadata.items()
            }
        elif told.event_type is dg.DagsterEventType.STEP_SUCCESS and told.step_key:
            seconds = told.step_success_data.duration_ms / 1000
            self.console.print(
                f"  [green]✓[/green] {_readable(told.step_key):<38} [dim]{seconds:5.1f} s[/dim]"
            )
        elif told.event_type is dg.DagsterEventType.STEP_FAILURE and told.step_key:
            self.console.print(f"  [red]✗ {_readable(told.step_key)}[/red]")


def _readable(step: str) -> str:
    return step.replace("__", "/").replace("_checks", " checks")


def _begin_spark(settings: Settings) -> None:
    with suppress(Exception):
        session(settings)


def _run_chain(settings: Settings, console: Console) -> dict[str, dict[str, Any]]:
    """Run the whole chain in this process; what the machinery prints goes to a file."""
    log = settings.home / "demo.log"
    progress = _Progress(console)
    with progress.status, printing_to(log):
        from data_platform.automation.jobs import WHOLE_CHAIN
        from data_platform.definitions import defs

        os.environ.setdefault("DAGSTER_HOME", str(dagster_home()))
        # Spark starts while bronze is loaded; a session that can't is told of by the step that needs it.
        threading.Thread(target=partial(_begin_spark, settings), daemon=True).start()
        with dg.DagsterInstance.get() as instance:
            run_id = str(uuid4())
            instance.add_event_listener(run_id, progress)
            ended = defs.resolve_job_def(WHOLE_CHAIN).execute_in_process(
                instance=instance, run_id=run_id, raise_on_error=False
            )
    if not ended.success:
        raise DemoFailed(f"the chain did not end well: {'; '.join(_failures(ended))}. All of it is in {log}")
    return progress.metadata


def _failures(ended: dg.ExecuteInProcessResult) -> Iterator[str]:
    for event in ended.filter_events(lambda event: event.is_step_failure):
        failure = event.step_failure_data
        told = failure.user_failure_data.description if failure.user_failure_data else None
        message = told or (failure.error.message if failure.error else "no message")
        yield f"{_readable(event.step_key or '')}: {message.strip()}"


@contextmanager
def printing_to(log: Path) -> Iterator[None]:
    """Standard output and error of this process and its children, into a file for a while."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    before = os.dup(1), os.dup(2)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(before[0], 1)
            os.dup2(before[1], 2)
            os.close(before[0])
            os.close(before[1])


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _tell_tables(console: Console, lake: Lake, ran: dict[str, dict[str, Any]], is_later: bool) -> None:
    shown = _table("What was moved" if is_later else "What was landed")
    for name in ("table", "landed", "bronze", "silver", "kept", "receipt", "score"):
        shown.add_column(name, justify="left" if name == "table" else "right", no_wrap=True)
    for table in TABLES:
        loaded, quality = ran.get("/".join(table.asset_path), {}), quality_of(table, lake)
        shown.add_row(
            f"{table.system}.{table.name}",
            f"{loaded.get('landed', 0):,}",
            f"{lake.bronze(table).rows:,}",
            f"{quality.live if quality else 0:,}",
            f"{quality.quarantined if quality else 0:,}",
            "✓" if "≠" not in str(loaded.get("receipt")) else "[red]does not[/red]",
            f"{quality.score:.1f}" if quality else "",
        )
    console.print(shown)
    console.print(
        "[dim]landed: new in bronze in this run; silver: live rows, one per key; kept: in quarantine; receipt: "
        "what the source counted against what became of it, and whether that adds up.[/dim]\n"
    )


def _tell_quarantine(console: Console, lake: Lake) -> None:
    shown = _table("In quarantine, and why")
    shown.add_column("table")
    shown.add_column("rule that is broken")
    shown.add_column("rows", justify="right")
    for table in TABLES:
        quality = quality_of(table, lake)
        for name, rule, _ in table.every_rule if quality else []:
            if rule.severity.value == "error" and quality and quality.broken[name]:
                shown.add_row(f"{table.system}.{table.name}", name, f"{quality.broken[name]:,}")
    console.print(shown)


def _tell_marts(console: Console, settings: Settings) -> None:
    import duckdb

    with duckdb.connect(str(settings.duckdb_file), read_only=True) as warehouse:
        for title, question in FIRST_LOOKS:
            answer = warehouse.execute(question)
            shown = _table(title)
            for column in answer.description or []:
                shown.add_column(
                    str(column[0]), justify="left" if column[0] in ("source", "stage") else "right"
                )
            for row in answer.fetchall():
                shown.add_row(
                    *(
                        f"{value:,}" if isinstance(value, int | float | Decimal) else str(value)
                        for value in row
                    )
                )
            console.print(shown)


def _tell_next(console: Console, settings: Settings, seconds: float) -> None:
    console.print(f"\nDone in {seconds:.0f} s. What to do next:")
    console.print("  [bold]make demo[/bold]   again: a day goes by, and only the change is moved")
    console.print("  [bold]make ui[/bold]     Dagster's UI, with this run in it, on http://localhost:3000")
    console.print("  [bold].venv/bin/data-platform tables[/bold], or [bold]… quarantine list[/bold]")
    console.print("  ask the marts yourself:")
    console.print(
        f"    .venv/bin/python -c \"import duckdb; print(duckdb.connect('{_short(settings.duckdb_file)}', "
        "read_only=True).sql('select * from crm.mart_win_rate'))\"",
        highlight=False,
        soft_wrap=True,
    )


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
