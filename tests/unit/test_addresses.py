"""Which addresses agents ask, of those that requests name: never a cloud's metadata, and their own machine's where nobody needs a key."""

import socket
import threading
from types import SimpleNamespace

import psutil
import pytest

from gpu_agent.engines.served.client import Client
from gpu_agent.workloads.load import Target, load
from infra.addresses import Askable
from infra.settings import Settings
from schemas.requests import Workload
from streams.errors import Invalid, Temporary

METADATA = [
    "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "224.0.0.1", "100.100.100.200", "[fd20:ce::254]",
    "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "168.63.129.16", "[::ffff:168.63.129.16]", "[64:ff9b:1::a9fe:a9fe]",
    "[64:ff9b:1:a9fe:a9:fe00::]", "[64:ff9b:1:a9:fe:a9fe::]", "[64:ff9b:1:0:a9:fea9:fe00::]", "[::169.254.169.254]",
]  # fmt: skip
OWN = ["http://[::1]:8000", "http://0.0.0.0:8000", "http://127.9.0.1", "http://[::]:80", "http://[::ffff:127.0.0.1]", "http://localhost:1",
       "http://[64:ff9b:1::7f00:1]", "http://[::127.0.0.1]"]  # fmt: skip


@pytest.mark.parametrize("host", METADATA)
def test_where_machines_are_told_about_themselves_nobody_asks(host: str) -> None:
    """It is no server of models, whatever a setting says; others are asked."""
    for own in (True, False):
        with pytest.raises(Invalid, match="give the server's address"):
            Askable(own=own).check(f"http://{host}/latest")
        for url in (
            "http://10.0.0.1",
            "http://[64:ff9b:1::a00:1]",
            "http://[64:ff9b::a00:1]",
            "http://[2001:db8::1]",
            "http://no-such-host.invalid",
        ):
            Askable(own=own).check(url)


@pytest.mark.parametrize("url", OWN)
def test_an_agents_own_machine_is_asked_where_nobody_needs_a_key(url: str) -> None:
    """Or where a setting says so: else whoever may ask for a run could ask its database and registry."""
    for settings in (Settings(), Settings(api="http://0.0.0.0:1", api_door="open"), Settings(api="http://0.0.0.0:1", ask_loopback=True)):
        Askable.of(settings).check(url)
    for settings in (Settings(api="http://0.0.0.0:1"), Settings(api_door="closed"), Settings(ask_loopback=False)):
        with pytest.raises(Invalid, match="ASSAY_ASK_LOOPBACK"):
            Askable.of(settings).check(url)


def test_an_agents_own_machine_is_itself_by_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind each may stand what listens for its own network alone."""
    told = SimpleNamespace(family=socket.AF_INET, address="10.1.2.3"), SimpleNamespace(family=socket.AF_INET6, address="fd00::5%eth0")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": [*told, SimpleNamespace(family=-1, address="aa:bb")]})
    for url in ("http://10.1.2.3:80", "http://[fd00::5]", "http://[::ffff:10.1.2.3]"):
        with pytest.raises(Invalid, match="the agent's own machine"):
            Askable(own=False).check(url)
        Askable(own=True).check(url)
    Askable(own=False).check("http://10.1.2.4")


def test_what_is_connected_to_is_held_to_it_too() -> None:
    """A name may stand for another address when it is looked up again; nothing is sent then, by engine, load or download."""
    heard = list[bytes]()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        url = f"http://localhost:{server.getsockname()[1]}"

        def hear() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(5)
                    heard.append(connection.recv(100))

        thread = threading.Thread(target=hear)
        thread.start()
        with pytest.raises(Invalid, match="the agent's own machine"):
            Client(url, key="sk-1", retries=0, timeout_s=5, at_once=1, asks=Askable(own=False)).get("/v1/models")
        workload = Workload(url=url, requests=1, rate_per_s=10, input_tokens=2, output_tokens=2)
        with pytest.raises(Temporary, match="the agent's own machine"):
            list(load(workload, Target("m", "m", asks=Askable(own=False)), seed=1))
        thread.join()
    assert heard == [b"", b""]
