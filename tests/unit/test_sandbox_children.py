"""Ports for servers that are started side by side."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Timer
from typing import cast

import pytest

from sandbox import children
from sandbox.children import free_port
from sandbox.redshift import server as redshift

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


def test_a_port_that_another_process_was_given_looks_taken_before_its_server_listens():
    theirs = "from sandbox.children import free_port; print(free_port(19_100), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", theirs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        given = int(other.stdout.readline())
        assert not children._is_given(given)
        other.communicate("\n")
    assert free_port(given) == given


def test_redshift_comes_back_at_once_to_a_port_that_connections_were_closed_on():
    """The system keeps such a port from servers that do not ask to have it again."""
    first = redshift._Listener(("127.0.0.1", 0), cast("redshift.RedshiftServer", None))
    port = first.server_address[1]
    with socket.create_connection(("127.0.0.1", port)) as client:
        first.get_request()[0].close()
        assert client.recv(1) == b""
    first.server_close()
    redshift._Listener(("127.0.0.1", port), cast("redshift.RedshiftServer", None)).server_close()
