"""What the API takes and gives, as pydantic models: the ground that all of them share."""

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """Anything that the API takes or gives: frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class Nothing(Shape):
    """No parameters, or no body."""


class Problem(Shape):
    """What is wrong, and what to do (RFC 9457)."""

    type: str = Field(description="urn:assay: and the code")
    title: str
    status: int
    detail: str = Field(description="what is wrong, the value, and what to do")
    code: str = Field(description="short and stable")
