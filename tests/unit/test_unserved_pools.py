"""What is said of a run whose pool nobody serves."""

import pytest

from query_api.reading.pools import told_for

FOUND = {"run_id": "r", "pool": "misspelt", "served": ["default", "big"], "heard_us": 0}


def test_a_run_is_told_its_pool_and_those_that_there_are() -> None:
    """With what to do."""
    told = told_for({"run_id": "r", "state": "planned", "waits_for": None, "waits_code": None}, FOUND)
    assert told["waits_for"].startswith("a dispatcher of pool 'misspelt': none ever served it, there are big, default;")
    assert "ASSAY_POOL=misspelt" in told["waits_for"] and told["waits_code"] == "no-dispatcher"


@pytest.mark.parametrize(("heard_us", "since"), [(1_700_000_000_000_000, "since 2023-11-14T22:13:20Z"), (0, "for a day")])
def test_a_run_whose_dispatcher_is_gone_is_told_since_when(heard_us: int, since: str) -> None:
    """What that one said of it last holds no more."""
    told = told_for({"state": "planned", "waits_for": "a free agent; it is next"}, FOUND | {"pool": "big", "heard_us": heard_us})
    assert told["waits_for"] == f"a dispatcher of pool 'big': none was heard {since}; start `ASSAY_POOL=big python -m agents dispatch`"


def test_a_run_that_runs_is_told_what_goes_on_without_a_dispatcher() -> None:
    """Its leased jobs; nothing else."""
    told = told_for({"state": "running", "waits_for": None}, FOUND | {"pool": "big"})
    assert "none was heard for a day; jobs that agents have go on, no other begins; start" in told["waits_for"]


def test_a_row_gets_no_column_that_its_list_has_not() -> None:
    """The API's shapes allow none."""
    assert told_for({"run_id": "r", "state": "planned", "waits_for": None}, FOUND).keys() == {"run_id", "state", "waits_for"}
