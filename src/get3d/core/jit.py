"""Loops that numba compiles on their first call, and whether Triton can compile for the GPU."""

import contextlib
import importlib
import importlib.util
import inspect
import logging
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar, overload

import numba
import torch

_LOG = logging.getLogger(__name__)
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


@cache
def has_triton() -> bool:
    """Tell whether Triton is installed and can compile for the GPU, which is tried once."""
    if not (torch.cuda.is_available() and importlib.util.find_spec("triton")):
        return False
    try:  # whatever is missing, such as a C compiler, shows only when a kernel runs
        importlib.import_module("get3d.core.triton_probe").run_kernel()
    except Exception as error:
        _LOG.warning("working without Triton, which is slower: %s", error)
        return False
    return True
