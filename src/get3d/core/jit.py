"""Just-in-time compilation: loops by numba, and a check whether Triton works on the GPU."""

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
from numba.core import event

_LOG = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])


class _CompilationNote(event.Listener):
    """Logs once per process that loops are compiled, which takes long and has no progress."""

    _is_done = False

    def on_start(self, event: Any) -> None:
        """Log before the first compilation."""
        del event
        if not self._is_done:
            _LOG.info(
                "compiling loops for this machine: up to a minute, this once; the code is cached"
            )
        self._is_done = True

    def on_end(self, event: Any) -> None:
        """Do nothing after a compilation."""


_NOTE = _CompilationNote()
event.register("numba:compile", _NOTE)


@overload
def compiled(function: Function) -> Function: ...


@overload
def compiled(*, reassociates: bool) -> Callable[[Function], Function]: ...


def compiled(function: Any = None, *, reassociates: bool = False) -> Any:
    """Compile loops over arrays with numba on their first call, with a cache on disk if possible.

    The compiled function releases the GIL, divides by zero like numpy, and checks no array bounds.

    Args:
        function: Plain loops over numpy arrays and numbers.
        reassociates: Allow sums in any order, so that the compiler can vectorise them.
    """
    if function is None:
        return partial(compiled, reassociates=reassociates)
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}
    if reassociates:
        options["fastmath"] = {"reassoc", "contract", "nsz"}
    function = inspect.unwrap(function)  # the tests' type checker wraps annotated functions
    with contextlib.suppress(RuntimeError):  # numba found no writable folder
        return numba.njit(cache=True, **options)(function)
    return numba.njit(**options)(function)


@cache
def has_triton() -> bool:
    """Return whether Triton is installed and can compile for the GPU (tried once per process)."""
    if not (torch.cuda.is_available() and importlib.util.find_spec("triton")):
        return False
    try:  # a missing C compiler, for example, shows only when a kernel runs
        importlib.import_module("get3d.core.triton_probe").run_kernel()
    except Exception as error:
        _LOG.warning("working without Triton, which is slower: %s", error)
        return False
    return True
