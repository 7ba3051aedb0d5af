"""The API's description is OpenAPI 3.1."""

from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from query_api.operations.description import document
from query_api.routes import OPERATIONS


def test_it_is_openapi() -> None:
    """By the specification's own schema."""
    validate(document(OPERATIONS), cls=OpenAPIV31SpecValidator)
