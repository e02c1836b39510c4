"""CUDA graphs: work of fixed shapes is recorded once and replayed by a single launch.

The networks are small for a GPU, which would otherwise wait for Python to launch thousands of
kernels per step. On other devices everything runs eagerly.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import Parameter

from get3d.models import Generator

_WARM_UP_CALLS = 3  # libraries choose their kernels and take their memory before the recording

_Result = TypeVar("_Result")


def recorded(
    function: Callable[..., _Result],
    device: torch.device,
    *,
    parameters: Iterable[Parameter] = (),
) -> Callable[..., _Result]:
    """Record a function in a CUDA graph at its first call; on other devices return it unchanged.

    The function must do the same work at every call: same shapes, no random numbers, no
    synchronization. Arguments and result are tensors, None, or dataclasses and tuples of such.

    Args:
        function: Function to record; it may add to the `.grad` of `parameters`.
        device: Device of its tensors.
        parameters: Parameters whose `.grad` every call adds to.
    """
    return _Recorded(function, list(parameters)) if device.type == "cuda" else function


class _Recorded:
    """A function recorded in a CUDA graph; returns copies of the results of a replay."""

    def __init__(self, function: Callable[..., Any], parameters: Sequence[Parameter]) -> None:
        self._function = function
        self._parameters = parameters
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._output: Any = None
        self._gradients: list[Tensor | None] = []

    def __call__(self, *args: object) -> Any:
        values = list(iter_tensors(args))
        if self._graph is None:
            self._record(args)
        assert self._graph is not None
        for held, value in zip(self._inputs, values, strict=True):
            # A value with an autograd graph would extend that of `held` at every call.
            held.copy_(value.detach())
        self._graph.replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            if gradient is not None:
                add_gradient(parameter, gradient.clone())
        return map_tensors(torch.clone, self._output)

    def _record(self, args: tuple[object, ...]) -> None:
        """Warm up, then record the function with copies of its arguments."""
        held = map_tensors(lambda value: value.detach().clone(), args)
        self._inputs = list(iter_tensors(held))
        before = [parameter.grad for parameter in self._parameters]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_CALLS):
                self._set_gradients([None] * len(before))
                self._function(*held)
        torch.cuda.current_stream().wait_stream(stream)
        self._set_gradients([None] * len(before))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._output = self._function(*held)
        self._gradients = [parameter.grad for parameter in self._parameters]
        self._set_gradients(before)
        self._graph = graph

    def _set_gradients(self, gradients: Sequence[Tensor | None]) -> None:
        """Replace the `.grad` of the parameters."""
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient


def accumulate_gradients(loss: Tensor, parameters: Sequence[Parameter]) -> None:
    """Add a loss's gradients to `.grad`, as `loss.backward()` does, in a form that can be recorded.

    Args:
        loss: Scalar loss. A parameter that it does not depend on keeps its `.grad`: Adam skips
            those whose `.grad` is None.
        parameters: Parameters to differentiate the loss by.
    """
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            add_gradient(parameter, gradient)


def add_gradient(parameter: Parameter, gradient: Tensor) -> None:
    """Add a gradient to `.grad`, contiguous: Adam needs the memory layout of the weights."""
    gradient = gradient.contiguous()
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def iter_tensors(value: object) -> Iterator[Tensor]:
    """Iterate over the tensors in nested dataclasses and tuples, in order."""
    if isinstance(value, Tensor):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from iter_tensors(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from iter_tensors(each)


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Copy nested dataclasses and tuples, with a function applied to every tensor."""
    if isinstance(value, Tensor):
        return function(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        changed = {name: map_tensors(function, getattr(value, name)) for name in names}
        return dataclasses.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(map_tensors(function, each) for each in value)
    return value


def record_networks(generator: Generator, *, num_latents: int, num_shapes: int) -> None:
    """Record a generator's mapping and synthesis networks, forward and backward, in place.

    On devices other than CUDA nothing is done. Each recorded network can run one forward pass
    before its backward pass.

    Args:
        generator: Generator whose networks are replaced by recorded ones.
        num_latents: Batch size of every call of the mapping networks.
        num_shapes: Batch size of every call of the synthesis network.
    """
    mapping, synthesis = generator.mapping_geo, generator.network.backbone
    example = next(mapping.parameters())
    if not example.is_cuda:
        return
    # The recording ran on another stream, of which later backward passes warn: harmless.
    if hasattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch"):  # torch 2.10
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    z = example.new_zeros(num_latents, generator.config.z_dim)
    torch.cuda.make_graphed_callables(
        (generator.mapping_geo, generator.mapping_tex), ((z.clone(),), (z.clone(),))
    )
    layers = [synthesis.num_styles, len(synthesis.blocks)][: synthesis.num_outputs]
    styles = [
        example.new_zeros(num_shapes, num, synthesis.w_dim).requires_grad_() for num in layers
    ]
    torch.cuda.make_graphed_callables(synthesis, tuple(styles))
