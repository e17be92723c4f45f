"""The sandbox's commands: `python -m sandbox up | down | status | advance | misbehave`."""

import json
import shutil
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sandbox import processes
from sandbox.processes import SandboxError
from sandbox.state import ADDRESSES, SYSTEM_NAMES, State, environment_file, folder

app = typer.Typer(help="Servers on this machine that stand in for the vendors.", no_args_is_help=True)
console = Console()


@app.command()
def up(
    scale: Annotated[float | None, typer.Option(help="Times the usual company of 5,000 leads.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed is another company.")] = None,
    leads: Annotated[int | None, typer.Option(help="How many leads, whatever the scale.")] = None,
    systems: Annotated[
        str | None,
        typer.Option(help="Which to serve beside Salesforce, as postgres,mysql; all unless said, or none."),
    ] = None,
) -> None:
    """Start the servers, or say that they run. The company is the one before, unless another is asked for."""
    asked: dict[str, Any] = {
        name: value
        for name, value in (
            ("scale", scale),
            ("seed", seed),
            ("leads", leads),
            ("systems", _named(systems) if systems else None),
        )
        if value is not None
    }
    state = State.load()
    is_same = state is not None and all(getattr(state, name) == value for name, value in asked.items())
    if state and processes.running(state):
        if not is_same:
            raise SandboxError(
                "the sandbox is up with another company or other systems; `data-platform sandbox down` first"
            )
        console.print(f"The sandbox is up already; its addresses are in {environment_file()}", soft_wrap=True)
        return
    if state is None:
        state = State(**asked)
    elif not is_same:
        state = _with_another_company(state, asked)
    state.save()
    processes.start(state)
    console.print(f"The sandbox is up; its addresses are in {environment_file()}", soft_wrap=True)


def _named(systems: str) -> list[str]:
    chosen = [] if systems == "none" else [name.strip() for name in systems.split(",")]
    if unknown := sorted(set(chosen) - set(SYSTEM_NAMES)):
        raise SandboxError(f"there is no system {', '.join(unknown)}; there are {', '.join(SYSTEM_NAMES)}")
    return chosen


def _with_another_company(state: State, asked: dict[str, Any]) -> State:
    """Other systems of the same company keep its day; another company begins anew, at the same addresses."""
    if set(asked) == {"systems"}:
        return replace(state, **asked)
    for name in SYSTEM_NAMES:
        shutil.rmtree(folder() / name, ignore_errors=True)
    return replace(State(**asked), **{name: getattr(state, name) for name in ADDRESSES})


@app.command()
def down() -> None:
    """Stop the servers. The company keeps its day."""
    state = State.load()
    if state is None or not processes.running(state):
        console.print("The sandbox is not up.")
        return
    processes.stop(state)
    console.print("The sandbox is down.")


@app.command()
def status() -> None:
    """Show what runs, and how far the company is."""
    state = State.load()
    told = processes.running(state)
    if state is None or told is None:
        console.print("The sandbox is not up; start it with `data-platform sandbox up`.")
        raise typer.Exit(1)
    table = Table(show_header=False)
    table.add_row("salesforce", f"https://127.0.0.1:{state.port}")
    for name, address in told["systems"].items():
        table.add_row(name, address)
    table.add_row("company", f"seed {state.seed}, day {told['day']}, {told['clock']}")
    table.add_row("calls today", told["calls"])
    table.add_row("misbehaviours to come", str(told["misbehaviours to come"]))
    for name, count in told["records"].items():
        table.add_row(f"{name} records", f"{count:,}")
    console.print(table)


@app.command()
def advance(days: Annotated[int, typer.Option(min=1, help="How many days go by.")] = 1) -> None:
    """Let time go by in the company: records come, change and go."""
    state = _begun()
    if processes.running(state):
        processes.ask(state, "advance", days=days)
    state.with_(day=state.day + days)
    console.print(f"It is day {state.day + days}.")


@app.command()
def misbehave(
    command: Annotated[str, typer.Argument(help="fail_next, cut_next, expire_sessions, drop_column, …")],
    arguments: Annotated[list[str] | None, typer.Argument(help="status=503 times=2 path='*/query*'")] = None,
) -> None:
    """Make the Salesforce server go wrong, or change what it holds. See sandbox/salesforce/control.py."""
    state = _begun()
    if not processes.running(state):
        raise SandboxError("the sandbox is not up; start it with `data-platform sandbox up`")
    answer = processes.ask(state, command, **dict(_argument(each) for each in arguments or ()))
    console.print_json(json.dumps(answer))


def _begun() -> State:
    state = State.load()
    if state is None:
        raise SandboxError("there is no sandbox yet; start it with `data-platform sandbox up`")
    return state


def _argument(text: str) -> tuple[str, Any]:
    """`name=value`, the value as JSON or else as it stands."""
    name, sign, value = text.partition("=")
    if not sign:
        raise SandboxError(f"{text!r} is no argument; write name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> None:
    try:
        app()
    except (SandboxError, ValueError) as error:
        Console(stderr=True).print(f"[red]{error}[/red]", soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
