"""What is said of a run whose pool nobody serves."""

from query_api.reading.pools import told_for

FOUND = {"run_id": "r", "pool": "misspelt", "served": ["default", "big"]}


def test_a_run_is_told_its_pool_and_those_that_there_are() -> None:
    """With what to do."""
    told = told_for({"run_id": "r", "state": "planned", "waits_for": None, "waits_code": None}, FOUND)
    assert told["waits_for"].startswith("a dispatcher of pool 'misspelt': none ever served it, there are big, default;")
    assert "ASSAY_POOL=misspelt" in told["waits_for"] and told["waits_code"] == "no-dispatcher"


def test_a_row_gets_no_column_that_its_list_has_not() -> None:
    """The API's shapes allow none."""
    assert told_for({"run_id": "r", "waits_for": None}, FOUND).keys() == {"run_id", "waits_for"}
