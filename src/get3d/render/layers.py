"""Surfaces behind the nearest one, for images of what is transparent or cut out."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from get3d.render.torch_backend import fragments
from get3d.render.views import PackedViews

MAX_LAYERS = 64
"""Number of surfaces behind one another that are seen at most."""
_KEPT_AT_ONCE = 1 << 23


def hidden_layers(
    views: PackedViews, is_wanted: Bool[Tensor, "n h w"]
) -> list[tuple[Int[Tensor, " p"], Int[Tensor, " p"]]]:
    """Find the faces behind the nearest one.

    Args:
        views: The packed views.
        is_wanted: Pixels to search.

    Returns:
        For every layer behind the first, from front to back, flat indices of the pixels that have
        it, and its faces.
    """
    wanted = is_wanted.flatten()
    found = torch.zeros(2, 0, dtype=torch.int64, device=wanted.device)
    for pixel, key in fragments(views, (is_wanted.shape[1], is_wanted.shape[2])):
        is_kept = wanted[pixel]
        found = torch.cat([found, torch.stack([pixel[is_kept], key[is_kept]])], 1)
        if found.shape[1] > _KEPT_AT_ONCE:
            found = _by_depth(found)[0]
    found, layer = _by_depth(found)
    num_layers = int(layer.max()) + 1 if layer.numel() else 0
    picked = [(layer == index).nonzero().squeeze(1) for index in range(1, num_layers)]
    return [(found[0, each], found[1, each] & 0xFFFFFFFF) for each in picked]


def _by_depth(found: Int[Tensor, "2 f"]) -> tuple[Int[Tensor, "2 g"], Int[Tensor, " g"]]:
    """Sort fragments by pixel and depth, number them in each pixel, and leave out the last."""
    found = found[:, found[1].argsort()]
    found = found[:, found[0].argsort(stable=True)]
    place = torch.arange(found.shape[1], device=found.device)
    is_first = torch.ones_like(place, dtype=torch.bool)
    is_first[1:] = found[0, 1:] != found[0, :-1]
    layer = place - torch.where(is_first, place, 0).cummax(0).values
    is_kept = layer < MAX_LAYERS
    return found[:, is_kept], layer[is_kept]
