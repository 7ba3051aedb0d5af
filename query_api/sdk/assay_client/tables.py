"""Rows that can be looped over, and turned into frames. What each needs is an extra of its own: pandas, polars, pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Row = TypeVar("Row", bound=BaseModel)


class Table(Sequence[Row]):
    """Rows of one type. `Table(board.rows)` makes one of any list of answers."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Table[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Table[Row]:
        return Table(self._rows[place]) if isinstance(place, slice) else self._rows[place]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        kind = type(self._rows[0]).__name__ if self._rows else "nothing"
        return f"<Table of {len(self)} × {kind}>"

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as plain dicts."""
        return [row.model_dump() for row in self._rows]

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table; what is nested stays nested, but for a sample's document, which is JSON text."""
        import pyarrow as arrow

        return arrow.Table.from_pylist(self._flat())

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas frame."""
        import pandas as pd

        return pd.DataFrame(self._flat())

    def to_polars(self) -> polars.DataFrame:
        """A polars frame."""
        import polars as pl

        return pl.DataFrame(self._flat(), infer_schema_length=None)

    def _flat(self) -> list[dict[str, Any]]:
        """The rows with what has no type of its own as JSON: documents differ from task to task."""
        import json

        rows = self.to_dicts()
        return [row | {"document": json.dumps(row["document"], ensure_ascii=False)} if "document" in row else row for row in rows]
