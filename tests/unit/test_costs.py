"""Costs: by hand, under any interleaving and redelivery, monotone in prices; and what cannot be reckoned says why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Event
from schemas.jobs import Device, EnvironmentSeen, Job, JobChanged, JobPlanned
from schemas.measurements import ResourceRead
from schemas.requests import Chat, EngineChoice, ModelRef, Workload
from schemas.results import Figure, PerformanceSummarised, PricePublished, RunScored
from schemas.runs import RunChanged
from streams.money.cases import Case, Usage
from streams.money.costs import Summary, reckoned, summaries
from streams.money.prices import NANO, PriceBook
from streams.settling.results import settled
from streams.settling.runs import OpenRuns, Run
from streams.settling.used import Used
from tests.runs import run_named
from tests.unit.test_prices import price
from tests.unit.test_results import HEADER, STAMP, interleaved, planned

R = run_named("r")

S_US = 10**6
HEAD = HEADER | {"occurred_us": 500 * S_US}
ANSWER, PERF = f"{R}/t/0/0", f"{R}/perf"


def reported(at_s: int, state: str, *, job: str = ANSWER, attempt: int = 1, agent: str = "a", sha: str = "cpu") -> JobChanged:
    """An agent's report, so many seconds after the epoch."""
    return JobChanged.model_validate(HEAD | {
        "occurred_us": at_s * S_US, "pool": "p", "run_id": R, "job_id": job, "attempt": attempt, "agent_id": agent, "incarnation": 1,
        "state": state, "environment_sha": sha, "sequence": at_s,
    })  # fmt: skip


def environment(sha: str = "cpu", *, gpus: int = 0, region: str = "any") -> EnvironmentSeen:
    """A machine of four cores."""
    devices = tuple(Device(uuid=str(n), name="H100", memory_bytes=1) for n in range(gpus))
    return EnvironmentSeen(
        **HEAD, sha=sha, packages={}, driver=None, cpu="c", cpu_flags=(), cores=4, memory_bytes=1, devices=devices, container_digest=None,
        os="o", region=region,
    )  # fmt: skip


def scored(value: float | None, n: int) -> RunScored:
    """The task's accuracy."""
    figure = Figure(metric="acc", value=value, n=n)
    return RunScored(
        **HEAD, run_id=R, task="t", scorer_version="1", complete=True, scored=n, expected=n, inputs_digest="", figures=(figure,)
    )


def fast(**values: tuple[float | None, int]) -> PerformanceSummarised:
    """Ten requests in 20 s that read 1000 tokens and wrote 500; a fifth of their time was prefill."""
    told: dict[str, tuple[float | None, int]] = {
        "requests_per_s": (0.5, 10), "input_tokens_per_s": (50.0, 1000), "output_tokens_per_s": (25.0, 500), "prefill_mean": (4e8, 10),
        "decode_mean": (16e8, 10),
    } | values  # fmt: skip
    figures = tuple(Figure(metric=name, value=value, n=n) for name, (value, n) in told.items())
    return PerformanceSummarised(**HEAD, run_id=R, formula_version="1", complete=True, inputs_digest=str(values), figures=figures)


def metered(at_s: float, uj: int, *jobs: str, agent: str = "a", sensor: str = "nvml-total-energy", attempt: int = 1) -> ResourceRead:
    """A counter's reading while these jobs were active."""
    return ResourceRead(
        **HEAD, agent_id=agent, host="h", boot_id="b", mono_ns=round(at_s * 1e9), device_uuid="d", scope="device", jobs_active=jobs,
        energy_uj=uj, method="counter", sensor=sensor, own_cost_ns=1, attempts=(attempt,) * len(jobs),
    )  # fmt: skip


def over(state: str = "completed") -> RunChanged:
    """The run's end."""
    return RunChanged.model_validate(HEAD | {"run_id": R, "state": state})


RUN: list[Event] = [planned(R, samples=8, perf=10), over()]
REPORTS: list[Event] = [
    reported(100, "loading"), reported(110, "failed"),  # ten seconds for nothing, which cost too
    reported(120, "loading", attempt=2), reported(140, "finished", attempt=2),
    reported(150, "loading", job=PERF), reported(180, "finished", job=PERF),
]  # fmt: skip
READINGS: list[Event] = [
    metered(0, 0, ANSWER),
    metered(1, 900, ANSWER),
    metered(1.5, 1000, ANSWER, attempt=2),
    metered(2, 2100, ANSWER, attempt=2),
    metered(3, 10_000, PERF),
    metered(4, 11_600, PERF),
]
POWER: list[Event] = [
    price("kwh", 0.1, unit="kWh"), price("pue", 1.5, unit="1", currency=""), price("gco2_per_kwh", 400, unit="g/kWh", currency=""),
]  # fmt: skip
PRICES: list[Event] = [price(usd=0.09), *POWER]
PARTITIONS: list[list[Event]] = [
    RUN, REPORTS, READINGS, [scored(0.75, 8)], [fast()], [environment()], [price(usd=0.09), price(usd=0.18, version="2", published_us=2)],
    POWER,
]  # fmt: skip


PER_TOKENS = ("per_1k_output_tokens_uwh", "per_1k_output_tokens_water_nl", "per_1k_output_tokens_co2e_ug",
              "per_1k_output_tokens_embodied_ug", "per_1k_output_tokens_sci_ug")  # fmt: skip
MADE: list[Event] = [
    price("wue", 1.8, unit="L/kWh", currency=""), price("embodied_gco2:c", 143_000, unit="g/device", currency=""),
    price("lifetime_h:c", 43_800, unit="h/device", currency=""),
]  # fmt: skip


def told(*events: Event) -> tuple[Summary, ...]:
    """The run's summaries, once it is over."""
    runs, book, environments = OpenRuns(), PriceBook(), dict[str, EnvironmentSeen]()
    scores, speeds = dict[str, RunScored](), list[PerformanceSummarised]()
    for event in events:
        match event:
            case PricePublished():
                book.fold(event)
            case EnvironmentSeen():
                environments.setdefault(event.sha, event)
            case RunScored():
                scores.setdefault(event.task, event)
            case PerformanceSummarised():
                speeds.append(event)
            case _:
                runs.fold(event)
    run = runs.run(R)
    if not run.over:
        return ()
    return tuple(summaries(settled(run, scores, speeds[0] if speeds else None, through={}, stamp=STAMP), book, environments))


def used(*events: Event) -> Run:
    """The run that these are about."""
    runs = OpenRuns()
    for event in events:
        runs.fold(event)
    return runs.run(R)


def values(summary: Summary) -> dict[str, float | None]:
    """Figures by name."""
    return {figure.metric: figure.value for figure in summary.figures}


def whys(*events: Event) -> dict[str, str | None]:
    """Why figures are undefined."""
    (summary,) = told(*events)
    return {figure.metric: figure.why_undefined for figure in summary.figures}


def usual(*others: Event, without: Any = ()) -> list[Event]:
    """A whole run with these events instead of others of their types."""
    types = tuple({type(event) for event in others}) + (without if isinstance(without, tuple) else (without,))
    kept: list[Event] = [*RUN, *REPORTS, *READINGS, scored(0.75, 8), fast(), environment(), *PRICES]
    return [event for event in kept if not isinstance(event, types)] + list(others)


def test_a_run_by_hand() -> None:
    """Four cores at 0.09 USD cost 0.36 an hour, 0.0001 a second: 60 s of attempts, 30 s of them for 6 right answers, 20 s of window."""
    (summary,) = told(*usual())
    per_s = 100_000
    assert values(summary) == {
        "run_usd_nano": 60 * per_s, "per_correct_answer_usd_nano": 30 * per_s / 6, "per_correct_answer_uj": round((900 + 1100) / 6),
        "per_1m_input_tokens_usd_nano": 20 * per_s * 0.2 / 1000 * 1e6, "per_1m_output_tokens_usd_nano": 20 * per_s * 0.8 / 500 * 1e6,
        "per_1m_tokens_usd_nano": round(20 * per_s / 1500 * 1e6), "energy_uj": 3600,
        "energy_usd_nano": round(3600 * 1.5 * 0.1 * NANO / 3.6e12), "co2e_ug": round(3600 * 1.5 * 400 * 1e6 / 3.6e12),
        **dict.fromkeys(PER_TOKENS),  # no energy a token was measured
    }  # fmt: skip
    origins = {figure.metric: figure.origin for figure in summary.figures}
    assert (origins["energy_uj"], origins["energy_usd_nano"], origins["run_usd_nano"]) == ("counter, accelerator",) * 2 + ("cpu_hour (1)",)


def test_a_thousand_tokens_energy_water_and_emissions_by_hand() -> None:
    """2 J a token: 2 kJ, of which the building draws 3; 20 s of a processor that is used for five years wrote 500 tokens."""
    quick = fast(energy_per_output_token_uj=(2e6, 500))
    whole = [*usual(without=PricePublished), price(usd=0.09), *POWER, *MADE]
    (summary,) = told(*[event for event in whole if not isinstance(event, PerformanceSummarised)], quick)
    found, kwh, made = values(summary), 2000 / 3.6e6, 143_000 * (20 / 3600 / 43_800) / 500 * 1000
    assert [found[name] for name in PER_TOKENS] == [
        round(kwh * 1e9), round(1.8 * kwh * 1e9), round(kwh * 1.5 * 400 * 1e6), round(made * 1e6), round((kwh * 1.5 * 400 + made) * 1e6)
    ]  # fmt: skip
    (lacking,) = told(*usual(quick))
    why = {figure.metric: figure.why_undefined for figure in lacking.figures}
    assert why["per_1k_output_tokens_sci_ug"] == "no price of embodied_gco2:c holds on 1970-01-01 in region any"
    assert values(lacking)["per_1k_output_tokens_co2e_ug"] == round(kwh * 1.5 * 400 * 1e6)
    gpus = [event for event in whole if not isinstance(event, (PerformanceSummarised, EnvironmentSeen))]
    (of_two,) = told(
        *gpus, quick, environment(gpus=2), price("gpu_hour:H100", 2), price("embodied_gco2:H100", 150_000, unit="g/device", currency=""),
        price("lifetime_h:H100", 30_000, unit="h/device", currency=""),
    )  # fmt: skip
    assert values(of_two)["per_1k_output_tokens_embodied_ug"] == round(2 * 150_000 * (20 / 3600 / 30_000) / 500 * 1000 * 1e6)


@given(seed=st.integers(0, 10**6))
def test_any_interleaving_and_redelivery_gives_the_same_figures(seed: int) -> None:
    """Both versions of the book, each with its own figures and digest."""
    assert told(*interleaved(PARTITIONS, seed=seed)) == told(*(event for part in PARTITIONS for event in part))
    assert [summary.price_version for summary in told(*interleaved(PARTITIONS, seed=seed))] == ["1", "2"]


def test_a_later_price_makes_a_summary_of_its_own_beside_the_old_one() -> None:
    """Twice the price, twice the cost; energy is as before. A version that changes nothing of the run's adds nothing."""
    old, new = told(*usual(), price(usd=0.18, version="2", published_us=2), price("gpu_hour:H100", 2, version="3", published_us=3))
    assert (old, new.price_version) == (told(*usual())[0], "2")
    assert values(new)["run_usd_nano"] == 2 * (values(old)["run_usd_nano"] or 0)
    assert values(new)["energy_usd_nano"] == values(old)["energy_usd_nano"]
    later = price(usd=9, version="4", published_us=4, valid_from_us=101 * S_US)
    assert told(*usual(), later) == told(*usual())


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=2).map(sorted), st.sampled_from(["cpu_hour", "kwh", "pue", "gco2_per_kwh"]))
def test_cost_is_monotone_in_every_price(amounts: list[int], item: str) -> None:
    """A dearer price makes no figure cheaper."""
    low, high = (
        values(told(*usual(*(_with(one, item, amount + NANO) for one in PRICES)))[0]) for amount in amounts
    )  # fmt: skip
    assert all((low[name] or 0) <= (high[name] or 0) for name in low)


amounts_of = st.tuples(
    st.sampled_from(["cpu_hour", "gpu_hour:H100", "gpu_hour:A100", "kwh", "pue", "api_input_token:m"]),
    st.sampled_from(["any", "eu", "us"]), st.integers(1, 4), st.sampled_from([0, 99 * S_US, 200 * S_US]),
)  # fmt: skip


def _published(number: int, item: str, region: str, version: int, from_us: int) -> PricePublished:
    """A price of a book whose versions are as old as their numbers."""
    money, unit = item != "pue", {"kwh": "kWh", "pue": "1", "cpu_hour": "core-hour", "api_input_token:m": "1M tokens"}
    more: dict[str, Any] = {"region": region, "version": str(version), "valid_from_us": from_us, "currency": "USD" if money else ""}
    return price(item, 1.0 + number, published_us=version, unit=unit.get(item, "device-hour"), **more)


@given(st.lists(amounts_of, max_size=12))
def test_no_version_makes_a_difference_but_those_that_are_reckoned(published: list[tuple[str, str, int, int]]) -> None:
    """The others are passed over unreckoned: a book of hundreds of versions mostly prices other things, elsewhere, or later."""
    book, run = PriceBook(), settled(used(*usual()), {"t": scored(0.75, 8)}, fast(), through={}, stamp=STAMP)
    for number, (item, region, version, from_us) in enumerate(published):
        book.fold(_published(number, item, region, version, from_us))
    environments = {"cpu": environment("cpu", gpus=1, region="eu")}
    reckoned_ = dict[tuple[str, ...], tuple[str, Any]]()
    for name in book.versions:
        figures, prices = reckoned(Case(Usage(run, environments), book, name))
        reckoned_.setdefault(tuple(sorted(one.event_id for one in prices)), (name, figures))
    assert [(one.price_version, one.figures) for one in summaries(run, book, environments)] == list(reckoned_.values())


@given(st.lists(amounts_of, max_size=12), st.integers(0, 12), st.permutations(range(1, 4)))
def test_new_prices_have_all_reckoned_again_that_they_may_change(
    published: list[tuple[str, str, int, int]], known: int, ages: list[int]
) -> None:
    """And nothing of the versions before them: whatever version they are of, and however old they make it."""
    before, book, run = PriceBook(), PriceBook(), settled(used(*usual()), {"t": scored(0.75, 8)}, fast(), through={}, stamp=STAMP)
    environments, new = {"cpu": environment("cpu", gpus=1, region="eu")}, set[str]()
    for number, told in enumerate(published):
        one = _published(number, *told)
        one = one.model_copy(update={"occurred_us": ages[int(one.version) % len(ages)] - number})
        if number < known:
            before.fold(one)
        elif one.event_id not in {each.event_id for prices in book.prices.values() for each in prices.values()}:
            new.add(one.version)
        book.fold(one)
    every, said = list(summaries(run, book, environments)), list(summaries(run, before, environments))
    again = list(summaries(run, book, environments, since=new)) if new else []
    assert again == every[len(every) - len(again) :]
    assert [one for one in every if one not in said] == [one for one in again if one not in said]


def _with(event: Event, item: str, amount_nano: int) -> Event:
    assert isinstance(event, PricePublished)
    return event.model_copy(update={"amount_nano": amount_nano}) if event.item == item else event


@given(read=st.integers(1, 10**6), written=st.integers(1, 10**6), share=st.floats(0.01, 0.99), requests=st.integers(1, 1000))
def test_what_was_read_and_written_costs_the_window_together(read: int, written: int, share: float, requests: int) -> None:
    """The split of time between prefill and decode loses nothing."""
    speed = fast(
        requests_per_s=(requests / 20, requests), input_tokens_per_s=(read / 20, read), output_tokens_per_s=(written / 20, written),
        prefill_mean=(share * 1e9, requests), decode_mean=((1 - share) * 1e9, requests),
    )  # fmt: skip
    found = values(told(*usual(speed))[0])
    into, out = found["per_1m_input_tokens_usd_nano"] or 0, found["per_1m_output_tokens_usd_nano"] or 0
    assert into * read / 1e6 + out * written / 1e6 == pytest.approx(20 * 100_000, abs=(read + written) / 1e6 + 1)


def test_an_agent_with_devices_is_priced_by_them_and_in_its_region() -> None:
    """Two devices; the price of the region goes before the one of any."""
    book = [price("gpu_hour:H100", 3.6), price("gpu_hour:H100", 7.2, region="eu")]
    for region, usd in (("any", 7.2), ("eu", 14.4)):
        (summary,) = told(*usual(environment(gpus=2, region=region), *book))
        assert values(summary)["run_usd_nano"] == 60 * usd * NANO / 3600


def test_what_cannot_be_reckoned_says_why() -> None:
    """Figure by figure; never 0, never invented."""
    no_price = whys(*usual(environment(gpus=1)))
    assert no_price["run_usd_nano"] == "no price of gpu_hour:H100 holds on 1970-01-01 in region any"
    assert no_price["energy_usd_nano"] is None
    assert whys(*usual(scored(0.0, 8)))["per_correct_answer_usd_nano"] == "no answer was correct"
    assert whys(*usual(fast(decode_mean=(0.0, 10))))["per_1m_output_tokens_usd_nano"] == (
        "each answer came all at once, so that prefill and decode cannot be told apart"
    )
    assert whys(*usual(fast(decode_mean=(0.0, 10))))["per_1m_tokens_usd_nano"] is None
    assert whys(*usual(without=ResourceRead))["energy_uj"] == "no meter here"
    assert whys(*usual(price(usd=1)))["co2e_ug"] == "no price of pue holds on 1970-01-01 in region any"
    elsewhere = reported(190, "finished", job=f"{R}/t/0/8", agent="b")
    assert whys(*usual(), elsewhere)["energy_uj"] == f"no meter where {R}/t/0/8 ran, on b"
    quality = usual(planned(R, samples=8), over(), without=PerformanceSummarised)
    assert whys(*quality)["per_1m_tokens_usd_nano"] == "no speed was measured; ask for a workload"
    assert "environment cpu has not been seen" in (whys(*usual(without=EnvironmentSeen))["run_usd_nano"] or "")


def test_energy_goes_to_the_attempt_that_was_active_and_not_over_gaps() -> None:
    """A counter that began anew, a long silence and another attempt's work add nothing, whatever comes again."""
    readings = [
        metered(0, 100, ANSWER), metered(1, 150, ANSWER), metered(2, 10, ANSWER), metered(3, 30, ANSWER), metered(60, 500, ANSWER),
        metered(61, 600, ANSWER, attempt=2), metered(62, 700, ANSWER, attempt=2), metered(0, 0, PERF, sensor="rapl-package"),
        metered(1, 5, PERF, sensor="rapl-package"), metered(1, 9, f"{run_named('other')}/t/0/0"),
    ]  # fmt: skip
    reports = [reported(1, "failed"), reported(2, "finished", attempt=2), reported(3, "finished", job=PERF)]
    found = used(*reports, *readings, *readings)
    assert [(one.job_id, one.attempt, one.energy_uj, one.energy_grade) for one in found.used.told()] == [
        (PERF, 1, 5, "counter, processor"), (ANSWER, 1, 70, "counter, accelerator"), (ANSWER, 2, 100, "counter, accelerator"),
    ]  # fmt: skip


def test_power_over_time_is_what_an_attempt_took_where_no_counter_is() -> None:
    """From 100 W to 300 W in two seconds are 400 J, the second after 300 J; over a gap nothing is known, and the host's is not added."""
    metering = Used()
    for at_s, watts in ((0, 100.0), (2, 300.0), (3, 300.0), (30, 300.0)):
        power = metered(at_s, 0, ANSWER).model_copy(update={"energy_uj": None, "power_w": watts, "sensor": "nvml-device"})
        metering.read(power)
        metering.read(power.model_copy(update={"sensor": "hwmon-host", "device_uuid": "p"}))
    metering.report(reported(1, "finished"))
    assert [(one.energy_uj, one.energy_grade) for one in metering.told()] == [(700_000_000, "integrated, accelerator")]


def test_a_counter_that_wraps_in_a_run_has_counted_on() -> None:
    """Nine kilojoules, six of them before its range's end; as a plain difference they would be −253."""
    range_uj, metering = 262_143_328_850, Used()
    for at_s, uj in ((0, range_uj - 6_000_000_000), (4, 3_000_000_000)):
        metering.read(metered(at_s, uj, ANSWER).model_copy(update={"energy_range_uj": range_uj}))
    (counters,) = metering.counters.values()
    assert [counter.grown_uj for counter in counters.values()] == [9_000_000_000]


def test_a_run_that_was_cut_off_has_cost_what_it_used_and_one_that_goes_on_nothing_yet() -> None:
    """Failed and cancelled runs too."""
    failed = usual(planned(R, samples=8, perf=10), over("failed"), without=(RunScored, PerformanceSummarised))
    assert values(told(*failed)[0])["run_usd_nano"] == 6_000_000
    assert told(*usual(planned(R, samples=8, perf=10))) == ()


def test_a_server_elsewhere_costs_what_it_bills_for_tokens() -> None:
    """Its devices are not the agent's."""
    job = Job(
        run_id=R, job_id=PERF, kind="perf", pool="p", submitter="s", organisation_id="o", priority=0, model=ModelRef(uri="m"),
        engine=EngineChoice(), chat=Chat(), workload=Workload(profile="single", url="http://127.0.0.1:1"),
    )  # fmt: skip
    away = JobPlanned(**HEAD, pool="p", job_id=PERF, run_id=R, job=job)
    bills = [price("api_input_token:m", 0.5, unit="1M tokens"), price("api_output_token:m", 2, unit="1M tokens")]
    (summary,) = told(*usual(), away, *bills)
    found = values(summary)
    assert (found["per_1m_input_tokens_usd_nano"], found["per_1m_output_tokens_usd_nano"]) == (NANO / 2, 2 * NANO)
    assert found["per_1m_tokens_usd_nano"] == NANO
    assert (found["run_usd_nano"], found["energy_uj"]) == (None, None)
