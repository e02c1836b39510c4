"""Loops that numba compiles on their first call."""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a loop over arrays, keeping the result on disk where there is a place for it.

    It lets other Python threads run meanwhile, divides by zero like numpy, and checks no bounds.

    Args:
        function: Plain loops over numpy arrays and numbers.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    function = inspect.unwrap(function)  # the tests' type checker wraps what has annotations
    with contextlib.suppress(RuntimeError):  # numba found no folder that it may write to
        return numba.njit(cache=True, **options)(function)
    return numba.njit(**options)(function)
