"""Ports for servers that are started side by side."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sandbox.children import free_port

SERVERS = 20
FEW_PORTS = range(19_000, 19_000 + 2 * SERVERS)


def test_servers_that_start_at_once_get_ports_of_their_own():
    at_once = Barrier(SERVERS)

    def start(_: int) -> int:
        at_once.wait()
        return free_port(ports=FEW_PORTS)

    with ThreadPoolExecutor(SERVERS) as starting:
        ports = list(starting.map(start, range(SERVERS)))
    assert len(set(ports)) == SERVERS
    assert set(ports) <= set(FEW_PORTS)
