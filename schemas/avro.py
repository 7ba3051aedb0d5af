"""The Avro schema of an event, made from its pydantic model.

str → string, bytes → bytes, int → long, float → double, bool → boolean, a record → record, `X | None` → [null, X],
`tuple[X, ...]` → array, `dict[str, X]` → map, `Literal` of strings → string (a new value must not break old readers'
decoding). A field with a default in the model has that default in the schema, so that it may be added later.
"""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.event import Event, Record

type_names = {str: "string", bytes: "bytes", int: "long", float: "double", bool: "boolean"}
NAME_SPACE = "assay.v1"


def avro_schema(event: type[Event]) -> dict[str, Any]:
    """The Avro record schema of an event, as a JSON-able dict. Raises: TypeError for a type that Avro cannot say."""
    schema = _record(event, known=set())
    assert isinstance(schema, dict)
    return schema


def _record(model: type[Record], *, known: set[str]) -> Any:
    if model.__name__ in known:
        return f"{NAME_SPACE}.{model.__name__}"
    known.add(model.__name__)
    fields = [_field(name, info, known=known) for name, info in model.model_fields.items()]
    doc = (model.__doc__ or "").strip().splitlines()[0]
    return {"type": "record", "name": model.__name__, "namespace": NAME_SPACE, "doc": doc, "fields": fields}


def _field(name: str, info: FieldInfo, *, known: set[str]) -> dict[str, Any]:
    field = {"name": name, "type": _type(info.annotation, known=known)}
    default = info.get_default(call_default_factory=True, validated_data={})
    if default is not PydanticUndefined:
        field["default"] = _default(default)
    return field


def _default(value: Any) -> Any:
    if isinstance(value, Record):
        return {name: _default(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return [_default(item) for item in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _type(hint: Any, *, known: set[str]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(arguments[0], known=known)
    if origin is Literal:
        return "string"
    if origin in (Union, types.UnionType):
        return _union(arguments, known=known)
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0], known=known)}
    if origin is dict:
        return {"type": "map", "values": _type(arguments[1], known=known)}
    if isinstance(hint, type) and issubclass(hint, Record):
        return _record(hint, known=known)
    return _primitive(hint)


def _union(arguments: tuple[Any, ...], *, known: set[str]) -> list[Any]:
    others = [argument for argument in arguments if argument is not type(None)]
    if len(others) != 1 or len(arguments) != 2:
        raise TypeError(f"only `X | None` is a union here, not {arguments}")
    return ["null", _type(others[0], known=known)]


def _primitive(hint: Any) -> str:
    try:
        return type_names[hint]
    except (KeyError, TypeError):
        raise TypeError(f"{hint!r} has no Avro form; see the table at the top of schemas/avro.py") from None
