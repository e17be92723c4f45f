"""The process that serves: it makes the company as it stood, opens the servers and says where they are."""

import gc
import os
import signal

from sandbox.salesforce.oauth import Credentials
from sandbox.salesforce.server import SalesforceServer
from sandbox.state import State, environment_file, folder, write_private
from sandbox.world.company import Sizes, World


def serve(state: State) -> None:
    """Until the process is told to end."""
    # Held off in every thread, so that the wait below gets them.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with at_its_port(company(state), state) as server:
        settings = "".join(f"{name}={value}\n" for name, value in server.settings().items())
        write_private(environment_file(), settings)
        state.with_(
            port=server.port,
            process=os.getpid(),
            authority=str(server.ca_file),
            credentials=server.credentials.kept(),
        )
        signal.sigwait(ends)


def company(state: State) -> World:
    """The company as it stands on the remembered day."""
    world = World(state.seed, Sizes.at(state.scale, state.leads))
    world.advance(state.day)
    # A company of a million rows need not be looked through for garbage again and again.
    gc.freeze()
    return world


def at_its_port(world: World, state: State) -> SalesforceServer:
    """The port and credentials that it had before; another port where that one is taken by now."""
    credentials = Credentials(**state.credentials) if state.credentials else Credentials.new()
    try:
        return SalesforceServer(world, folder=folder(), port=state.port, credentials=credentials)
    except OSError:
        return SalesforceServer(world, folder=folder(), credentials=credentials)


if __name__ == "__main__":
    remembered = State.load()
    if remembered is None:
        raise SystemExit("there is no sandbox yet; start it with `data-platform sandbox up`")
    serve(remembered)
