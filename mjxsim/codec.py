"""Frozen dataclasses to JSON and back, with errors that name the field."""

import dataclasses
import pathlib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from mjxsim.naming import unknown

D = TypeVar("D")

Encoded = None | bool | int | float | str | list["Encoded"] | dict[str, "Encoded"]


def encode(value: Any) -> Encoded:
    """`value`, made of dataclasses, tuples, paths and plain values, as JSON types.

    Raises:
      TypeError: a value of another type.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [encode(v) for v in value]
    if isinstance(value, pathlib.PurePath):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"cannot write a {type(value).__name__} to JSON")


def decode(
    kind: type[D], data: Any, where: str = "", *, exact: Mapping[str, type] | None = None
) -> D:
    """The dataclass `kind` from what `encode` gave; absent fields take their defaults.

    Args:
      kind: a dataclass whose fields are plain values, paths, literals, tuples, unions of these
        and dataclasses.
      data: parsed JSON.
      where: the field's name so far, for errors.
      exact: classes of fields that `kind` declares by a base class.

    Raises:
      ValueError: an unknown or missing field, or a value of another type.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where or kind.__name__}: expected an object, got {data!r}")
    hints = typing.get_type_hints(kind) | dict(exact or {})
    fields = {f.name: f for f in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    values: dict[str, Any] = {}
    for name in data:
        if name not in fields:
            raise ValueError(
                unknown("field", _join(where, name), (_join(where, f) for f in fields))
            )
        values[name] = _value(hints[name], data[name], _join(where, name))
    for name, field in fields.items():
        optional = field.default, field.default_factory
        if name not in values and all(d is dataclasses.MISSING for d in optional):
            raise ValueError(f"field {_join(where, name)!r} is missing")
    return kind(**values)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _value(kind: Any, data: Any, where: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return decode(typing.cast(type, kind), data, where)
    if origin is typing.Literal:
        if data not in args:
            raise ValueError(unknown(where, str(data), map(str, args)))
        return data
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        args = tuple(option for option in args if option is not type(None))
        if len(args) == 1:  # its own error says more than that nothing fits
            return _value(args[0], data, where)
        for option in args:
            try:
                return _value(option, data, where)
            except ValueError:
                continue
        raise ValueError(f"{where}: {data!r} is none of {', '.join(map(str, args))}")
    if origin is tuple:
        return _tuple(args, data, where)
    if kind is pathlib.Path and isinstance(data, str):
        return pathlib.Path(data)
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if isinstance(kind, type) and type(data) is kind:
        return data
    named = kind.__name__ if isinstance(kind, type) else kind
    raise ValueError(f"{where}: expected {named}, got {data!r}")


def _tuple(args: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise ValueError(f"{where}: expected a list, got {data!r}")
    if args[-1] is Ellipsis:
        args = (args[0],) * len(data)
    if len(args) != len(data):
        raise ValueError(f"{where}: expected {len(args)} values, got {len(data)}")
    return tuple(
        _value(a, d, f"{where}[{i}]") for i, (a, d) in enumerate(zip(args, data, strict=True))
    )
