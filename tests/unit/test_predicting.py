"""Predictions: the roofline by hand, what is learned of a planted world, intervals that hold on what was left out, and abstentions."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.planted_speeds import speeds
from schemas.event import Producer
from schemas.predictions import PredictedFigure, PredictionMade
from streams.errors import Invalid
from streams.external.reading import figures_of
from streams.predicting.conformal import LEVEL, half_width
from streams.predicting.evidence import Size, digest_of, machine_named, rows_of
from streams.predicting.machines import Machine, machine_of, sheet_of
from streams.predicting.others import Published
from streams.predicting.others import rows_of as rows_of_others
from streams.predicting.physics import RUNTIME_BYTES, reached
from streams.predicting.predicting import Abstained, Predicted, Predictor
from streams.predicting.record import came_of, kept_of
from streams.predicting.residuals import fitted
from streams.predicting.subjects import FIGURES, Load, Model, Row, Subject
from streams.predicting.words import WORDS
from tests.measured import environment, evidence, load, run
from tests.runs import run_named
from tests.unit.test_external import INFERENCE_X

MACHINE = Machine("one", bytes_per_s=1e12, flop_per_s=1e14, watts=100, memory_bytes=8e10)
MODEL = Model("m", parameters=1e10, weights_bytes=2e10, kv_bytes_per_token=1e5)


def subject(model: Model = MODEL, *, in_flight: float = 1, read: float = 1000, written: float = 100, machine: Machine = MACHINE) -> Subject:
    """Of that model under that load."""
    return Subject(model, "vllm", machine, Load(in_flight, read, written))


def test_the_roofline_is_what_one_reckons_by_hand() -> None:
    """One request is bound by memory while it is written, by arithmetic while it is read; many by arithmetic in both."""
    one = reached(subject())
    step = (2e10 + 1050 * 1e5) / 1e12
    prompt = 2 * 1e10 * 1000 / 1e14
    assert one["itl_p50_s"] == pytest.approx(step)
    assert one["ttft_p50_s"] == pytest.approx(prompt)
    assert one["tokens_per_s"] == pytest.approx(100 / (prompt + 100 * step))
    assert one["memory_bytes"] == pytest.approx(RUNTIME_BYTES + 2e10 + 1100 * 1e5)
    assert one["j_per_token"] == pytest.approx(100 / one["tokens_per_s"])
    many = reached(subject(in_flight=1000))
    step = max((2e10 + 1000 * 1050 * 1e5) / 1e12, 2 * 1e10 * 1000 / 1e14)
    assert many["itl_p50_s"] == pytest.approx(step) == pytest.approx(0.2)
    assert many["ttft_p50_s"] == pytest.approx(prompt + step / 2)


def test_devices_are_known_by_their_names() -> None:
    """As NVML and their makers tell them; several add up; what has no data sheet is not known, and a processor is nominal."""
    for name, flop in (("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA A100-SXM4-40GB", 312e12),
                       ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA L4", 121e12), ("NVIDIA L40S", 362e12), ("Tesla T4", 65e12),
                       ("AMD Instinct MI300X", 1307e12), ("NVIDIA GeForce RTX 4090", 165e12)):  # fmt: skip
        found = sheet_of(name)
        assert found and found.flop_per_s == flop, name
    for name in ("NVIDIA RTX 4090 Laptop GPU", "NVIDIA GeForce GT 710", "AMD EPYC", ""):
        assert sheet_of(name) is None, name
    two = machine_of("2 × NVIDIA L40S", devices={"NVIDIA L40S": 2}, cores=8)
    assert two == Machine("2 × NVIDIA L40S", 2 * 0.864e12, 2 * 362e12, 700, 96e9)
    assert machine_of("x", devices={"NVIDIA L4": 1, "another": 1}, cores=8) is None
    here = machine_of("AMD EPYC (2 cores)", devices={}, cores=2)
    assert here and (here.nominal, here.memory_bytes) == (True, None)


def test_hardware_is_named_as_people_name_it() -> None:
    """One device, several of them; what nobody knows is refused with what to write."""
    nobody = evidence()
    assert machine_named("2 x  NVIDIA L40S", nobody).name == "2 × NVIDIA L40S"
    assert machine_named("NVIDIA L40S", nobody).watts == 350
    with pytest.raises(Invalid, match=r"no data sheet of 'abacus' is here.*as NVIDIA L40S or 2 x NVIDIA H100.*nothing yet"):
        machine_named("abacus", nobody)


def test_loads_of_models_whose_size_is_known_are_learned_from() -> None:
    """Each with its machine, its load as it was, and its figures; not of unknown size, on unknown devices, or without a load."""
    figures = load(4.0, ttft_s=0.4, ttft_p50=0.3e9, itl_p50=0.015e9, output_tokens_per_s=800.0, energy_per_output_token_uj=2e6)
    devices = ("L40S", "cpu", "abacus", "L40S", "L40S")
    told = [[environment(device), *run(n, "m", environment(device), speed=figures if n < 5 else ())] for n, device in enumerate(devices, 1)]
    size = Size(parameters=10**9, weights_bytes=2 * 10**9, kv_bytes=8192 * 1000, peak_bytes=3 * 10**9)
    sizes = {run_named(n): size for n in (1, 2, 3, 5)} | {run_named(4): replace(size, parameters=None)}
    rows = {row.run_id: row for row in rows_of(evidence(*told), sizes)}
    assert set(rows) == {run_named(1), run_named(2)}
    row = rows[run_named(1)]
    machine = machine_of("L40S", devices={"L40S": 1}, cores=8)
    assert machine and row.subject == Subject(Model("sha of m", 1e9, 2e9, 1000.0), "vllm", machine, Load(16.0, 800.0, 200.0))
    assert row.figures == pytest.approx(
        {"ttft_p50_s": 0.3, "itl_p50_s": 0.015, "tokens_per_s": 800.0, "j_per_token": 2.0, "memory_bytes": 3e9}
    )
    assert rows[run_named(2)].subject.machine.nominal
    assert digest_of(list(rows.values())) == digest_of(list(rows.values())[::-1]) != digest_of([row])


@pytest.mark.parametrize("left_out", ["model", "machine"])
def test_intervals_hold_on_what_was_left_out(left_out: str) -> None:
    """Of planted worlds whose laws no fit is told: eight in ten, and with errors far below the roofline's own."""
    within, errors, best = [], [], []
    for seed in range(5):
        world = speeds(seed, models=14, machines=6)
        out = set(world.models[:3] if left_out == "model" else world.machines[:1])
        groups = [row.subject.model.name if left_out == "model" else row.subject.machine.name for row in world.rows]
        predictor = Predictor([row for row, group in zip(world.rows, groups, strict=True) if group not in out])
        for row in [row for row, group in zip(world.rows, groups, strict=True) if group in out][::9]:
            for told in predictor.predict(row.subject, ["itl_p50_s"]):
                if isinstance(told, Predicted):
                    value = row.figures[told.figure]
                    within.append(told.low <= value <= told.high)
                    errors.append(abs(told.value / value - 1))
                    best.append(abs(told.roofline / value - 1))
    assert len(within) > 40
    assert float(np.mean(within)) > LEVEL - 0.1
    assert float(np.median(errors)) < 0.5 * float(np.median(best))


def test_trees_are_taken_where_they_are_better_and_only_then() -> None:
    """Where nothing is left to learn the median is taken, or the roofline itself."""
    world = speeds(0, models=14, machines=4)
    stepped = [
        replace(row, figures={name: value * (1 + row.subject.load.in_flight / 8) for name, value in reached(row.subject).items()})
        for row in world.rows
    ]
    assert fitted(stepped, "itl_p50_s", lambda row: row.subject.model.name).method == "roofline and gradient boosting"
    exact = [replace(row, figures=dict(reached(row.subject))) for row in world.rows]
    assert fitted(exact, "itl_p50_s", lambda row: row.subject.model.name).method == "roofline"
    twice = [replace(row, figures={name: 2 * value for name, value in row.figures.items()}) for row in exact]
    told = fitted(twice, "itl_p50_s", lambda row: row.subject.model.name)
    assert told.method == "roofline and the median ratio by engine"
    assert math.exp(told.log_of([twice[0].subject])[0]) == pytest.approx(twice[0].figures["itl_p50_s"])


def test_a_fixed_cost_is_told_from_a_multiple() -> None:
    """Half a second a step on top of twice the roofline: of small models it is nearly all. Rates and what is twice as much are no other."""
    world = speeds(0, models=14, machines=4)
    for figure, sign in (("itl_p50_s", 1), ("tokens_per_s", -1)):
        best = [reached(row.subject)[figure] ** sign for row in world.rows]
        rows = [replace(row, figures={figure: (2 * one + 0.5) ** sign}) for row, one in zip(world.rows, best, strict=True)]
        told = fitted(rows, figure, lambda row: row.subject.model.name)
        assert told.method == "roofline and a fixed cost by engine"
        assert math.exp(told.log_of([rows[0].subject])[0]) == pytest.approx(rows[0].figures[figure])
        assert np.abs(told.errors).max() < 1e-6


def test_the_half_of_an_interval_is_an_error_that_enough_groups_keep() -> None:
    """Groups count alike, however many rows they have; of too few there is none."""
    errors, groups = np.array([0.1, 0.1, 0.1, 0.1, -0.5, 0.2, 0.3, 0.4]), ["a", "a", "a", "a", "b", "c", "d", "e"]
    # a, c, d and e are 4 of 6: the new one may lie beyond all.
    assert half_width(errors, groups, level=0.6) == pytest.approx(0.4)
    assert half_width(errors, groups, level=0.8) == pytest.approx(0.5)
    assert half_width(errors[:6], groups[:6], level=0.8) is None


def test_far_from_what_was_measured_nothing_is_said() -> None:
    """And why is: size, load, engine, hardware, too few models; nothing at all."""
    world = speeds(1, models=12, machines=5)
    predictor, known = Predictor(world.rows), world.rows[0].subject

    def why(other: Subject, figure: str = "itl_p50_s") -> str:
        told = {one.figure: one for one in predictor.predict(other)}[figure]
        assert isinstance(told, Abstained), told
        return told.why

    large = replace(known.model, parameters=1e13, weights_bytes=2e13)
    assert "parameters are far from all that was measured" in why(replace(known, model=large))
    assert "requests at a time are far" in why(replace(known, load=replace(known.load, in_flight=4096)))
    assert "prompts of 100000 tokens are far" in why(replace(known, load=replace(known.load, input_tokens=1e5)))
    assert why(replace(known, engine="gguf")) == "nobody has measured it on engine gguf, only on transformers, vllm"
    assert "no data sheet tells what there can do" in why(replace(known, machine=replace(known.machine, name="there", nominal=True)))
    few = Predictor([row for row in world.rows if row.subject.model.name in world.models[:3]])
    new = replace(known, model=replace(known.model, name="new"))
    assert [one.why for one in few.predict(new) if isinstance(one, Abstained)] == (
        ["it was measured on 3 models, and an interval for another needs 4"] * len(FIGURES)
    )
    assert {one.why for one in Predictor([]).predict(known) if isinstance(one, Abstained)} == {"nobody has measured that figure yet"}


def others(model: str, conc: int, **told: object) -> list[Published]:
    """A configuration of InferenceX's, of 8 H200: its figures as they are imported."""
    (row,) = INFERENCE_X
    config = row | {"model": model, "conc": conc, "median_itl": 0.02 + conc * 1e-4, "output_tput_per_gpu": 100.0} | told
    figures = figures_of([config], "inferencex")
    return [
        Published(
            "f" * 64, f"$[{model} {conc}].{one.place.rpartition('.')[2]}", "https://x", one.model, one.metric, one.value,
            one.hardware, one.engine, json.dumps(dict(one.conditions)),
        )
        for one in figures
    ]  # fmt: skip


def test_loads_that_others_published_are_read_where_they_name_enough() -> None:
    """The model's size by its name, the hardware, the load; of experts, of unknown devices and precisions, and of no load nothing is."""
    (row,) = rows_of_others(others("org/big-70B", 64))
    machine = machine_of("8 × h200", devices={"h200": 8}, cores=0)
    assert machine and row.subject == Subject(Model("org/big-70B (fp8)", 70e9, 70e9, 0.0), "vllm", machine, Load(64, 1024, 8192))
    assert row.figures == pytest.approx({"ttft_p50_s": 0.31, "itl_p50_s": 0.0264, "tokens_per_s": 800.0})
    assert row.source == "https://x"
    for model, told in (
        ("org/big", {}),
        ("org/big-8x7B", {}),
        ("b-7B", {"hw": "abacus"}),
        ("b-7B", {"precision": "q"}),
        ("b-7B", {"isl": 0}),
    ):
        assert rows_of_others(others(model, 64, **told)) == [], (model, told)
    for conditions in ("", "[]", "nonsense", '{"precision": 8}'):
        assert rows_of_others([replace(one, conditions=conditions) for one in others("b-7B", 64)]) == []
    assert rows_of_others([replace(one, value=math.inf) for one in others("b-7B", 64)]) == []


def test_others_loads_are_learned_from_where_our_own_say_nothing() -> None:
    """And it is said; where our own are enough they change nothing, and no prediction is held to them."""
    theirs = rows_of_others([one for size in (7, 8, 13, 32, 70) for conc in (4, 16, 64) for one in others(f"m{size}-{size}B", conc)])
    asked = replace(theirs[0].subject, model=Model("new-20B", 20e9, 20e9, 0.0))
    (told,) = Predictor(theirs).predict(asked, ["itl_p50_s"])
    assert isinstance(told, Predicted)
    assert told.method.endswith("; 15 of 15 loads are others' results")
    assert 0.01 < told.low < told.value < told.high < 0.06
    world = speeds(1, models=12, machines=5)
    known = world.rows[0].subject
    assert Predictor([*world.rows, *theirs]).predict(known, ["itl_p50_s"]) == Predictor(world.rows).predict(known, ["itl_p50_s"])
    far = Predictor(world.rows[:5]).predict(replace(known, engine="gguf"), ["itl_p50_s"])
    assert Predictor([*world.rows[:5], *theirs]).predict(replace(known, engine="gguf"), ["itl_p50_s"]) == far
    made = made_of([told], asked, at_us=0)
    assert came_of(made, [replace(theirs[0], subject=asked, ended_us=5)]) == []


def made_of(told: list[Predicted | Abstained], about: Subject, *, at_us: int) -> PredictionMade:
    """A prediction as it is said."""
    figures = [one for one in told if isinstance(one, Predicted)]
    return PredictionMade(
        occurred_us=at_us, producer=Producer(service="t", version="0", commit=""), prediction_id=f"p-{at_us}", asked_by="t",
        model=about.model.name, model_sha=None, parameters=1, weights_bytes=1, kv_bytes_per_token=0, engine=about.engine,
        hardware=about.machine.name, in_flight=about.load.in_flight, input_tokens=about.load.input_tokens,
        output_tokens=about.load.output_tokens, unpredicted=(), formula_version="1", inputs_digest="d", input_runs=(),
        figures=tuple(
            PredictedFigure(
                figure=one.figure, unit=FIGURES[one.figure], value=one.value, low=one.low, high=one.high, level=one.level,
                roofline=one.roofline, method=one.method, left_out=one.left_out, groups=one.groups, loads=one.loads,
                typical_error_ratio=one.typical_error_ratio,
            )
            for one in figures
        ),
    )  # fmt: skip


def test_a_prediction_is_held_to_the_first_measurement_behind_it() -> None:
    """Of the same model, engine, machine and load, within a tenth; never to one that was there before."""
    world = speeds(2, models=12, machines=5)
    about = world.rows[0].subject
    rest = [row for row in world.rows if row.subject.model.name != about.model.name]
    made = made_of(Predictor(rest).predict(about, ["itl_p50_s", "tokens_per_s"]), about, at_us=100)
    value = world.rows[0].figures["itl_p50_s"]
    near = replace(about, load=replace(about.load, in_flight=about.load.in_flight * 1.05))
    far = replace(about, load=replace(about.load, in_flight=about.load.in_flight * 1.3))
    rows = [
        Row("before", about, {"itl_p50_s": value}, ended_us=99),
        Row("far", far, {"itl_p50_s": value}, ended_us=101),
        Row("another", replace(about, engine="x"), {"itl_p50_s": value}, ended_us=102),
        Row("first", near, {"itl_p50_s": value}, ended_us=103),
        Row("second", about, {"itl_p50_s": 9 * value, "tokens_per_s": 1e9}, ended_us=104),
    ]
    came = came_of(made, rows)
    assert [(one.figure, one.run_id, one.measured) for one in came] == [("itl_p50_s", "first", value), ("tokens_per_s", "second", 1e9)]
    told = next(one for one in made.figures if one.figure == "itl_p50_s")
    assert came[0].error_ratio == pytest.approx(told.value / value - 1)
    assert came[0].within == (told.low <= value <= told.high)
    assert (came[1].within, came[1].error_ratio < -0.9) == (False, True)
    kept = kept_of([made], came)
    assert [(one.figure, one.n, one.within, one.promised) for one in kept] == [
        ("itl_p50_s", 1, float(came[0].within), LEVEL), ("tokens_per_s", 1, 0.0, LEVEL)
    ]  # fmt: skip
    assert kept[1].low == 0.0 < kept[1].high < 1.0


def test_every_figure_has_words() -> None:
    """Those that people read."""
    assert list(WORDS) == list(FIGURES)
