"""What addresses are: whether this machine alone reaches them; which are asked, of those that requests name.

Nobody asks where machines are told about themselves: clouds answer there, to whoever asks from the machine, with its credentials. This
machine's own addresses are asked only where whoever asks for runs may do all here anyway, or a setting says so: behind them stand the log's
registry and the database. A name is looked up twice, before a request and by who connects, and may mean another address then: so what was
connected to is held to the same, before anything is sent.

Sources: RFC 3927 (169.254.0.0/16), RFC 4291, 2.5.5 (::/96) and 2.5.6 (fe80::/10), RFC 6052 (64:ff9b::/96, and where in a prefix the IPv4
address lies, 2.2), RFC 8215 (64:ff9b:1::/48); and the addresses of metadata that are of no such range: AWS's fd00:ec2::254, Google's
fd20:ce::254, Alibaba's 100.100.100.200, Oracle's 192.0.0.192, Azure's 168.63.129.16.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from infra.settings import Settings
from streams.errors import Invalid

METADATA: Final = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")))
# Where an IPv6 address holds an IPv4 one, by its octets; of the last network each operator says which: all that it can be are looked at.
TRANSLATED: Final = {
    IPv6Network("64:ff9b::/96"): ((12, 13, 14, 15),),
    IPv6Network("::/96"): ((12, 13, 14, 15),),
    IPv6Network("64:ff9b:1::/48"): ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15)),
}
FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
CONNECTED: Final = "connection.connect_tcp.complete"  # httpcore's name of the moment
Address = IPv4Address | IPv6Address


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens at the address."""
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, or nothing that is any
        return False


def needs_keys(settings: Settings) -> bool:
    """Whether who asks the query API must show a key."""
    return settings.api_door == "closed" or (settings.api_door == "auto" and not is_loopback(settings.api))


@dataclass(frozen=True, slots=True)
class Askable:
    """Which addresses are asked. `own`: those of this machine too."""

    own: bool

    @classmethod
    def of(cls, settings: Settings | None = None) -> "Askable":
        """As the settings, this process's where none are given, say: unset, this machine's own are asked where the API wants no keys."""
        settings = settings or Settings()
        return cls(not needs_keys(settings) if settings.ask_loopback is None else settings.ask_loopback)

    def check(self, url: str) -> None:
        """Raises: Invalid where the address, or one that its name stands for, is not asked. A name that nobody knows passes."""
        host = urlsplit(url).hostname or ""
        try:
            found = {str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        except (OSError, UnicodeError):
            return
        for address in found:
            self.check_reached(address, url=url)

    def check_reached(self, address: str, *, url: str) -> None:
        """Raises: Invalid where an IP address, which the url stands for, is not asked."""
        for plain in _plain(ip_address(address.partition("%")[0])):
            if plain.is_link_local or plain.is_multicast or plain in METADATA:
                raise Invalid(
                    f"url {url}: that is {plain}, where machines are told about themselves, no server of models; give the server's address",
                    code="url",
                )
            if not self.own and (plain.is_loopback or plain.is_unspecified or plain in _of_this_machine()):
                raise Invalid(
                    f"url {url}: that is {plain}, the agent's own machine, which is not asked where the API wants keys; "
                    "ASSAY_ASK_LOOPBACK=true at the agent allows it", code="url",
                )  # fmt: skip

    def watching(self, url: str) -> dict[str, Callable[[str, dict[str, Any]], None]]:
        """Extensions of httpx's requests to that url, by which each connection is held to this before anything is sent.

        Source: httpcore, Request Extensions: "trace".
        """

        def trace(moment: str, told: dict[str, Any]) -> None:
            if moment == CONNECTED:
                stream = told["return_value"]
                try:
                    self.check_reached(stream.get_extra_info("server_addr")[0], url=url)
                except Invalid:
                    stream.close()
                    raise

        return {"trace": trace}


def _plain(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 ones that it stands for where it is an IPv6 one that does."""
    yield address
    if not isinstance(address, IPv6Address):
        return
    yield from filter(None, (address.ipv4_mapped, address.sixtofour))
    places = next((places for network, places in TRANSLATED.items() if address in network), ())
    found = (IPv4Address(bytes(address.packed[octet] for octet in place)) for place in places)
    yield from (one for one in found if int(one) > 1)  # none, and those of :: and ::1, which are told as such


def _of_this_machine() -> set[Address]:
    """The addresses under which others reach this machine."""
    told = [one.address.partition("%")[0] for each in psutil.net_if_addrs().values() for one in each if one.family in FAMILIES]
    return {ip_address(one) for one in told}
