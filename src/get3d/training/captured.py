"""CUDA graphs: work of fixed shapes is recorded once and replayed by a single launch.

The networks are small beside a GPU, which would otherwise wait for Python to launch thousands of
kernels a step. On other devices everything runs as written.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from get3d.models import Generator

_WARM_UP_CALLS = 3  # libraries choose their kernels and take their memory before the recording


_Results = TypeVar("_Results", bound=Sequence[Tensor | None])


class Captured(Generic[_Results]):
    """A function of tensors, recorded at its first call.

    The function must do the same work at every call: same shapes, no random numbers, nothing read
    back. Its results are overwritten by the next call.
    """

    def __init__(self, function: Callable[..., _Results]) -> None:
        """Remember the function."""
        self._function = function
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: _Results | None = None

    def __call__(self, *inputs: Tensor) -> _Results:
        """Compute the results for new values of the inputs."""
        if self._graph is None:
            self._record(inputs)
        assert self._graph is not None
        assert self._outputs is not None
        for held, value in zip(self._inputs, inputs, strict=True):
            # A value with a graph would add to that of `held`, which then grows with every call.
            held.copy_(value.detach())
        self._graph.replay()
        return self._outputs

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(value.detach().clone() for value in inputs)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_CALLS):
                self._function(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._outputs = self._function(*self._inputs)
        self._graph = graph


def captured(function: Callable[..., _Results], device: torch.device) -> Callable[..., _Results]:
    """Record `function` if it runs on CUDA; elsewhere it stays as it is."""
    return Captured(function) if device.type == "cuda" else function


def capture_networks(generator: Generator, *, num_latents: int, num_shapes: int) -> None:
    """Record a generator's mapping networks and plane painter, forward and backward, in place.

    Nothing happens unless the generator is on CUDA. Each recorded network serves one forward pass
    before its backward pass.

    Args:
        generator: Its networks are changed to replay what was recorded.
        num_latents: Rows of every call of the mapping networks.
        num_shapes: Rows of every call of the plane painter.
    """
    mapping, painter = generator.mapping_geo, generator.network.backbone
    example = next(mapping.parameters())
    if not example.is_cuda:
        return
    # The recording ran on a stream of its own, which later backward passes are told of: no harm.
    if hasattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch"):  # torch 2.10
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    z = example.new_zeros(num_latents, generator.config.z_dim)
    torch.cuda.make_graphed_callables(
        (generator.mapping_geo, generator.mapping_tex), ((z.clone(),), (z.clone(),))
    )
    layers = [painter.num_styles, len(painter.blocks)][: painter.num_outputs]
    styles = [example.new_zeros(num_shapes, num, painter.w_dim).requires_grad_() for num in layers]
    torch.cuda.make_graphed_callables(painter, tuple(styles))
