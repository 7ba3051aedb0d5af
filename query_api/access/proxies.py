"""Whose word counts about who asks, and by what: proxies before the API, which say it in X-Forwarded-For and X-Forwarded-Proto.

By that word a session's cookie is for TLS alone, browsers come back by TLS, and wrong keys are counted for who showed them.
"""

from ipaddress import ip_network

from infra.settings import Settings
from streams.errors import Invalid


def proxies_of(settings: Settings) -> list[str]:
    """Their addresses and networks; whoever asks from elsewhere is who they are. Raises: Invalid for what is none, or is everybody."""
    return [_network(one.strip()) for one in settings.api_proxies.split(",") if one.strip()]


def _network(told: str) -> str:
    try:
        network = ip_network(told)
    except ValueError as error:
        raise Invalid(
            f"ASSAY_API_PROXIES={told}: an address of a proxy, or a network, as 172.18.0.1 or 172.18.0.0/16 ({error})", code="proxies"
        ) from error
    if network.prefixlen == 0:
        raise Invalid(f"ASSAY_API_PROXIES={told}: by that anybody could say who they are; name the proxy's own address", code="proxies")
    return told
