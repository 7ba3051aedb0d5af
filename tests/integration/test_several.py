"""A load that several processes send is the load of one: each request once, at its time, and all of it in one stream."""

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from gpu_agent.workloads.load import Target, load
from gpu_agent.workloads.several import several
from gpu_agent.workloads.timed import Timed
from schemas.requests import Workload
from streams.errors import Permanent, Temporary
from tests.delays.running import Server, known_delays

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TARGET = Target("known?ttft_ms=20&itl_ms=5", "m")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server, for all tests of this file."""
    with known_delays() as started:
        yield started


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Every process that a load started has ended with it."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


def _sent(timed: list[Timed]) -> list[Timed]:
    return sorted(timed, key=lambda one: one.planned.index)


def test_it_is_the_load_of_one_process(server: Server) -> None:
    """The same requests at the same times after its start, and the server has had each of them once."""
    workload = Workload(profile="poisson", rate_per_s=60, duration_s=2, url=server.url, warmup_requests=3, output_tokens=4)
    found = list[list[Timed]]()
    for sending in (load(workload, TARGET, seed=3), several(workload, TARGET, seed=3, processes=3)):
        server.forget()
        found.append(_sent(list(sending)))
        assert sorted(int(one.request_id) for one in server.record() if int(one.request_id) >= 0) == [
            one.planned.index for one in found[-1]
        ]
    alone, together = found
    assert [one.planned for one in together] == [one.planned for one in alone]
    steady = [[one for one in of if one.planned.phase == "steady"] for of in found]
    due = [[one.scheduled_ns - of[0].scheduled_ns for one in of] for of in steady]
    assert max(abs(a - b) for a, b in zip(*due, strict=True)) <= 2  # nanoseconds are rounded from a start of their own
    assert all(one.error is None and one.output_tokens == 4 for one in together)


def test_a_closed_load_has_its_places_among_all(server: Server) -> None:
    """Five places in three processes: never more than five under way, as each request says and the server saw."""
    server.forget()
    workload = Workload(profile="concurrent", concurrency=5, requests=40, url=server.url, warmup_requests=0, output_tokens=4)
    told = _sent(list(several(workload, TARGET, seed=1, processes=3)))
    assert [one.planned.index for one in told] == list(range(40))
    moments = sorted([(one.received_ns, 1) for one in server.record() if int(one.request_id) >= 0] + [
        (one.sent_ns[-1], -1) for one in server.record() if int(one.request_id) >= 0
    ])  # fmt: skip
    under_way, most = 0, 0
    for _, more in moments:
        under_way += more
        most = max(most, under_way)
    assert 3 <= most <= 5
    assert max(one.in_flight for one in told) == 5


def test_chats_stay_whole(server: Server) -> None:
    """A chat's turns are of one process: each is sent behind the answer to the one before."""
    workload = Workload(
        profile="concurrent", concurrency=2, requests=12, turns=3, api="chat", url=server.url, warmup_requests=0, output_tokens=2
    )
    told = _sent(list(several(workload, TARGET, seed=1, processes=2)))
    assert [one.planned.index for one in told] == list(range(12))
    for first in range(0, 12, 3):
        one, two, three = told[first : first + 3]
        assert one.planned.session == two.planned.session == three.planned.session == first
        assert one.ended_ns <= two.begun_ns and two.ended_ns <= three.begun_ns


def test_what_a_server_refuses_is_said_once(server: Server) -> None:
    """As one process says it."""
    workload = Workload(profile="constant", rate_per_s=10, duration_s=1, url=server.url)
    with pytest.raises(Permanent, match="401"):
        list(several(workload, Target("known?fault=401", "m"), seed=1, processes=2))


def test_a_process_that_dies_ends_the_load(server: Server) -> None:
    """Without its share the load is another; the next attempt begins anew."""
    workload = Workload(profile="constant", rate_per_s=40, duration_s=20, url=server.url, warmup_requests=0, output_tokens=2)
    sending = several(workload, TARGET, seed=1, processes=2)
    next(sending)
    children = [one for one in psutil.Process().children() if "gpu_agent.workloads.several" in one.cmdline()]
    assert len(children) == 2
    os.kill(children[1].pid, signal.SIGKILL)
    with pytest.raises(Temporary, match="died"):
        list(sending)


def test_a_load_that_nobody_wants_any_more_ends(server: Server) -> None:
    """Within seconds, though it would take minutes."""
    workload = Workload(profile="constant", rate_per_s=20, duration_s=300, url=server.url, warmup_requests=0, output_tokens=2)
    sending = several(workload, TARGET, seed=1, processes=2)
    next(sending)
    sending.close()
