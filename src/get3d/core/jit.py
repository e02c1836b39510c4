"""Loops that numba compiles on their first call."""

import contextlib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, overload

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def compiled(function: Function) -> Function: ...


@overload
def compiled(*, reassociates: bool) -> Callable[[Function], Function]: ...


def compiled(function: Any = None, *, reassociates: bool = False) -> Any:
    """Compile a loop over arrays, keeping the result on disk where there is a place for it.

    It lets other Python threads run meanwhile, divides by zero like numpy, and checks no bounds.

    Args:
        function: Plain loops over numpy arrays and numbers.
        reassociates: Sums may be taken in any order, so that several terms are added at once.
    """
    if function is None:
        return partial(compiled, reassociates=reassociates)
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    if reassociates:
        options["fastmath"] = {"reassoc", "contract", "nsz"}
    function = inspect.unwrap(function)  # the tests' type checker wraps what has annotations
    with contextlib.suppress(RuntimeError):  # numba found no folder that it may write to
        return numba.njit(cache=True, **options)(function)
    return numba.njit(**options)(function)
