"""What `--jaxtyping-packages` checks annotations with."""

from collections.abc import Callable
from typing import TypeVar

from beartype import beartype

Function = TypeVar("Function", bound=Callable)


def check_types(function: Function) -> Function:
    """Check arguments and results of a function, unless another function defines it.

    Functions inside of functions are wrapped anew in each call, which took half of the time of a
    training step.
    """
    return function if "<locals>" in function.__qualname__ else beartype(function)
