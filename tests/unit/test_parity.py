"""Runs held to a reference: what is as good, worse or not known, what differs in how they ran, and what they gain beside quality."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from query_api.cli.parity import _shown
from query_api.drawing.gains import amount, common, headline, multiple
from query_api.operations.parsing import query_of
from query_api.operations.problems import Malformed
from query_api.pages.parity import margin_of, spans
from query_api.pages.rendering import TEMPLATES
from query_api.reading.parity import _document
from query_api.routes.parity import ParityAsked, ParityTold
from schemas.jobs import EnvironmentSeen
from schemas.requests import EngineChoice, ModelRef
from schemas.results import Figure
from schemas.runs import ModelCard
from streams.boards.comparison import Measured, Sample
from streams.boards.gains import NOTHING, Gain, Load, gains
from streams.boards.parity import Side, in_words, of_row, parity
from streams.boards.results import Result
from streams.boards.running import Fact, Machine, unlike_weights
from streams.boards.speeds import alike
from streams.errors import Invalid
from streams.statistics.differences import difference, equivalent, holm
from streams.statistics.quotients import quotient
from tests.measured import environment, evidence, plan, run
from tests.runs import run_named

L40S, H100 = environment("L40S"), environment("H100")
SEEN = {one.sha: one for one in (L40S, H100)}
HERE = Machine("a machine")
FIGURES = {
    "capacity_tokens_per_s": Figure(metric="capacity_tokens_per_s", value=100.0, n=1000),
    "alone_tokens_per_s": Figure(metric="alone_tokens_per_s", value=25.0, n=1000),
    "ttft_p50": Figure(metric="ttft_p50", value=2e8, low=1.6e8, high=2.5e8, n=50),
    "energy_per_output_token_uj": Figure(metric="energy_per_output_token_uj", value=3e6, n=1000, origin="A"),
}  # fmt: skip
SLOW = Load("slow", "the load", FIGURES, 4.0, "2026-11", 8 * 2**30)


def result(name: int, model: str = "m", on: EnvironmentSeen = L40S, **told: Any) -> Result:
    """A completed run as boards see it."""
    return evidence([on], run(name, model, on, **told)).books.results[run_named(name)]


def task(right: int, of: int, *, first: int = 0, **told: Any) -> Measured:
    """Accuracy with so many right answers, from the ordinal on."""
    samples = {one: Sample(one, float(first <= one < first + right)) for one in range(of)}
    given: dict[str, Any] = {"build_id": "b", "metric": "acc", "filter": "none", "higher_is_better": True, "aggregation": "mean"}
    return Measured(samples=samples, **given | told)


def side(name: int, *, loads: tuple[Load, ...] = (), told: Mapping[str, Any] | None = None, **tasks: Measured) -> Side:
    """A run with these tasks."""
    return Side(result(name, **(told or {})), tasks, loads)


def faster(**figures: Figure) -> Load:
    """The same load, twice as fast, with other figures in place of these."""
    twice = FIGURES | {
        "capacity_tokens_per_s": FIGURES["capacity_tokens_per_s"].model_copy(update={"value": 200.0}),
        "ttft_p50": FIGURES["ttft_p50"].model_copy(update={"value": 1e8, "low": 8e7, "high": 1.25e8}),
        "energy_per_output_token_uj": FIGURES["energy_per_output_token_uj"].model_copy(update={"value": 2.4e6}),
    }  # fmt: skip
    return Load("fast", "the load", twice | figures, 2.0, "2026-11", 3 * 2**30)


def by_name(reference: tuple[Load, ...], other: tuple[Load, ...], machines: tuple[Machine, Machine] = (HERE, HERE)) -> dict[str, Gain]:
    """Gains by their names."""
    return {one.name: one for one in gains(reference, other, machines=machines).figures}


def test_what_differs_little_in_many_documents_is_as_good() -> None:
    """10 of 10,000 answers are lost, and 10 gained: within a hundredth."""
    (row,) = parity(side(1, t=task(5000, 10_000)), [side(2, t=task(5000, 10_000, first=10))], seen=SEEN).rows
    (held,) = row.tasks
    own = difference(*([s.value for s in one.samples.values()] for one in (task(5000, 10_000, first=10), task(5000, 10_000))))
    assert (held.verdict, row.verdict, held.needed) == ("as-good", "as-good", None)
    assert (held.reference, held.other, held.changed) == (0.5, 0.5, 20)
    assert held.p_equivalent == equivalent(own, margin=0.01)
    assert in_words(held) == f"as good within 0.01: +0.000 (-0.001 to 0.001), p = {held.p_equivalent:.2g} in two one-sided tests after Holm"


def test_what_is_lost_is_worse_and_what_is_gained_better() -> None:
    """20 of 100, one way: the mid-p of 20 to 0 is 2·½²⁰ - ½²⁰, and both runs are a test."""
    found = parity(side(1, t=task(60, 100)), [side(2, t=task(40, 100)), side(3, t=task(80, 100))], seen=SEEN)
    worse, better = (row.tasks[0] for row in found.rows)
    assert (worse.verdict, better.verdict, found.tests) == ("worse", "better", 2)
    assert worse.difference.value == pytest.approx(-0.2) and better.difference.value == pytest.approx(0.2)
    assert worse.p == better.p == 2 * 0.5**20
    assert in_words(worse).startswith("worse: -0.200 (-0.2") and in_words(worse).endswith("p = 1.9e-06 after Holm")


def test_where_lower_is_better_more_is_worse() -> None:
    """And the words say which way it counts."""
    told: dict[str, Any] = {"metric": "loss", "higher_is_better": False}
    low, high = (
        replace(task(0, 1, **told), samples={n: Sample(n, value) for n, value in enumerate(values)})
        for values in ([1.0 + n % 2 for n in range(60)], [2.0 + n % 3 for n in range(60)])
    )
    (row,) = parity(side(1, t=low), [side(2, t=high)], seen=SEEN).rows
    assert row.tasks[0].verdict == "worse"
    assert row.tasks[0].difference.value == pytest.approx(1.5)
    assert ", lower loss is better, p = " in in_words(row.tasks[0])


def test_holm_corrects_over_all_runs_and_tasks() -> None:
    """Two runs of two tasks are four tests, for both questions."""
    reference = side(1, t=task(50, 100), u=task(500, 1000))
    others = [side(n, t=task(50 - 3 * n, 100), u=task(500, 1000, first=n)) for n in (2, 3)]
    found = parity(reference, others, seen=SEEN, margin=0.02)
    held = [one for row in found.rows for one in row.tasks]
    assert found.tests == 4
    assert [one.p for one in held] == holm([one.difference.p for one in held])
    assert [one.p_equivalent for one in held] == holm([equivalent(one.difference, margin=0.02) or 0.0 for one in held])


def test_what_is_not_known_says_how_many_documents_would_tell() -> None:
    """100 documents are too few for a hundredth; as many as it says, of the same kind, are enough."""
    (row,) = parity(side(1, t=task(50, 100)), [side(2, t=task(50, 100, first=1))], seen=SEEN).rows
    (held,) = row.tasks
    assert (held.verdict, row.verdict) == ("unknown", "unknown")
    assert held.needed is not None and 100 < held.needed < 10_000
    assert in_words(held).endswith(f"; {held.needed:,} documents would tell, of which these are 100")
    size = 100 * math.ceil(held.needed / 100)
    many = [task(size // 2, size, first=first) for first in (0, size // 100)]
    assert parity(side(1, t=many[0]), [side(2, t=many[1])], seen=SEEN).rows[0].verdict == "as-good"


def test_what_lies_near_the_margin_is_said_to_lie_between() -> None:
    """528 of 10,000 are lost and 473 gained: neither is shown, by more documents than tell equal runs from such as are 0.01 apart."""
    before, after = [1.0] * 5000 + [0.0] * 5000, [0.0] * 528 + [1.0] * 4945 + [0.0] * 4527
    values = [replace(task(0, 1), samples={n: Sample(n, v) for n, v in enumerate(own)}) for own in (before, after)]
    (held,) = parity(side(1, t=values[0]), [side(2, t=values[1])], seen=SEEN).rows[0].tasks
    assert (held.verdict, held.changed) == ("unknown", 1001)
    assert held.difference.value == pytest.approx(-0.0055)
    assert held.needed is not None and held.needed < 10_000
    assert in_words(held).endswith(
        f"{held.needed:,} documents tell equal runs and such as are the margin apart: what is true may lie between"
    )


def test_a_margin_is_a_ratio_of_the_metrics_range() -> None:
    """Of a metric of 0 to 100 it is a point."""
    told: dict[str, Any] = {"metric": "eqbench"}
    values = [replace(task(0, 1, **told), samples={n: Sample(n, 50.0 + n % 2 + extra) for n in range(400)}) for extra in (0.0, 0.5)]
    (row,) = parity(side(1, t=values[0]), [side(2, t=values[1])], seen=SEEN).rows
    assert row.tasks[0].margin == 1.0
    assert row.tasks[0].difference.value == pytest.approx(0.5)
    assert row.overall.value == pytest.approx(0.005)


def test_several_tasks_are_joined_as_rankings_join_them() -> None:
    """The whole interval within the margin is as good; a task that only one has is told with its reason."""
    reference = side(1, t=task(5000, 10_000), u=task(5000, 10_000), v=task(1, 2))
    (row,) = parity(reference, [side(2, t=task(5000, 10_000, first=9), u=task(5010, 10_000))], seen=SEEN).rows
    assert (row.verdict, row.overall.verdict, row.overall.units) == ("as-good", "as-good", 2)
    assert row.overall.value == pytest.approx(0.0005)
    assert of_row(row, margin=0.01).startswith("as good within 0.01: +0.001 (")
    assert of_row(row, margin=0.01).endswith(" over 2 tasks, groups as one")
    assert row.skipped == {"v": "only the reference has it"}


def test_what_is_lost_on_a_task_is_said_where_all_joined_are_as_good() -> None:
    """A mean hides it."""
    reference = side(1, t=task(5000, 10_000), u=task(600, 1000))
    (row,) = parity(reference, [side(2, t=task(5000, 10_000), u=task(585, 1000))], seen=SEEN, margin=0.02).rows
    assert (row.verdict, [one.verdict for one in row.tasks]) == ("as-good", ["as-good", "worse"])
    assert of_row(row, margin=0.02).endswith("; worse on u")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=60), st.floats(0.001, 0.9))
def test_turned_over_a_run_loses_what_the_other_gains(pairs: list[tuple[bool, bool]], margin: float) -> None:
    """And is as good where the other is."""
    first, second = (replace(task(0, 1), samples={n: Sample(n, float(pair[place])) for n, pair in enumerate(pairs)}) for place in (0, 1))
    (there,) = parity(side(1, t=first), [side(2, t=second)], seen=SEEN, margin=margin).rows
    (back,) = parity(side(1, t=second), [side(2, t=first)], seen=SEEN, margin=margin).rows
    turned = {"as-good": "as-good", "unknown": "unknown", "worse": "better", "better": "worse"}
    assert back.tasks[0].verdict == turned[there.tasks[0].verdict]
    assert back.tasks[0].difference.value == -there.tasks[0].difference.value
    assert back.tasks[0].needed == there.tasks[0].needed


@pytest.mark.parametrize(
    ("others", "code", "says"),
    [
        ([], "one-run", "alone has nothing to be held to: name one run or more beside it"),
        ([side(n, t=task(1, 2)) for n in range(2, 23)], "too-many-runs", "21 runs are more than the 20"),
        ([side(1, t=task(1, 2))], "run-twice", f"run {run_named(1)} is named twice"),
        ([side(2, t=task(1, 2)), side(2, t=task(1, 2))], "run-twice", f"run {run_named(2)} is named twice"),
        ([side(2, t=task(1, 2, build_id="c"))], "nothing-shared", f"run {run_named(2)} cannot be held to run {run_named(1)}: "),
        ([side(2, u=task(1, 2))], "nothing-shared", f"u: only run {run_named(2)} has it"),
    ],
)  # fmt: skip
def test_runs_that_are_none_to_hold_to_one_another_are_refused(others: list[Side], code: str, says: str) -> None:
    """With what to do."""
    with pytest.raises(Invalid) as refused:
        parity(side(1, t=task(1, 2)), others, seen=SEEN)
    assert refused.value.code == code
    assert says in str(refused.value)


def test_only_what_differs_in_how_they_ran_is_told() -> None:
    """Engine, precision, quantisation, options and machine, each with both values; a run beside itself differs in nothing."""
    told = {
        "used": {"name": "llama.cpp", "dtype": "float16", "quantisation": "Q4_K_M", "device": "cuda"}, "on": H100,
        "engine": EngineChoice(name="llama.cpp", options={"threads": "4"}),
    }  # fmt: skip
    reference = side(1, t=task(1, 2))
    (row,) = parity(reference, [side(2, told=told, t=task(1, 2))], seen=SEEN).rows
    assert row.differs == (
        Fact("engine", "vllm", "llama.cpp"), Fact("dtype", "bfloat16", "float16"), Fact("quantisation", "none", "Q4_K_M"),
        Fact("machine", "L40S (32 GiB), a processor (8 cores, 64 GiB)", "H100 (32 GiB), a processor (8 cores, 64 GiB)"),
        Fact("option threads", None, "4"),
    )  # fmt: skip
    assert parity(reference, [side(2, t=task(1, 2))], seen=SEEN).rows[0].differs == ()


def test_other_weights_are_warned_of_where_no_card_names_their_base() -> None:
    """The name of a base is the last part of its address."""
    own, other = plan("hub/Model-1B", []), plan("/m/model-1b-awq", [])
    told = unlike_weights(own, other)
    assert told is not None and told.startswith("its weights are other files than the reference's (SHA-256 ")
    based = other.model_copy(update={"card": ModelCard(base="hub/Model-1B")})
    assert unlike_weights(own, based) is None and unlike_weights(based, own) is None
    gguf = plan("/m/model.gguf", []).model_copy(update={"model": ModelRef(uri="/m/model.gguf", base="hub/Model-1B")})
    assert unlike_weights(gguf, based) is None
    assert unlike_weights(own, own.model_copy(update={"model": ModelRef(uri="elsewhere")})) is None
    assert unlike_weights(own, other.model_copy(update={"model_sha": ""})) is None
    (row,) = parity(side(1, t=task(1, 2)), [side(2, told={"model": "n"}, t=task(1, 2))], seen=SEEN).rows
    assert len(row.warnings) == 1


def test_gains_are_multiples_of_the_references_figures() -> None:
    """Twice the tokens, half the TTFT with its interval, three eighths of the memory, four fifths of the joules, half the price."""
    found = by_name((SLOW,), (faster(),))
    ratios = {name: one.ratio for name, one in found.items()}
    assert ratios == pytest.approx(
        {"capacity_tokens_per_s": 2.0, "ttft_s": 0.5, "memory_bytes": 0.375, "joules_per_token": 0.8, "usd_per_1m_tokens": 0.5}
    )
    ttft, tokens = found["ttft_s"], found["capacity_tokens_per_s"]
    assert (ttft.reference, ttft.other) == (0.2, 0.1)
    # both ends are a factor of 1.25 away: exp(ln ½ ± √2·ln 1.25)
    assert (ttft.low, ttft.high) == pytest.approx((0.5 / 1.25 ** math.sqrt(2), 0.5 * 1.25 ** math.sqrt(2)))
    assert (tokens.low, tokens.high) == (None, None)  # a rate has no interval
    assert {one.why for one in found.values()} == {None}


@pytest.mark.parametrize(
    ("reference", "other", "machines", "why"),
    [
        ((), (), (HERE, HERE), NOTHING),
        ((), (faster(),), (HERE, HERE), f"of the reference {NOTHING}"),
        ((SLOW,), (), (HERE, HERE), f"of this run {NOTHING}"),
        ((SLOW,), (faster(),), (HERE, Machine("another")), "not compared: measured on another machine than the reference's"),
        ((SLOW,), (faster(),), (HERE, Machine(None, "the machine is not known")), "not compared: the machine is not known"),
        ((replace(SLOW, asked="x"),), (faster(),), (HERE, HERE), "not compared: measured under another load than the reference's"),
        ((replace(SLOW, asked=None),), (replace(faster(), asked=None),), (HERE, HERE), "not compared: measured under another load"),
        ((SLOW,), (faster(client_overloaded=Figure(metric="client_overloaded", value=1.0, n=1)),), (HERE, HERE), "bottleneck of this run"),
    ],
)  # fmt: skip
def test_what_was_not_measured_alike_is_not_compared(
    reference: tuple[Load, ...], other: tuple[Load, ...], machines: tuple[Machine, Machine], why: str
) -> None:
    """No multiple is guessed, and each figure says why; what was measured is told all the same."""
    found = by_name(reference, other, machines)
    assert {one.ratio for one in found.values()} == {None}
    assert all(one.why is not None and why in one.why for one in found.values())
    assert found["capacity_tokens_per_s"].other == (200.0 if other else None)


def test_closed_loads_are_compared_at_their_concurrency() -> None:
    """Which is no capacity, and is not called one."""
    told = {"capacity_tokens_per_s": Figure(metric="capacity_tokens_per_s", value=None, n=0)}
    tokens = [Figure(metric="concurrent_tokens_per_s", value=value, n=9) for value in (100.0, 155.0)]
    many = [Figure(metric="concurrency", value=value, n=9) for value in (8.0, 8.0, 4.0)]
    loads = [replace(SLOW, figures=FIGURES | told | {one.metric: one for one in pair}) for pair in zip(tokens, many[:2], strict=True)]
    found = by_name((loads[0],), (loads[1],))
    assert found["concurrent_tokens_per_s"].ratio == 1.55 and "capacity_tokens_per_s" not in found
    fewer = replace(loads[1], figures={**loads[1].figures, "concurrency": many[2]})
    assert "at other concurrencies (4 at a time" in (by_name((loads[0],), (fewer,))["concurrent_tokens_per_s"].why or "")


def test_loads_that_are_alike_are_found_among_several() -> None:
    """The newest of both that are; not the newest of each."""
    newer = replace(faster(), run_id="newer", asked="another load")
    told = gains((replace(SLOW, run_id="newest", asked="a third"), SLOW), (newer, faster()), machines=(HERE, HERE))
    assert (told.reference_run, told.other_run) == ("slow", "fast")


def test_meters_and_prices_of_other_kinds_are_not_set_beside_one_another() -> None:
    """Each figure alone: the others are compared."""
    metered = FIGURES["energy_per_output_token_uj"].model_copy(update={"origin": "B"})
    found = by_name((SLOW,), (replace(faster(energy_per_output_token_uj=metered), prices="2026-12"),))
    assert found["joules_per_token"].why == "not compared: metered otherwise (counter, processor; the reference: counter, accelerator)"
    assert found["usd_per_1m_tokens"].why == "not compared: by other prices (2026-12; the reference: 2026-11)"
    assert found["capacity_tokens_per_s"].ratio == 2.0
    full = faster(alone_tokens_per_s=Figure(metric="alone_tokens_per_s", value=None, n=0, why_undefined="requests were under way together"))
    assert by_name((SLOW,), (full,))["ttft_s"].why == "not measured in this run"
    unknown = by_name((SLOW,), (replace(faster(), peak_bytes=None),))["memory_bytes"]
    assert unknown.why == "not measured in this run: the engine did not tell its memory"
    unpriced = by_name((replace(SLOW, usd_per_1m_tokens=None),), (faster(),))["usd_per_1m_tokens"]
    assert (unpriced.ratio, unpriced.why) == (None, "not measured in the reference: no price is known")


def test_a_speed_is_that_of_the_very_same_model_engine_and_environment() -> None:
    """The newest first; neither another precision's, nor another machine's."""
    speed = list(FIGURES.values())
    own, others = result(1), [result(n, speed=speed) for n in (2, 3)]
    foreign = [result(4, speed=speed, used={"dtype": "float16"}), result(5, speed=speed, on=H100), result(6, "n", speed=speed)]
    assert [one.run_id for one in alike(own, [own, *others, *foreign])] == [run_named(3), run_named(2)]


positive = st.floats(0.01, 100.0)
ranges = st.tuples(positive, st.floats(1.0, 3.0), st.floats(1.0, 3.0)).map(lambda told: (told[0], (told[0] / told[1], told[0] * told[2])))


@given(ranges, ranges)
def test_a_quotient_turned_over_is_one_over_it(first: tuple[float, tuple[float, float]], second: tuple[float, tuple[float, float]]) -> None:
    """Its interval too, which holds it, and is no narrower than either figure's own."""
    value, interval = quotient(first[0], second[0], intervals=(first[1], second[1]))
    over, back = quotient(second[0], first[0], intervals=(second[1], first[1]))
    assert interval is not None and back is not None
    assert value == pytest.approx(1 / over)
    assert interval == pytest.approx((1 / back[1], 1 / back[0]))
    assert interval[0] <= value * (1 + 1e-9) and value <= interval[1] * (1 + 1e-9)
    assert interval[1] / interval[0] >= max(high / low for _, (low, high) in (first, second)) * (1 - 1e-9)


def test_a_quotient_without_both_intervals_has_none() -> None:
    """Nor one that reaches down to 0."""
    assert quotient(3.0, 2.0, intervals=((2.0, 4.0), None)) == (1.5, None)
    assert quotient(3.0, 2.0, intervals=((0.0, 4.0), (1.0, 3.0))) == (1.5, None)


def told() -> dict[str, Any]:
    """What the API tells of a run that is twice as fast, and of which it is not known whether it is as good."""
    reference = side(1, loads=(SLOW,), t=task(50, 100), u=task(50, 100), v=task(1, 2))
    quantised = {"used": {"quantisation": "Q4_K_M"}, "model": "/models/n"}
    other = side(2, loads=(faster(),), told=quantised, t=task(50, 100, first=2), u=task(50, 100))
    found = parity(reference, [other], seen=SEEN)
    return _document(reference, [other], found, [{"t": {"samples": 200, "differ": 30}}])


def test_the_document_has_the_shape_that_the_api_gives() -> None:
    """Shares among it: of documents that are scored differently, and of samples that are answered differently where that is known."""
    given = ParityTold.model_validate(told())
    (row,) = given.rows
    first, second = row.tasks
    assert (first.changed, first.changed_ratio, first.answered_differently_ratio) == (4, 0.04, 0.15)
    assert (second.changed_ratio, second.answered_differently_ratio) == (0.0, None)
    assert (row.speed_run, row.reference_speed_run) == ("fast", "slow")
    assert [one.ratio for one in row.figures] == pytest.approx([2.0, 0.5, 0.375, 0.8, 0.5])
    assert (row.verdict, given.tests) == ("unknown", 2)
    assert [(one.name, one.reference, one.other) for one in row.differs] == [("quantisation", "none", "Q4_K_M")]


def test_people_read_it_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """How it was run, each task with its verdict, multiples with intervals, what is left out and what to beware of."""
    _shown(told())
    said = " ".join(capsys.readouterr().out.split())
    assert "quantisation: Q4_K_M (the reference: none)" in said
    assert "t by acc: not known at 0.01: +0.000 (" in said
    assert "TTFT alone, s 0.200 0.100 × 0.50 (0.36 to 0.69)" in said
    assert "tokens/s at capacity 100.00 200.00 × 2.00" in said
    assert "peak memory, GiB 8.000 3.000 × 0.38" in said
    assert "v is not compared: only the reference has it" in said
    assert "neither model's card names the other as its base" in said


def test_a_reason_that_all_figures_share_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a table where nothing was measured."""
    reference, other = side(1, t=task(50, 100)), side(2, t=task(50, 100))
    found = parity(reference, [other], seen=SEEN)
    _shown(_document(reference, [other], found, [{}]))
    said = capsys.readouterr().out
    assert said.count(NOTHING) == 1 and "J/token" not in said
    assert "run as the reference was" in said
    assert common([{"why": None}, {"why": "x"}]) is None


def test_the_page_shows_the_same() -> None:
    """Without a script; a task's changed documents are a link to where they differ."""
    found = told()
    page = TEMPLATES.env.get_template("parity.html").render(
        found=found, runs=[], chosen={"reference": run_named(1), "run": [run_named(2)], "margin": "0.01"}, why=None, headline=headline,
        multiple=multiple, amount=amount, common=common, spans={row["run_id"]: spans(row["tasks"]) for row in found["rows"]},
    )  # fmt: skip
    assert f'href="/compare?a={run_named(2)}&amp;b={run_named(1)}&amp;task=t#differing"' in page
    assert '<td class="n">× 0.50 (0.36 to 0.69)</td>' in page
    assert "Q4_K_M <small>reference: none</small>" in page
    assert page.count("<tr>") == 1 + 2 + 1 + 5
    assert page.count("Intervals by: ") == 2 and "Intervals by: adjusted Wald." in page


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "a little"])
def test_a_margin_that_is_none_is_refused(text: str) -> None:
    """With what to give."""
    with pytest.raises(Invalid, match="give a number above 0"):
        margin_of(text)
    assert margin_of("0.02") == 0.02


def asked(query: str) -> ParityAsked:
    """What an address asks for."""
    return query_of(Request({"type": "http", "query_string": query.encode(), "headers": []}), ParityAsked)


def test_an_address_names_several_runs_and_one_of_everything_else() -> None:
    """`run` as often as there are runs, `reference` once."""
    assert asked("reference=a&run=b&run=c") == ParityAsked(reference="a", run=("b", "c"))
    assert asked("reference=a&run=b&margin=0.5").run == ("b",)
    for query, code in (
        ("reference=a&reference=b&run=c", "parameter-twice"),
        ("reference=a", "invalid-parameter"),
        ("reference=a&run=b&margin=0", "invalid-parameter"),
    ):
        with pytest.raises(Malformed) as refused:
            asked(query)
        assert refused.value.code == code
