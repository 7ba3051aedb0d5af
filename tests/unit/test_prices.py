"""The price book: which price holds where and when; what is refused; and that order and redelivery change nothing."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.prices import rows_of
from schemas.event import Producer
from schemas.jobs import Device
from schemas.results import PricePublished
from streams.errors import Invalid
from streams.money.price_lists import price_fields
from streams.money.prices import NANO, PriceBook, Undefined, agent_hour, is_stale

ROW = {"item": "cpu_hour", "amount": "0.0425", "unit": "core-hour", "valid_from": "2026-01-01", "source": "a list", "version": "1"}
DAY_US = 86_400 * 10**6
JANUARY_US = 1_767_225_600 * 10**6  # 2026-01-01


def price(item: str = "cpu_hour", usd: float = 1.0, *, published_us: int = 1, **told: Any) -> PricePublished:
    """A price, of a core's hour unless told otherwise."""
    given_: dict[str, Any] = {
        "occurred_us": published_us, "producer": Producer(service="test", version="1"), "item": item, "region": "any", "currency": "USD",
        "amount_nano": round(usd * NANO), "unit": "device-hour" if item.startswith("gpu") else "core-hour", "valid_from_us": 0,
        "valid_to_us": None, "source": "test", "version": "1",
    }  # fmt: skip
    return PricePublished.model_validate(given_ | told)


def book_of(*prices: PricePublished) -> PriceBook:
    """The book with these prices."""
    book = PriceBook()
    for one in prices:
        book.fold(one)
    return book


def usd(book: PriceBook, *, at_us: int = 0, region: str = "any", version: str | None = None) -> float:
    """What a core's hour costs."""
    return book.at("cpu_hour", at_us=at_us, region=region, version=version).amount_nano / NANO


def test_a_row_is_read_exactly() -> None:
    """Billionths without a float between; dates are their first moment in UTC."""
    told = price_fields(ROW | {"valid_to": "2026-01-02T01:00:00+01:00"})
    assert (told["amount_nano"], told["valid_from_us"], told["valid_to_us"]) == (42_500_000, JANUARY_US, JANUARY_US + DAY_US)
    assert (told["region"], told["currency"]) == ("any", "USD")
    assert price_fields(ROW | {"item": "pue", "unit": "1", "amount": 1.2})["currency"] == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"unit": ""}, "cpu_hour has no unit"), ({"unit": "core-minute"}, "unit 'core-minute'; its unit is 'core-hour'"),
        ({"amount": "-1"}, "amount -1; the least is 0"), ({"amount": "ten"}, "'ten' is no number"),
        ({"amount": "0.0000000001"}, "nine digits"), ({"amount": "1e30"}, "9 billion"), ({"amount": "NaN"}, "is no number"),
        ({"amount": "1e999999999"}, "is out of all bounds"), ({"amount": "-1e300000"}, "is out of all bounds"),
        ({"amount": "9" * 5000}, "is longer than the 100 characters"), ({"amount": "-1e30"}, "9 billion"),
        ({"item": "cpu_hours"}, "did you mean cpu_hour"), ({"item": "gpu_hour"}, "write it as gpu_hour:<device>"),
        ({"item": "cpu_hour:x"}, "write it as cpu_hour"), ({"valid_from": "yesterday"}, "valid_from 'yesterday' is no date"),
        ({"valid_from": "2026-01-01T10:00"}, "has no zone"), ({"valid_to": "2025-01-01"}, "not after it begins on 2026-01-01"),
        ({"currency": "EUR"}, "convert it to USD"), ({"item": "pue", "unit": "1", "amount": "0.9"}, "the least is 1"),
        ({"item": "pue", "unit": "1", "currency": "USD"}, "this is no money"), ({"source": " "}, "no source"),
        ({"colour": "red"}, "unknown field"),
    ],
)  # fmt: skip
def test_a_wrong_row_says_what_is_wrong(change: dict[str, Any], says: str) -> None:
    """The field, its value and what to write."""
    with pytest.raises(Invalid, match=says.replace("(", r"\(")):
        PriceBook().fold(price().model_copy(update=price_fields(ROW | {"amount": "2"} | change)))


@pytest.mark.parametrize(
    ("name", "written", "says"),
    [
        ("p.csv", f"item\n{'x' * 200_000}", "p.csv, line 2: no CSV: field larger than field limit"),
        ("p.json", "[" * 20_000, "p.json: lists within lists, too deep to be read"),
    ],
)
def test_a_file_that_no_reader_takes_is_refused(tmp_path: Path, name: str, written: str, says: str) -> None:
    """In words."""
    (tmp_path / name).write_text(written)
    with pytest.raises(Invalid, match=says):
        rows_of(tmp_path / name)


def test_the_price_of_the_time_holds() -> None:
    """From its begin on, up to its end; before, there is none, and the reason names item, day and region."""
    book = book_of(price(usd=1, valid_from_us=10, valid_to_us=20), price(usd=2, valid_from_us=20))
    assert [usd(book, at_us=at) for at in (10, 19, 20, 10**15)] == [1, 1, 2, 2]
    with pytest.raises(Undefined, match="no price of cpu_hour holds on 1970-01-01 in region eu"):
        usd(book, at_us=9, region="eu")


def test_the_newest_version_wins_and_the_older_is_still_there() -> None:
    """By when it was first published, whatever its name; what a version leaves out, the one before it says."""
    book = book_of(price(usd=3, version="a", published_us=7), price(usd=1, version="b"), price("gpu_hour:x", 5, version="b"))
    assert book.versions == ("b", "a")
    assert (usd(book), usd(book, version="a"), usd(book, version="b")) == (3, 3, 1)
    assert book.at("gpu_hour:x", at_us=0, region="any", version="a").version == "b"


def test_the_very_region_goes_before_any() -> None:
    """Even an older version's."""
    book = book_of(price(usd=1, region="eu"), price(usd=2, version="2", published_us=2))
    assert (usd(book, region="eu"), usd(book, region="us")) == (1, 2)


prices = st.builds(
    price, usd=st.integers(0, 5), published_us=st.integers(0, 3), version=st.sampled_from("ab"), region=st.sampled_from(["any", "eu"]),
    valid_from_us=st.sampled_from([0, 5]), valid_to_us=st.sampled_from([None, 10]),
)  # fmt: skip


@given(st.lists(prices, max_size=8), st.randoms(use_true_random=False))
def test_order_and_redelivery_change_nothing(given_: list[PricePublished], draw: Any) -> None:
    """Of several of one identity the first in their partition counts; the order of different ones is of no account."""
    first = {(one.region, one.version, one.valid_from_us): one for one in reversed(given_)}
    shuffled = list(first.values())
    draw.shuffle(shuffled)
    left, right = book_of(*given_, *given_), book_of(*shuffled)
    assert (left.versions, left.prices) == (right.versions, right.prices)


def test_an_hour_of_an_agent_is_the_sum_over_its_devices_or_its_cores() -> None:
    """Two devices of one kind cost twice; the host of a rented device costs nothing more; seconds are exact."""
    book = book_of(price(usd=0.05), price("gpu_hour:H100", 3))
    device = Device(uuid="u", name="H100", memory_bytes=1)
    assert agent_hour([device, device], 64, book=book, at_us=0).usd_nano == 6 * NANO
    hour = agent_hour([], 4, book=book, at_us=0)
    assert (hour.usd_nano, hour.second_usd_nano) == (200_000_000, Fraction(200_000_000, 3600))
    assert [one.item for one in hour.prices] == ["cpu_hour"]
    with pytest.raises(Undefined, match="gpu_hour:A100"):
        agent_hour([device, device.model_copy(update={"name": "A100"})], 1, book=book, at_us=0)


def test_a_price_that_nobody_has_confirmed_for_long_is_stale() -> None:
    """180 days after it was published, or of the list's day where its version names one; not where its end is told, for then it ends."""
    published, days = int(datetime(2026, 11, 30, tzinfo=UTC).timestamp() * 1e6), 86_400 * 10**6

    def said(version: str = "mine", until: int | None = None) -> PricePublished:
        return price(version=version, published_us=published, valid_to_us=until)

    assert not is_stale(said(), at_us=published + 180 * days)
    assert is_stale(said(), at_us=published + 181 * days)
    assert not is_stale(said(until=published + 400 * days), at_us=published + 181 * days)
    assert is_stale(said("azure-1999-01-01"), at_us=published) and is_stale(said("2026-01-01"), at_us=published)
    assert not is_stale(said("azure-2026-11-29"), at_us=published) and not is_stale(said("azure-2026-99-99"), at_us=published)
    assert is_stale(said("azure-2099-01-01"), at_us=published + 181 * days)  # a day to come confirms nothing
