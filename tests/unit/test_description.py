"""The API's description: true to the operations, whole, and without two shapes of one name."""

import pytest

from query_api.operations.description import PLACES, WRITTEN, document, written
from query_api.operations.routing import Operation
from query_api.producing.submitting import DAY_US, HEADER, OF_TASKS, Submission, drawn_us
from query_api.routes import OPERATIONS
from schemas.requests import EvaluationRequested

TOLD = document(OPERATIONS)


def test_the_committed_copy_is_what_the_operations_say() -> None:
    """`make schemas` writes it."""
    assert WRITTEN.read_text() == written()


def test_no_two_shapes_share_a_name() -> None:
    """Pydantic would tell them apart by their modules' names, and no client wants to see those."""
    names = TOLD["components"]["schemas"]
    assert [name for name in names if "__" in name] == []


# What somebody states or others report; and what a recommendation draws, which says of all together how (docs/deciding.md).
OTHERS = {"Sensitivity", "SpreadTold", "TornadoBar", "ExternalFigure", "ExternalResult", "Tradeoff", "DrawnFigure"}


def test_every_interval_says_what_made_it() -> None:
    """Beside its two ends, in whatever shape."""
    shapes = TOLD["components"]["schemas"]
    bare = {
        name
        for name, shape in shapes.items()
        if {"low", "high"} <= shape.get("properties", {}).keys() and "method" not in shape["properties"]
    }
    assert bare == OTHERS


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_every_operation_says_what_it_does_and_takes(operation: Operation) -> None:
    """One sentence, and one for each parameter."""
    told = TOLD["paths"][operation.path][operation.method.lower()]
    assert told["summary"].endswith(".")
    assert [parameter["name"] for parameter in told["parameters"] if not parameter["description"]] == []
    assert operation.answer or operation.streams


def test_an_operation_has_a_name_of_its_own() -> None:
    """Clients call it by that."""
    names = [operation.handler.__name__ for operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(operation.path.count("{") == sum(f"{{{name}}}" in operation.path for name in PLACES) for operation in OPERATIONS)


def test_a_submission_has_the_fields_of_the_event() -> None:
    """All but the header, with the same types and defaults."""
    fields = {name: info for name, info in EvaluationRequested.model_fields.items() if name not in HEADER}
    assert Submission.model_fields.keys() == fields.keys() | OF_TASKS  # which the tasks take over
    for name, info in fields.items():
        mine = Submission.model_fields[name]
        assert mine.annotation == info.annotation
        assert name == "run_id" or mine.get_default(call_default_factory=True, validated_data={}) == info.get_default(
            call_default_factory=True, validated_data={}
        )


def test_a_key_says_since_when_it_can_have_been_used() -> None:
    """A UUIDv7 a day before it was drawn; any other name for ever."""
    assert drawn_us("01890a5d-ac96-774b-bcce-b302099a8057") == 0x01890A5DAC96 * 1000 - DAY_US
    assert drawn_us("mine") == drawn_us("5adb1f10-61c2-5d9b-9b55-0a1d090383a3") == drawn_us("00000000-0000-7000-8000-000000000000") == 0
