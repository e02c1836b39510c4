"""Frozen dataclasses from plain YAML values and back, with strict checks of keys and types."""

import dataclasses
import difflib
import inspect
import math
import re
import reprlib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from get3d.core.errors import ConfigError

T = TypeVar("T")

FORMERLY = "formerly"
"""Metadata key that holds the former name of a renamed field; `from_dict` accepts that name too, so
models, checkpoints and YAML files of earlier versions can still be read."""

_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
# YAML 1.1 recognises an exponent only after a decimal point and with a sign.
_NUMBER = re.compile(r"(?=[+-]?\.?\d)([+-]?\d*)(\.\d*)?(?:e([+-]?)(\d+))?", re.IGNORECASE)


def from_dict(cls: type[T], mapping: Any, *, path: str = "") -> T:
    """Build a dataclass from plain YAML values, checking every key and every type.

    YAML has fewer types than Python, so whole numbers become floats and lists become tuples where
    the field's type requires it. Nothing else is converted.

    Args:
        cls: Dataclass to build; its fields may be bool, int, float, str, Literal, tuple,
            dataclasses of the same kind, and any of these or None.
        mapping: Named values, as read from YAML.
        path: Dotted name of `mapping` itself, prefixed to field names in messages.

    Returns:
        An instance of `cls`.

    Raises:
        ConfigError: If a key is unknown or missing, or a value is not of its field's type or range;
            the message starts with the dotted path.

    Example:
        >>> @dataclasses.dataclass(frozen=True, kw_only=True)
        ... class Loss:
        ...     gamma: float = 80.0
        >>> from_dict(Loss, {"gamma": 40})
        Loss(gamma=40.0)
        >>> from_dict(Loss, {"gama": 40}, path="loss")
        Traceback (most recent call last):
        get3d.core.errors.ConfigError: unknown key loss.gama; did you mean gamma? accepted: gamma
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
            raise ConfigError(f"unknown key {prefix}{key}; {hint}accepted: {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    values = {key: _convert(hints[key], value, prefix + key) for key, value in mapping.items()}
    needed = [name for name, field in fields.items() if field.default is field.empty]
    if missing := [prefix + name for name in needed if name not in values]:
        raise ConfigError(f"missing {', '.join(missing)}; no default exists, so it must be given")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}" if path else str(error)) from error


def read_yaml(path: Path) -> Any:
    """Read a YAML file; raise ConfigError if it is damaged."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # dates and numbers, and nesting
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(f"{path} is no valid YAML: {reason}") from error


def former_names(cls: type, prefix: str = "") -> dict[str, str]:
    """List former names of the fields of a config and of the configs in it.

    Args:
        cls: Dataclass of dataclasses and plain values.
        prefix: Prefix of the names, with a dot at its end.

    Returns:
        Dotted names by former dotted name.
    """
    found, hints = {}, typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if FORMERLY in field.metadata:
            found[f"{prefix}{field.metadata[FORMERLY]}"] = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(hints[field.name]):
            found |= former_names(hints[field.name], f"{prefix}{field.name}.")
    return found


def _with_new_names(cls: type, mapping: Mapping[Any, Any], prefix: str) -> Mapping[Any, Any]:
    """Replace former names of fields; raise ConfigError if a field is given by both names."""
    former = {
        field.metadata[FORMERLY]: field.name
        for field in (dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ())
        if FORMERLY in field.metadata
    }
    if twice := [(old, new) for old, new in former.items() if old in mapping and new in mapping]:
        old, new = twice[0]
        raise ConfigError(
            f"{prefix}{old} is the former name of {prefix}{new}; give only the latter"
        )
    return {former.get(key, key): value for key, value in mapping.items()}


def to_dict(instance: Any) -> Any:
    """Convert a dataclass to plain values that YAML can write and `from_dict` can read.

    Args:
        instance: A dataclass that `from_dict` can build.

    Returns:
        Dicts, lists, numbers, strings and None; tuples become lists.
    """
    if dataclasses.is_dataclass(instance):
        names = inspect.signature(type(instance)).parameters
        return {name: to_dict(getattr(instance, name)) for name in names}
    return [to_dict(item) for item in instance] if isinstance(instance, tuple) else instance


def shorten(value: object) -> str:
    """Format a value in at most 200 characters, however large (it may come from a hostile file).

    Example:
        >>> shorten("x" * 10**6)
        "'xxxxxxxxxxxx...xxxxxxxxxxxxx'"
    """
    try:
        return reprlib.repr(value)[:200]
    except ValueError:  # Python does not format integers of thousands of digits
        return "..."


def check_literals(instance: Any) -> None:
    """Validate the values of a dataclass's `Literal` fields; for use in `__post_init__`.

    `from_dict` and the command line check these themselves; this covers instances made in Python.

    Raises:
        ConfigError: If a value is not listed; names the field, the value and what is accepted.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Look:
        ...     light: typing.Literal["studio", "none"] = "studio"
        >>> check_literals(Look("sun"))
        Traceback (most recent call last):
        get3d.core.errors.ConfigError: light must be one of studio, none; got 'sun' (str)
    """
    for name, hint in typing.get_type_hints(type(instance)).items():
        if typing.get_origin(hint) is typing.Literal:
            _convert(hint, getattr(instance, name), name)


def check_bounds(instance: Any, bounds: Mapping[str, tuple[int, int]]) -> None:
    """Validate fields of a dataclass by the least and the most of each.

    Raises:
        ConfigError: If a value is out of range; names the field, the value and the bound.
    """
    for name, (least, most) in bounds.items():
        value = getattr(instance, name)
        if not least <= value <= most:
            bound = f"at least {least}" if value < least else f"at most {most}"
            raise ConfigError(f"{name} must be {bound}, got {shorten(value)}")


def _convert(hint: Any, value: Any, path: str) -> Any:
    """Convert a plain value to the type of a field; raise ConfigError if it does not fit."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):  # Optional[one type]
        (hint,) = (choice for choice in args if choice is not type(None))
        return None if value is None else _convert(hint, value, path)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, path=path)
    if origin is typing.Literal:
        if any(type(value) is type(choice) and value == choice for choice in args):
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


def _wrong(path: str, value: Any, accepted: str) -> ConfigError:
    """Make the error that names a value, its type and what is accepted instead."""
    name = path or "the configuration"
    return ConfigError(f"{name} must be {accepted}; got {shorten(value)} ({type(value).__name__})")
