"""The ground of all answers: frozen, and open to fields that a newer server may add."""

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """Anything that the API answers or takes."""

    model_config = ConfigDict(frozen=True)
