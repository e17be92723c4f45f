"""Ports for servers that are started side by side."""

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Timer

import pytest

from sandbox import children
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


def test_a_wished_port_is_waited_for_while_who_had_it_leaves():
    leaving = socket.create_server(("127.0.0.1", 0))
    wished = leaving.getsockname()[1]
    Timer(0.2, leaving.close).start()
    assert free_port(wished) == wished


def test_a_wished_port_that_another_keeps_is_left_to_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "LEAVES_WITHIN", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as kept:
        assert free_port(kept.getsockname()[1], FEW_PORTS) in FEW_PORTS
