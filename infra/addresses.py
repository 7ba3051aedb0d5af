"""What addresses are: whether this machine alone reaches them; whether an agent asks them, of those that requests name.

It does not ask where machines are told about themselves: clouds answer there, to whoever asks from the machine, with its credentials.
Source: RFC 3927 (169.254.0.0/16), RFC 4291, 2.5.6 (fe80::/10); AWS's fd00:ec2::254, which is of no such range.
"""

import socket
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from streams.errors import Invalid

METADATA: Final = frozenset({ip_address("fd00:ec2::254")})


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens at the address."""
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, or nothing that is any
        return False


def check_asked(url: str) -> None:
    """Raises: Invalid where the address, or one that its name stands for, is link-local or multicast. A name that nobody knows passes."""
    host = urlsplit(url).hostname or ""
    try:
        found = {str(one[4][0]).partition("%")[0] for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return
    for address in map(ip_address, found):
        plain = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
        if plain.is_link_local or plain.is_multicast or plain in METADATA:
            raise Invalid(
                f"url {url}: {host} is {plain}, where machines are told about themselves, no server of models; give the server's address",
                code="url",
            )
