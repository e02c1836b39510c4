"""Frozen dataclasses from YAML and back, refusing anything that is not understood."""

import dataclasses
import difflib
import inspect
import math
import re
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

FORMERLY = "formerly"
"""Metadata of a field that had another name before: `from_dict` takes that one too, so that models,
checkpoints and YAML files of earlier versions are read."""

_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
# YAML 1.1 takes an exponent for one only behind a dot and with a sign.
_NUMBER = re.compile(r"(?=[+-]?\.?\d)([+-]?\d*)(\.\d*)?(?:e([+-]?)(\d+))?", re.IGNORECASE)


def from_dict(cls: type[T], mapping: Any, *, path: str = "") -> T:
    """Build a dataclass from plain YAML values, checking every key and every type.

    YAML knows fewer types than Python, so whole numbers become floats and lists become tuples
    where the field says so. Nothing else is converted: a typo must not train for a day.

    Args:
        cls: Dataclass to build; its fields may be bool, int, float, str, Literal, tuple,
            dataclasses of the same kind, and any of these or None.
        mapping: As read from YAML; named values, or it is refused.
        path: Dotted name of `mapping` itself, put before field names in messages.

    Returns:
        An instance of `cls`.

    Raises:
        ValueError: If a key is unknown or missing, or a value is not of its field's type; the
            message starts with the dotted path.

    Example:
        >>> @dataclasses.dataclass(frozen=True, kw_only=True)
        ... class Loss:
        ...     r1_gamma: float = 80.0
        >>> from_dict(Loss, {"r1_gamma": 40})
        Loss(r1_gamma=40.0)
        >>> from_dict(Loss, {"r1_gama": 40}, path="loss")
        Traceback (most recent call last):
        ValueError: unknown key loss.r1_gama; did you mean r1_gamma? accepted: r1_gamma
    """
    fields = inspect.signature(cls).parameters
    if not isinstance(mapping, Mapping):
        raise _wrong(path, mapping, f"named values ({', '.join(fields)})")
    prefix = f"{path}." if path else ""
    mapping = _with_new_names(cls, mapping, prefix)
    for key in mapping:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ValueError(f"unknown key {prefix}{key}; {hint}accepted: {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    values = {key: _convert(hints[key], value, prefix + key) for key, value in mapping.items()}
    needed = [name for name, field in fields.items() if field.default is field.empty]
    if missing := [prefix + name for name in needed if name not in values]:
        raise ValueError(f"missing {', '.join(missing)}; no default exists, so it must be given")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if path else str(error)) from error


def _with_new_names(cls: type, mapping: Mapping[Any, Any], prefix: str) -> Mapping[Any, Any]:
    """Replace former names of fields; raise ValueError if a field is given by both."""
    former = {
        field.metadata[FORMERLY]: field.name
        for field in (dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ())
        if FORMERLY in field.metadata
    }
    if twice := [(old, new) for old, new in former.items() if old in mapping and new in mapping]:
        old, new = twice[0]
        raise ValueError(f"{prefix}{old} is the former name of {prefix}{new}; give only the latter")
    return {former.get(key, key): value for key, value in mapping.items()}


def to_dict(instance: Any) -> Any:
    """Turn a dataclass into plain values that YAML can write and `from_dict` reads back.

    Args:
        instance: Any dataclass that `from_dict` can build.

    Returns:
        Dicts, lists, numbers, text and None only; tuples become lists.
    """
    if dataclasses.is_dataclass(instance):
        names = inspect.signature(type(instance)).parameters
        return {name: to_dict(getattr(instance, name)) for name in names}
    return [to_dict(item) for item in instance] if isinstance(instance, tuple) else instance


def shorten(value: object) -> str:
    """Show a value in at most 200 characters: it may come from a file that is out to do harm.

    Example:
        >>> shorten("x" * 10**6)
        "'xxxxxxxxxxxx...xxxxxxxxxxxxx'"
    """
    try:
        return reprlib.repr(value)[:200]
    except ValueError:  # whole numbers of thousands of digits are not shown by Python
        return "..."


def check_literals(instance: Any) -> None:
    """Refuse values that a dataclass's `Literal` fields do not list; for `__post_init__`.

    `from_dict` and the command line do so for themselves; this is for those who write Python.

    Raises:
        ValueError: Naming the field, the value and what is accepted.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Look:
        ...     light: typing.Literal["studio", "none"] = "studio"
        >>> check_literals(Look("sun"))
        Traceback (most recent call last):
        ValueError: light must be one of studio, none; got 'sun' (str)
    """
    for name, hint in typing.get_type_hints(type(instance)).items():
        if typing.get_origin(hint) is typing.Literal:
            _convert(hint, getattr(instance, name), name)


def _convert(hint: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):  # of one type and None
        (hint,) = (choice for choice in args if choice is not type(None))
        return None if value is None else _convert(hint, value, path)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, path=path)
    if origin is typing.Literal:
        if any(value == choice and type(value) is type(choice) for choice in args):
            return value
        raise _wrong(path, value, f"one of {', '.join(map(str, args))}")
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _wrong(path, value, "a list such as [1, 2]")
        hints = (args[0],) * len(value) if args[-1] is ... else args
        if len(value) != len(hints):
            raise _wrong(path, list(value), f"a list of {len(hints)} values")
        return tuple(_convert(hints[i], item, f"{path}[{i}]") for i, item in enumerate(value))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is float and not math.isfinite(value):
        raise _wrong(path, value, "a finite number")
    if type(value) is hint:
        return value
    accepted = _NAMES[hint]
    if hint in (int, float) and isinstance(value, str) and (match := _NUMBER.fullmatch(value)):
        whole, fraction, sign, exponent = match.groups()
        exact = f"{whole}{fraction or '.0'}e{sign or '+'}{exponent}"
        exact = exact if exponent else f"{value} without quotes"
        accepted += f", but YAML reads {value} as text: write {exact}"
    raise _wrong(path, value, accepted)


def _wrong(path: str, value: Any, accepted: str) -> ValueError:
    name = path or "the configuration"
    return ValueError(f"{name} must be {accepted}; got {shorten(value)} ({type(value).__name__})")
