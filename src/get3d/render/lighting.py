"""Diffuse lighting: brightness as a function of the normal and the direction to the camera."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Light:
    """A hemisphere light and a point light at the camera, both white; the defaults are "studio".

    Attributes:
        sky: Brightness of surfaces that face up (+y).
        ground: Brightness of surfaces that face down.
        camera: Brightness that the light at the camera adds to surfaces that face it.
    """

    sky: float = 0.65
    ground: float = 0.35
    camera: float = 0.5

    @classmethod
    def unlit(cls) -> "Light":
        """Return the light under which every surface has its base colour."""
        return cls(sky=1.0, ground=1.0, camera=0.0)

    def brightness(
        self, normals: Float[Tensor, "p 3"], to_camera: Float[Tensor, "p 3"]
    ) -> Float[Tensor, " p"]:
        """Compute the factor on linear base colours; differentiable in both arguments.

        Args:
            normals: Unit surface normals in object space.
            to_camera: Unit vectors from the surface to the camera.
        """
        facing = (normals * to_camera).sum(1).clamp(min=0.0)
        upward = 0.5 + 0.5 * normals[:, 1]
        return self.ground + (self.sky - self.ground) * upward + self.camera * facing


class LearnedLight(nn.Module):
    """Nine spherical-harmonic coefficients of the irradiance (Ramamoorthi and Hanrahan 2001).

    White light that is fixed relative to the object. Initialised to uniform light of brightness 1.
    """

    def __init__(self) -> None:
        """Initialise to uniform light."""
        super().__init__()
        start = torch.zeros(9)
        start[0] = 1.0
        self.coefficients = nn.Parameter(start)

    def brightness(
        self, normals: Float[Tensor, "p 3"], to_camera: Float[Tensor, "p 3"]
    ) -> Float[Tensor, " p"]:
        """Compute the factor on linear base colours; see `Light.brightness`."""
        del to_camera  # the light does not follow the camera
        return harmonics(normals) @ self.coefficients


def harmonics(normals: Float[Tensor, "p 3"]) -> Float[Tensor, "p 9"]:
    """Evaluate the real spherical harmonics of degrees 0 to 2, Schmidt semi-normalised.

    Over the sphere, products of different harmonics average to 0 and squares of those of degree d
    to 1 / (2 d + 1). The first is constant 1.

    Args:
        normals: Unit vectors.

    Example:
        >>> harmonics(torch.tensor([[0.0, 1.0, 0.0]]))[0, :4]
        tensor([1., 1., 0., 0.])
    """
    x, y, z = normals.unbind(1)
    root = math.sqrt(3.0)
    return torch.stack(
        [
            torch.ones_like(x),
            y,
            z,
            x,
            root * x * y,
            root * y * z,
            0.5 * (3 * z * z - 1),
            root * x * z,
            0.5 * root * (x * x - y * y),
        ],
        dim=1,
    )
