"""A constant sparse linear map over rows, as fast in the backward as in the forward pass."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.models.ops.linear import apply_linear


class SparseMap(nn.Module):
    """Sparse linear map: each output row is a weighted sum of k input rows, all constant."""

    members: Int[Tensor, " links"]
    starts: Int[Tensor, " outputs"]
    weights: Float[Tensor, " links"]
    transposed_members: Int[Tensor, " links"]
    transposed_starts: Int[Tensor, " inputs"]
    transposed_weights: Float[Tensor, " links"]

    def __init__(
        self, index: Int[Tensor, "outputs k"], weights: Float[Tensor, "outputs k"], num_inputs: int
    ) -> None:
        """Tabulate the map and its transpose.

        Args:
            index: Indices of the input rows that each output row sums.
            weights: Weights of these input rows.
            num_inputs: Number of input rows.
        """
        super().__init__()
        num_outputs, k = index.shape
        order = index.flatten().argsort(stable=True)
        counts = index.flatten().bincount(minlength=num_inputs)
        tables = {
            "members": index.flatten(),
            "starts": torch.arange(num_outputs, device=index.device) * k,
            "transposed_members": order // k,
            "transposed_starts": counts.cumsum(0) - counts,
        }
        for name, table in tables.items():
            self.register_buffer(name, table.int(), persistent=False)
        self.register_buffer("weights", weights.flatten(), persistent=False)
        self.register_buffer("transposed_weights", weights.flatten()[order], persistent=False)

    def forward(self, rows: Float[Tensor, "b inputs c"]) -> Float[Tensor, "b outputs c"]:
        """Apply the map to every sample."""
        return apply_linear(rows, self._sum, adjoint=self._sum_transposed)

    def _sum(self, rows: Tensor) -> Tensor:
        """Apply the map."""
        return _sums(rows, self.members, self.starts, self.weights)

    def _sum_transposed(self, rows: Tensor) -> Tensor:
        """Apply the transposed map."""
        return _sums(rows, self.transposed_members, self.transposed_starts, self.transposed_weights)


def _sums(rows: Tensor, members: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Sum, for each output row of every sample, the weighted rows in its list."""
    num, inputs, channels = rows.shape
    sample = torch.arange(num, device=rows.device, dtype=members.dtype)[:, None]
    sums = F.embedding_bag(
        (members + sample * inputs).flatten(),
        rows.reshape(-1, channels),
        (starts + sample * len(members)).flatten(),
        mode="sum",
        per_sample_weights=weights.to(rows.dtype).repeat(num),
    )
    return sums.unflatten(0, (num, len(starts)))
