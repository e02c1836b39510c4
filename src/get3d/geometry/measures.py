"""Measures of triangle meshes."""

import torch
from jaxtyping import Int
from torch import Tensor


def is_oriented(faces: Int[Tensor, "faces 3"]) -> bool:
    """Tell whether neighbouring faces wind alike: no edge is walked twice in one direction."""
    if len(faces) == 0:
        return True
    starts, ends = faces.reshape(-1), faces.roll(-1, dims=1).reshape(-1)
    keys = starts * (int(faces.max()) + 1) + ends
    return len(torch.unique(keys)) == len(keys)
