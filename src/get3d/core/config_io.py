"""Frozen dataclasses from YAML and back, refusing anything that is not understood."""

import dataclasses
import difflib
import math
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def from_dict(cls: type[T], mapping: Any, *, path: str = "") -> T:
    """Build a dataclass from plain YAML values, checking every key and every type.

    YAML knows fewer types than Python, so whole numbers become floats and lists become tuples
    where the field says so. Nothing else is converted: a typo must not train for a day.

    Args:
        cls: Dataclass to build; its fields may be bool, int, float, str, None, Literal, Optional,
            tuple, list, dict with text keys, and dataclasses of the same kind.
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
    if not isinstance(mapping, Mapping):
        raise _wrong(path, mapping, f"named values ({', '.join(_init_fields(cls))})")
    fields = _init_fields(cls)
    prefix = f"{path}." if path else ""
    for key in mapping:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ValueError(f"unknown key {prefix}{key}; {hint}accepted: {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    values = {key: _convert(hints[key], value, prefix + key) for key, value in mapping.items()}
    missing = [prefix + name for name, needed in fields.items() if needed and name not in values]
    if missing:
        raise ValueError(f"missing {', '.join(missing)}; no default exists, so it must be given")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if path else str(error)) from error


def to_dict(instance: Any) -> dict[str, Any]:
    """Turn a dataclass into plain values that YAML can write and `from_dict` reads back.

    Args:
        instance: Any dataclass that `from_dict` can build.

    Returns:
        Dicts, lists, numbers, text and None only; tuples become lists.
    """
    names = _init_fields(type(instance))
    return {name: _plain(getattr(instance, name)) for name in names}


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

    Args:
        instance: Any dataclass.

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


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _init_fields(cls: type) -> dict[str, bool]:
    """Name every field that the constructor takes; the value says whether it has no default."""
    return {
        field.name: field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
        for field in dataclasses.fields(cls)
        if field.init
    }


def _convert(hint: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, path=path)
    if origin is typing.Literal:
        if any(value == choice and type(value) is type(choice) for choice in args):
            return value
        raise _wrong(path, value, f"one of {', '.join(map(str, args))}")
    if origin in (typing.Union, types.UnionType):
        return _convert_union(args, value, path)
    if origin is tuple:
        return tuple(_convert_items(args, value, path))
    if origin is list:
        return list(_convert_items((args[0], ...), value, path))
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _wrong(path, value, "named values")
        return {str(key): _convert(args[1], item, f"{path}.{key}") for key, item in value.items()}
    return _convert_scalar(hint, value, path)


def _convert_union(choices: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in choices:
        return None
    choices = tuple(choice for choice in choices if choice is not type(None))
    for choice in choices[:-1]:
        try:
            return _convert(choice, value, path)
        except ValueError:
            continue
    return _convert(choices[-1], value, path)


def _convert_items(args: tuple[Any, ...], value: Any, path: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(path, value, "a list such as [1, 2]")
    hints = (args[0],) * len(value) if args[-1] is ... else args
    if len(value) != len(hints):
        raise _wrong(path, list(value), f"a list of {len(hints)} values")
    return [
        _convert(*pair, f"{path}[{i}]") for i, pair in enumerate(zip(hints, value, strict=True))
    ]


def _convert_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is float and not math.isfinite(value):
        raise _wrong(path, value, "a finite number")
    if type(value) is hint:
        return value
    accepted = _NAMES.get(hint, getattr(hint, "__name__", str(hint)))
    if hint in (int, float) and isinstance(value, str) and _is_number(value):
        raise _wrong(path, value, f"{accepted}, but YAML reads {value} as text: {_spelling(value)}")
    raise _wrong(path, value, accepted)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _spelling(text: str) -> str:
    """Say how YAML 1.1 wants a number written: exponents need a dot and a sign."""
    mantissa, letter, exponent = text.lower().strip().partition("e")
    if not letter:
        return f"write {text} without quotes"
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"write {mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def _wrong(path: str, value: Any, accepted: str) -> ValueError:
    name = path or "the configuration"
    return ValueError(f"{name} must be {accepted}; got {shorten(value)} ({type(value).__name__})")
