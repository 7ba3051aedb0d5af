"""What a client reports is held to what was really sent, by the client's own definitions."""

import itertools

import pytest

from benchmarks.peers.peer import Offered, Reported
from benchmarks.truth import LADDER, next_rate, overloaded, row, tops, truth, typical
from tests.delays.record import Sent

MS = 1_000_000
OFFERED = Offered("http://127.0.0.1:1", "known", rate=10.0, requests=3, tokens=3)
# Answers of three tokens: the first after 50 ms, the next after gaps of 10 and 30, 10 and 10, 20 and 20 ms; each stream ends 5 ms later.
GAPS = ((10, 30), (10, 10), (20, 20))


def sent(number: int, *, late_ns: int = 0) -> Sent:
    """The so many-th answer, begun every 100 ms."""
    began = number * 100 * MS
    first, second = began + 50 * MS, began + (50 + GAPS[number][0]) * MS
    at = [first, second, second + GAPS[number][1] * MS]
    return Sent(str(number), number, "/v1/completions", began, due_ns=[one - late_ns for one in at], sent_ns=at, tokens=[1, 1, 1],
                ended_ns=at[-1] + 5 * MS)  # fmt: skip


SENT = [sent(number) for number in range(3)]


def reported(client: str, *, more: float = 1.0, tokens: int = 9) -> Reported:
    """What a client says that is so many times the truth."""
    true = truth(SENT, client=client)
    told = {name: {share: more * value for share, value in of.items()} for name, of in true.items()}
    return Reported(told, requests=3, tokens=tokens)


def test_each_client_is_held_to_its_own_definitions() -> None:
    """Ours has every interval; others a request's mean. GuideLLM's requests end with their stream."""
    found = {client: truth(SENT, client=client) for client in ("assay", "aiperf", "guidellm")}
    assert {client: (of["itl"]["p50"], of["itl"]["p95"]) for client, of in found.items()} == {
        "assay": (15.0, pytest.approx(27.5)), "aiperf": (20.0, 20.0), "guidellm": (20.0, 20.0),
    }  # fmt: skip
    assert [of["e2e"]["mean"] for of in found.values()] == pytest.approx([250 / 3, 250 / 3, 265 / 3])
    assert {of["ttft"]["mean"] for of in found.values()} == {50.0}


@pytest.mark.parametrize(("more", "tokens", "accurate", "aimed"), [
    (1.0, 9, True, True), (1.003, 9, True, True), (1.03, 9, True, False), (0.94, 9, False, False), (1.0, 8, False, False),
])  # fmt: skip
def test_a_row_is_accurate_within_5_percent_and_without_loss(more: float, tokens: int, accurate: bool, aimed: bool) -> None:
    """Within its aim by 1 %, and 0.2 ms."""
    told = row("aiperf", OFFERED, reported("aiperf", more=more, tokens=tokens), SENT)
    assert (told["accurate"], told["within_aim"], told["void"], told["kept_ratio"]) == (accurate, aimed, None, pytest.approx(1.0))


def test_accurate_and_overloaded_are_told_apart() -> None:
    """By the rule that runs are told by: over 10 ms late, and over a tenth of the gap between requests."""
    well = {"pacing_p99_ms": 1.1, "loop_lag_p99_ms": 4.4, "cpu_max_ratio": 0.16}
    assert overloaded(well, 50.0) is None and overloaded(well | {"pacing_p99_ms": 15.0}, 5.0) is None
    assert overloaded(well | {"pacing_p99_ms": 44.1, "cpu_max_ratio": 1.02}, 576.0) == (
        "requests were begun 44 ms late; it took 1.02 of a core"
    )  # fmt: skip
    rows = [
        {"client": "assay", "round": 0, "rate_per_s": rate, "accurate": True, "void": None, "client_overloaded": why}
        for rate, why in ((50.0, None), (200.0, None), (576.0, "requests were begun 44 ms late"))
    ] + [{"client": "aiperf", "round": 0, "rate_per_s": 216.0, "accurate": True, "void": None}]
    assert tops(rows) == {"assay": 576.0, "aiperf": 216.0}
    assert tops(rows, at_ease=True) == {"assay": 200.0, "aiperf": None}


def test_a_rate_that_was_not_sent_and_a_server_that_was_late_count_for_nothing() -> None:
    """The first is not accurate, the second void; a client's top is the median over the rounds."""
    slower = row("aiperf", Offered("u", "m", rate=20.0, requests=3, tokens=3), reported("aiperf"), SENT)
    late = row("aiperf", OFFERED, reported("aiperf"), [sent(number, late_ns=300_000) for number in range(3)])
    good = row("aiperf", OFFERED, reported("aiperf"), SENT)
    assert (slower["accurate"], slower["kept_ratio"]) == (False, pytest.approx(0.5))
    assert late["void"] == "the server itself was 0.30 ms late (p99), above 0.2 ms"
    rows = [{"round": 0} | good, {"round": 0} | slower, {"round": 1} | late]
    assert tops(rows) == {"aiperf": 10.0}
    assert tops([{"round": 1} | late]) == {"aiperf": None}


@pytest.mark.parametrize("top", [0.0, 45.0, 137.0, 700.0, 9000.0])
def test_a_client_s_highest_rate_is_found_by_halves(top: float) -> None:
    """Of one that is accurate up to some rate: the highest rung below it, after the rates that all have, in few rows."""
    rows: list[dict[str, float]] = []
    while (rate := next_rate(rows, (50.0, 200.0))) is not None:
        rows.append({"rate_per_s": rate, "accurate": rate <= top})
    assert [one["rate_per_s"] for one in rows[:2]] == [50.0, 200.0] and len(rows) <= 7
    assert max((one["rate_per_s"] for one in rows if one["accurate"]), default=0.0) == max(
        (rate for rate in (*LADDER, 50.0, 200.0) if rate <= top), default=0.0
    )
    assert all(above / below <= 1.2 for below, above in itertools.pairwise(LADDER[2:]))


@pytest.mark.parametrize(("top", "rows_needed"), [(137.0, 4), (150.0, 5), (120.0, 4)])
def test_a_later_round_begins_where_the_one_before_ended(top: float, rows_needed: int) -> None:
    """Near 124 a second: a step up that fails is enough, where the client is as it was."""
    rows: list[dict[str, float]] = []
    while (rate := next_rate(rows, (50.0, 200.0), near=124.0)) is not None:
        rows.append({"rate_per_s": rate, "accurate": rate <= top})
    assert max(one["rate_per_s"] for one in rows if one["accurate"]) == max(rate for rate in LADDER if rate <= top)
    assert len(rows) == rows_needed and rows[2]["rate_per_s"] == 124.0


def test_rounds_are_told_by_their_median_as_times_of_the_truth() -> None:
    """At the rate that is asked for, of rows that are not void."""
    rows = [row("aiperf", OFFERED, reported("aiperf", more=more), SENT) for more in (1.0, 1.02, 1.1)]
    late = row("aiperf", OFFERED, reported("aiperf", more=9.0), [sent(number, late_ns=300_000) for number in range(3)])
    assert typical([*rows, late], 10.0)["aiperf"] == {
        f"{name}_{share}": pytest.approx(1.02) for name in ("ttft", "itl", "e2e") for share in ("mean", "p95")
    }
    assert typical(rows, 20.0) == {}
