"""Numbers that people write as text are read within bounds, at once, and a refusal names the field."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from query_api.cli.budgets import deadline_us
from query_api.cli.grids import _values
from query_api.cli.shares import limit_said
from query_api.operations.parsing import query_of
from query_api.operations.problems import Malformed
from query_api.pages.comparison import _above_0
from query_api.pages.parity import margin_of
from streams.deciding.quantities import money, written
from streams.deciding.reading import requirement_of
from streams.engine_options import MILLISECONDS
from streams.errors import Invalid
from streams.money.derivations import exact
from streams.money.reading import calculation_of
from streams.money.scenarios import Scenario
from streams.numbers import decimal, real, shown, whole

ENDLESS = ("1e99999999", "-1e300000", "1e-999999", "1e999999999999999999999", "1e31", "1e-31", "9" * 5000, "1e" + "1" * 5000, 10**5000)
TRAFFIC = {"rate": "20/s", "input": "800 tokens", "output": "200 tokens"}


def test_a_number_is_what_is_written() -> None:
    """Exactly, from 1e-30 to 1e30; zero is zero, however it is written."""
    told = {"2.5": "2.5", "-1e3": "-1000", ".5": "0.5", "5.": "5", "1e30": "1e30", "1e-30": "1e-30", "0e-999999999": "0", " 7 ": "7"}
    assert {text: decimal(text) for text in told} == {text: Decimal(value) for text, value in told.items()}
    assert (whole("25"), whole("-3"), real("0.1"), decimal(1.5)) == (25, -3, 0.1, Decimal("1.5"))
    assert exact("0.15") * 100 == 15
    for text in ("", ".", "1_0", "٣", "1,5", "nan", "inf", "0x1", "1 2", "1e", "--1"):
        with pytest.raises(ValueError, match="is no number"):
            decimal(text)
    for text in ("1.0", "1_0", "٣", "", str(2**63), "9" * 30):
        with pytest.raises(ValueError, match="is no whole number"):
            whole(text)


@pytest.mark.parametrize("text", ENDLESS, ids=shown)
def test_what_would_take_for_ever_is_refused_at_once(text: Any) -> None:
    """Wherever it is told; a message shows a part of it."""
    with pytest.raises(ValueError, match=r"is longer than|is out of all bounds"):
        exact(str(text) if isinstance(text, str) else shown(text) * 3)
    with pytest.raises(Invalid, match=r"^rent .* is (longer|out)"):
        Scenario.of("s of 2026", rent=text if isinstance(text, str) else "9" * 200)
    for body in ({"inputs": {"rent": text}}, {"rates": {"EUR": text}, "inputs": {"rent": "2"}}, {"inputs": {"rent": 1}, "spread": text}):
        with pytest.raises(Invalid) as caught:
            calculation_of({"source": "s of 2026", **body})
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"budget": {"per_month": "1e999980 USD"}}, "budget.per_month"), ({"budget": {"per_month": "1e20 USD"}}, "at most 9 billion"),
        ({"budget": {"per_month": "1e-20 USD"}}, "at least a billionth"), ({"tasks": {"a": 1e308, "b": 1e308}}, "tasks.a"),
        ({"traffic": TRAFFIC | {"rate": "1e400/s"}}, "rate is '1e400/s'"),
        ({"traffic": TRAFFIC | {"rate": "1e999999999/min"}}, "rate is"),
        ({"traffic": TRAFFIC | {"input": "1e400 tokens"}}, "traffic.input"),
        ({"traffic": TRAFFIC | {"input": "1e19 tokens"}}, "at most 92"),
        ({"traffic": TRAFFIC | {"input": "0.1 tokens"}}, "at least 1"), ({"allowed": {"memory": "1e29 GB"}}, "allowed.memory"),
        ({"latency": {"ttft_p95": "1e-400 s"}}, "latency.ttft_p95"), ({"rates": {"EUR": "1e999999999"}}, "rates.EUR"),
        ({"floors": {"a": "1e999999999 %"}}, "floors.a"), ({"energy": {"per_token": "1e999999 J"}}, "energy.per_token"),
        ({"tasks": {"a": "1" * 5000}}, "tasks.a is '1111.* 100 characters"), ({"tasks": {"a": 10**5000}}, "tasks.a"),
        ({"prefer": {"points": {"quality": "1e400"}}}, "points.quality"), ({"prefer": {"order": 5}}, "prefer.order is 5; write a list"),
        ({"prefer": {"order": "quality"}}, "prefer.order is 'quality'; write a list"),
        ({"prefer": {"order": ["quality"] * 101}}, "prefer.order has 101 entries"),
        ({"prefer": {"order": [{"figure": "quality", "tolerance": "1e400"}]}}, "prefer.order.tolerance"),
        ({"floors": {f"a{n}": 0.1 for n in range(101)}}, "floors has 101 entries"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)  # fmt: skip
def test_a_requirement_beyond_all_bounds_is_refused_with_its_field(change: dict[str, Any], names: str) -> None:
    """And what to write."""
    with pytest.raises(Invalid, match=names):
        requirement_of({"tasks": {"gsm8k": 1}, "traffic": TRAFFIC, **change})


def test_long_texts_are_read_in_time_that_is_a_line_of_their_length() -> None:
    """Eight thousand digits and two words took minutes."""
    for text in ("1" * 100_000 + " x y", "1e" + "1" * 100_000 + " x y", "1" + " " * 100_000 + "x y", "1_" * 50_000):
        with pytest.raises(Invalid, match="is no amount"):
            written(text, "x")
    assert written(" 20\u00a0% ", "x") == (Decimal(20), "%") and written("500ms", "x") == (Decimal(500), "ms")
    assert money("1.5 USD/month", "x", {}, per="month") == 1_500_000_000


@pytest.mark.parametrize(
    ("name", "written", "usd"),
    [
        ("per_month", "3000 USD/year", 250), ("per_month", "73 USD/week", 73 * 730 / 168), ("per_month", "3000 USD", 3000),
        ("per_1m_tokens", "0.0005 USD/1k", 0.5), ("per_1m_tokens", "0.5 EUR/1M tokens", 0.55), ("capital", "5 USD", 5),
    ],
)  # fmt: skip
def test_a_budget_is_read_each_what_it_is_told_for(name: str, written: str, usd: float) -> None:
    """A year's is a month's times twelve; a currency alone is the field's own."""
    spending = requirement_of({"budget": {name: written}, "rates": {"EUR": 1.1}}).spending
    assert getattr(spending, f"{name}_usd_nano") == pytest.approx(usd * 1e9, abs=1)


@pytest.mark.parametrize("budget", [{"per_month": "3 USD/hour"}, {"per_1m_tokens": "3 USD/month"}, {"capital": "3 USD/year"}])
def test_a_budget_each_what_it_is_not_told_for_is_refused(budget: dict[str, str]) -> None:
    """A machine is not on in all hours, and capital is paid once."""
    with pytest.raises(Invalid, match="is an amount each"):
        requirement_of({"budget": budget})


class Asked(BaseModel):
    """What an address takes."""

    limit: int = 20
    margin: float | None = None
    names: tuple[str, ...] = ()


def test_a_query_parameter_is_read_by_its_digits_alone() -> None:
    """Pydantic reads 1_0 as 10, and 1e400 as an infinite number; a name may have what it likes."""

    def asked(query: str) -> Asked:
        return query_of(Request({"type": "http", "query_string": query.encode(), "headers": []}), Asked)

    assert asked("limit=10&margin=0.5&names=a_b&names=c_d") == Asked(limit=10, margin=0.5, names=("a_b", "c_d"))
    for query in ("limit=1_0", "margin=0.1_0", "margin=1e400", "margin=" + "9" * 9000, "margin=nan", "limit=%D9%A3", "limit=" + "1" * 5000):
        with pytest.raises(Malformed, match="query parameter"):
            asked(query)


def test_the_command_line_and_pages_read_digits_alone() -> None:
    """Python reads 1_0 as 10, and the digits of other scripts."""
    assert limit_said("200") == {"limit": 200} and limit_said("0.1") == {"limit_ratio": 0.1}
    for text in ("1_0", "٣", "0.1_0", "1e400", "9" * 5000):
        for read in (limit_said, lambda said: _values("concurrency", said), margin_of, lambda said: _above_0(said, "difference")):
            with pytest.raises(Invalid):
                read(text)
        with pytest.raises(ValueError, match="is "):
            MILLISECONDS.read(text)
    with pytest.raises(Invalid, match="deadline"):
        deadline_us("٣h")
