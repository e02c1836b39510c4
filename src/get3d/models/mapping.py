"""From latent codes to styles: mapping network, truncation, style mixing (paper, section 3.1)."""

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from get3d.core import Styles
from get3d.models.layers import EqualLinear, Stack


def normalize_rms(x: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
    """Divide each row by its root mean square."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class Mapping(nn.Module):
    """Mapping network, from latent codes z to style vectors w.

    Attributes:
        w_avg: Average style vector, which truncation interpolates to; see `update_average`.
    """

    w_avg: Float[Tensor, " w_dim"]

    def __init__(
        self, in_dim: int, w_dim: int, *, num_layers: int = 8, tracks_average: bool = True
    ) -> None:
        """Draw the weights.

        Args:
            in_dim: Width of the input.
            w_dim: Width of the hidden layers and the output.
            num_layers: Number of fully connected layers.
            tracks_average: Keep the average style `w_avg`.
        """
        super().__init__()
        widths = [in_dim] + [w_dim] * num_layers
        self.layers: Stack[EqualLinear] = Stack(
            EqualLinear(a, b, lr_multiplier=0.01, activated=True) for a, b in pairwise(widths)
        )
        if tracks_average:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b w_dim"]:
        """Normalise the latent codes and map them to style vectors."""
        x = normalize_rms(z)
        for layer in self.layers:
            x = layer(x)
        return x

    @torch.no_grad()
    def update_average(self, w: Float[Tensor, "b w_dim"], *, beta: float = 0.998) -> None:
        """Update the average style by the mean of a batch; `beta` is the decay."""
        self.w_avg.lerp_(w.detach().mean(dim=0).to(self.w_avg.dtype), 1.0 - beta)


def repeat_style(
    w: Float[Tensor, "b w_dim"],
    w_avg: Float[Tensor, " w_dim"],
    num_layers: int,
    *,
    truncation: float = 1.0,
    truncation_cutoff: int | None = None,
) -> Float[Tensor, "b layers w_dim"]:
    """Repeat a style for every layer, truncated towards the average style (truncation trick).

    Args:
        w: Style vectors.
        w_avg: The average style.
        num_layers: Number of layers.
        truncation: Truncation psi: 1 leaves the styles as they are, 0 gives the average style.
        truncation_cutoff: Truncate only the first so many layers; None means all.
    """
    styles = w[:, None, :].expand(-1, num_layers, -1)
    if truncation == 1.0:
        return styles
    truncated = torch.lerp(w_avg, w, truncation)[:, None, :].expand(-1, num_layers, -1)
    cutoff = num_layers if truncation_cutoff is None else truncation_cutoff
    return torch.cat([truncated[:, :cutoff], styles[:, cutoff:]], dim=1)


def mix_styles(
    styles: Styles, other: Styles, *, probability: float, generator: torch.Generator
) -> Styles:
    """Replace the later layers of a batch's styles by other styles (StyleGAN's style mixing).

    Geometry and texture are mixed independently: each with `probability`, from a uniformly drawn
    layer (never the first) to the last.

    Args:
        styles: Styles before the crossover.
        other: Styles from the crossover on.
        probability: Probability that styles of a kind are mixed; the paper uses 0.9.
        generator: Random number generator, on the CPU.

    Raises:
        ValueError: If `probability` is not in [0, 1].
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability must be in [0, 1], got {probability}")
    geo = _sample_crossover(styles.geo, probability, generator)
    tex = _sample_crossover(styles.tex, probability, generator)
    return cross_styles(styles, other, geo_from=geo, tex_from=tex)


def cross_styles(
    styles: Styles,
    other: Styles,
    *,
    geo_from: Int[Tensor, " b"],
    tex_from: Int[Tensor, " b"],
) -> Styles:
    """Replace the later layers of each shape's styles by other styles.

    Args:
        styles: Styles before the crossover.
        other: Styles from the crossover on.
        geo_from: First geometry layer of each shape that is replaced.
        tex_from: First texture layer of each shape that is replaced.
    """
    return Styles(
        geo=_cross(styles.geo, other.geo, geo_from), tex=_cross(styles.tex, other.tex, tex_from)
    )


def _cross(
    a: Float[Tensor, "b layers w_dim"],
    b: Float[Tensor, "b layers w_dim"],
    first: Int[Tensor, " b"],
) -> Float[Tensor, "b layers w_dim"]:
    """Take the layers before `first` of one, the others of the other."""
    layers = torch.arange(a.shape[1], device=a.device)
    return torch.where((layers < first.to(a.device)[:, None])[:, :, None], a, b)


def _sample_crossover(
    styles: Float[Tensor, "b layers w_dim"], probability: float, generator: torch.Generator
) -> Int[Tensor, " b"]:
    """Sample one crossover for a batch; draws two numbers whether it mixes or not."""
    num_shapes, num_layers = styles.shape[:2]
    is_mixed = torch.rand((), generator=generator).item() < probability
    layer = int(torch.randint(1, max(num_layers, 2), (), generator=generator))
    return torch.full((num_shapes,), layer if is_mixed else num_layers)
