"""Whether a connection to Redshift has to be encrypted; for loads and for dbt, and without a driver."""

from contextlib import suppress
from ipaddress import ip_address


def is_this_machine(host: str) -> bool:
    """What does not leave this machine is a stand-in, or a tunnel that encrypts by itself."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
