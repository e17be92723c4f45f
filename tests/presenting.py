"""A server that has nothing but a certificate: who asks it by TLS comes no further than that."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from sandbox.certificate import Certificate


@contextmanager
def presenting(certificate: Certificate) -> Iterator[str]:
    """The address where it does."""
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(certificate.server)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=_present, args=(listening, shown), daemon=True).start()
        try:
            yield "{}:{}".format(*listening.getsockname())
        finally:
            # Who waits for a caller is told, which closing alone does not.
            listening.shutdown(socket.SHUT_RDWR)


def _present(listening: socket.socket, shown: ssl.SSLContext) -> None:
    while True:
        try:
            caller, _ = listening.accept()
        except OSError:
            return
        with caller, suppress(OSError):
            shown.wrap_socket(caller, server_side=True).close()
