"""Sample images of a run: always the same latent codes from the same views."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from get3d.core import Cameras
from get3d.geometry import CameraDistribution, orbit_cameras
from get3d.models import Generator, TrainingRenderConfig
from get3d.render import LearnedLight, Light
from get3d.training.randomness import Purpose, keyed_generator

_CHUNK = 4  # shapes rendered at once


@torch.no_grad()
def render_samples(
    generator: Generator,
    distribution: CameraDistribution,
    *,
    image_size: int,
    rendering: TrainingRenderConfig,
    light: Light | LearnedLight | None = None,
    seed: int = 0,
    num_shapes: int = 16,
    num_views: int = 2,
    truncation: float = 1.0,
) -> Float[Tensor, "images 4 h w"]:
    """Render shapes of fixed latent codes, each from the same views.

    Args:
        generator: Generator, usually the weight average.
        distribution: Camera distribution; its distance, field of view and middle polar angle are
            used.
        image_size: Width and height of the images, in pixels.
        rendering: Rendering options, as in training.
        light: Light on the shapes; None renders the colour field unlit.
        seed: Seed of the latent codes.
        num_shapes: Number of shapes.
        num_views: Views of each shape, evenly spread around it from 30 degrees on.
        truncation: Truncation psi; 1 for none.

    Returns:
        RGB in [-1, 1] and the mask in [0, 1]; the views of a shape follow each other.
    """
    device = next(generator.parameters()).device
    rng = keyed_generator(seed, Purpose.SAMPLES, 0)
    z = torch.randn(2, num_shapes, generator.config.z_dim, generator=rng).to(device)
    views = _turntable(distribution, num_views).to(device)
    rendered = []
    for z_geo, z_tex in zip(z[0].split(_CHUNK), z[1].split(_CHUNK), strict=True):
        fields = generator.fields(generator.map(z_geo, z_tex, truncation=truncation))
        cameras = views[torch.arange(num_views).repeat(len(z_geo))]
        images = generator.render(
            fields, generator.surface(fields), cameras, image_size, config=rendering, light=light
        )
        rendered.append(torch.cat([images.rgb, images.mask], dim=1))
    return torch.cat(rendered)


def _turntable(distribution: CameraDistribution, num_views: int) -> Cameras:
    """Make cameras evenly spread around the object, from 30 degrees on."""
    first_rad = math.radians(30.0)
    rotation = first_rad + torch.arange(num_views) * (2 * math.pi / num_views)
    polar = torch.full((num_views,), math.radians(sum(distribution.polar_deg) / 2))
    return orbit_cameras(
        rotation % (2 * math.pi),
        polar,
        radius=distribution.radius,
        fovy_rad=math.radians(distribution.fovy_deg),
    )
