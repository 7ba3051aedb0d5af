"""When tokens came is told as gaps: the same moments, in fewer bytes, also of records that are older than gaps."""

import base64
import io
import json
import random
from itertools import accumulate

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import size
from schemas.event import Producer
from schemas.measurements import TokensTimed
from schemas.released import released_codec, releases
from tests.runs import run_named
from tests.stored.write import FILE

CODEC = released_codec()
R = run_named("r")
WHOLE = st.integers(-(2**63), 2**63 - 1)


def timed(arrived_ns: tuple[int, ...], brought: tuple[int, ...]) -> TokensTimed:
    """An event that is given when each came."""
    return TokensTimed(
        occurred_us=1, producer=Producer(service="gpu_agent", version="1"), run_id=R, job_id=f"{R}/perf", attempt=1, request_index=0,
        sequence=0, chunk=0, first_token=0, arrival_ns=arrived_ns, tokens_per_arrival=brought,
    )  # fmt: skip


@given(st.lists(st.tuples(WHOLE, st.integers(0, 5)), max_size=5))
def test_whatever_the_moments_they_come_back(told: list[tuple[int, int]]) -> None:
    """Over the wire too, also where a gap is greater than any number in a record."""
    arrived, brought = tuple(at for at, _ in told), tuple(count for _, count in told)
    one = timed(arrived, brought)
    assert one.arrival_ns == () and one.arrivals == (arrived, brought)
    assert CODEC.decode(CODEC.encode(one), TokensTimed) == one


def test_a_record_from_before_gaps_is_read_as_one_with_gaps() -> None:
    """The stored bytes of version 1, and the same moments with numbers of tokens that tell something."""
    stored = next(row for row in json.loads(FILE.read_text()) if (row["event"], row["version"]) == ("TokensTimed", 1))
    old = CODEC.decode(base64.b64decode(stored["payload"]), TokensTimed)
    assert (old.first_ns, old.gap_ns, old.arrival_ns) == (2**40, (), ())
    first = next(one for one in releases() if (one.event, one.version) == ("TokensTimed", 1))
    fields = timed((5, 9, 30), (1, 1, 1)).model_dump() | {"arrival_ns": [5, 9, 30], "tokens_per_arrival": [2, 1, 1]}
    payload = written(first.schema_id, first.schema, fields)
    assert CODEC.decode(payload, TokensTimed) == timed((5, 9, 30), (2, 1, 1))
    uneven = written(first.schema_id, first.schema, fields | {"tokens_per_arrival": [1]})
    assert CODEC.decode(uneven, TokensTimed).arrivals == ((5,), (1,))


def test_arrivals_without_counts_brought_a_token_each() -> None:
    """However an event is made: by moments, or by gaps."""
    assert timed((1, 2, 3), ()) == timed((1, 2, 3), (1, 1, 1))
    assert timed((1, 2, 3), ()).arrivals == ((1, 2, 3), (1, 1, 1))


def written(schema_id: int, schema: dict[str, object], fields: dict[str, object]) -> bytes:
    """The framed bytes of a record under that schema."""
    out = io.BytesIO()
    out.write(b"\x00" + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), fields)
    return out.getvalue()


@pytest.mark.parametrize(("tokens", "most"), [(1000, 4.25), (128, 6.0)])
def test_a_token_takes_few_bytes_before_any_compression(tokens: int, most: float) -> None:
    """A gap of 20 ms with half a millisecond of jitter is four bytes, a sequence's header some 220."""
    chance = random.Random(1)
    arrived = tuple(accumulate((round(chance.gauss(20e6, 5e5)) for _ in range(tokens - 1)), initial=10**15))
    assert size(timed(arrived, (1,) * tokens)) / tokens < most
