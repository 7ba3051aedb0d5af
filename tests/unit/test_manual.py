"""The page /docs says what the description says: every operation, every shape, and no link into nothing."""

from query_api.operations import manual
from query_api.operations.description import document
from query_api.routes import OPERATIONS

DESCRIBED = document(OPERATIONS)


def test_every_operation_and_shape_is_told() -> None:
    """With a curl line that names its address."""
    told = [entry for group in manual.entries(DESCRIBED, address="http://here").values() for entry in group]
    assert {(entry.method, entry.path) for entry in told} == {(operation.method, operation.path) for operation in OPERATIONS}
    assert all(entry.curl.startswith("curl ") and "http://here" in entry.curl for entry in told)
    assert {shape.name for shape in manual.shapes(DESCRIBED)} == DESCRIBED["components"]["schemas"].keys()


def test_every_link_leads_to_a_shape() -> None:
    """From fields, bodies and answers."""
    entries = [entry for group in manual.entries(DESCRIBED, address="").values() for entry in group]
    fields = [field for shape in manual.shapes(DESCRIBED) for field in shape.fields] + [
        one for entry in entries for one in entry.parameters
    ]
    links = {field.shape for field in fields} | {entry.body for entry in entries} | {a.shape for entry in entries for a in entry.answers}
    assert links - {""} <= DESCRIBED["components"]["schemas"].keys()


def test_types_are_words() -> None:
    """As a person says them."""
    assert (
        manual.type_of({"anyOf": [{"type": "array", "items": {"$ref": "#/components/schemas/Score"}}, {"type": "null"}]})
        == "list of Score or null"
    )
    assert manual.type_of({"type": "integer", "minimum": 1, "maximum": 500}) == "integer 1 to 500"
    assert manual.type_of({"enum": ["a", "b"]}) == '"a" · "b"'
    assert manual.type_of({"type": "object", "additionalProperties": {"type": "string"}}) == "map to string"
    assert manual.type_of({}) == "anything"


def test_prose_is_escaped_but_for_its_code() -> None:
    """A description is no markup."""
    assert manual.prose("the `next` of <page> & more") == "the <code>next</code> of &lt;page&gt; &amp; more"
