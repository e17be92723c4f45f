"""The process that serves: it makes the company as it stood, opens the servers and says where they are."""

import gc
import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

from sandbox.children import kept_port
from sandbox.salesforce.oauth import Credentials
from sandbox.salesforce.server import SalesforceServer
from sandbox.state import State, environment_file, folder, write_private
from sandbox.systems import SYSTEMS, Place, Served
from sandbox.world.company import Sizes, World


def serve(state: State) -> None:
    """Until the process is told to end."""
    ends = Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: ends.set())
    world = company(state)
    with ExitStack() as stack:
        places = {name: Place(folder() / name, state.kept.get(name, {})) for name in _chosen(state)}
        others = opened(stack, world, places)
        server = stack.enter_context(at_its_port(world, state))
        server.control.others = others
        known = [server.settings(), *(other.settings for other in others.values())]
        lines = (f"{name}={value}\n" for settings in known for name, value in settings.items())
        write_private(environment_file(), "".join(lines))
        state.with_(
            port=server.port,
            process=os.getpid(),
            authority=str(server.ca_file),
            credentials=server.credentials.kept(),
            kept=state.kept | {name: place.kept for name, place in places.items()},
        )
        # The signal may meet another thread, which does not wake this one.
        while not ends.wait(0.5):
            pass


def _chosen(state: State) -> list[str]:
    return list(SYSTEMS) if state.systems is None else state.systems


def company(state: State) -> World:
    """The company as it stands on the remembered day."""
    world = World(state.seed, Sizes.at(state.scale, state.leads))
    world.advance(state.day)
    # A company of a million rows need not be looked through for garbage again and again.
    gc.freeze()
    return world


def opened(stack: ExitStack, world: World, places: Mapping[str, Place]) -> dict[str, Served]:
    """All of them at once: each waits for a process of its own. Those that did open are closed where one did not."""
    with ThreadPoolExecutor(len(SYSTEMS)) as openers:
        opening = {
            name: openers.submit(stack.enter_context, SYSTEMS[name](world, place))
            for name, place in places.items()
        }
    return {name: each.result() for name, each in opening.items()}


def at_its_port(world: World, state: State) -> SalesforceServer:
    """The port and credentials that it had before; another port where that one is taken by now."""
    credentials = Credentials(**state.credentials) if state.credentials else Credentials.new()
    return SalesforceServer(world, folder=folder(), port=kept_port(state.port), credentials=credentials)


if __name__ == "__main__":
    remembered = State.load()
    if remembered is None:
        raise SystemExit("there is no sandbox yet; start it with `data-platform sandbox up`")
    serve(remembered)
