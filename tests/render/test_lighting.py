import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from get3d.render import LearnedLight, Light
from get3d.render.lighting import harmonics


def directions(num: int, *, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(num, 3, generator=rng, dtype=torch.float64), dim=1)


def test_brightness_by_hand() -> None:
    up, down = torch.tensor([[0.0, 1, 0]]), torch.tensor([[0.0, -1, 0]])
    side, front = torch.tensor([[1.0, 0, 0]]), torch.tensor([[0.0, 0, 1]])
    light = Light()
    for normal, to_camera, expected in (
        (up, side, 0.65),
        (down, side, 0.35),
        (side, front, 0.5),
        (front, front, 0.5 + 0.5),
        (up, up, 0.65 + 0.5),
        (up, down, 0.65),  # facing away from the camera's light
        (side, (side + front) / math.sqrt(2), 0.5 + 0.5 / math.sqrt(2)),
    ):
        assert float(light.brightness(normal, to_camera)) == pytest.approx(expected, abs=1e-6)
    own = Light(sky=0.2, ground=0.4, camera=2.0)
    assert float(own.brightness(down, down)) == pytest.approx(0.4 + 2.0)


def test_unlit_is_one_everywhere() -> None:
    assert torch.equal(
        Light.unlit().brightness(directions(50), directions(50, seed=1)),
        torch.ones(50, dtype=torch.float64),
    )


def test_harmonics_are_orthogonal_over_the_sphere() -> None:
    """Gauss-Legendre in z times an even circle integrates polynomials of degree 4 exactly."""
    root, turn = math.sqrt(3 / 5), torch.arange(8, dtype=torch.float64) * (2 * math.pi / 8)
    z = torch.tensor([-root, 0.0, root], dtype=torch.float64).repeat_interleave(8)
    weight = torch.tensor([5, 8, 5], dtype=torch.float64).repeat_interleave(8) / (18 * 8)
    flat = (1 - z.square()).sqrt()
    normals = torch.stack([flat * turn.repeat(3).cos(), flat * turn.repeat(3).sin(), z], 1)
    values = harmonics(normals)
    means = values.T @ (weight[:, None] * values)
    degrees = torch.tensor([0, 1, 1, 1, 2, 2, 2, 2, 2])
    torch.testing.assert_close(means, torch.diag(1.0 / (2 * degrees + 1)).double())


def test_learned_light_starts_uniform_and_white() -> None:
    light = LearnedLight().double()
    brightness = light.brightness(directions(20), directions(20, seed=1))
    torch.testing.assert_close(brightness, torch.ones(20, dtype=torch.float64))


def test_learned_light_of_one_direction() -> None:
    light = LearnedLight().double()
    light.coefficients.data[1] = 0.5  # y: brighter above
    normals = directions(20)
    expected = 1 + 0.5 * normals[:, 1]
    torch.testing.assert_close(light.brightness(normals, -normals), expected)


def test_gradients_in_normals_and_coefficients() -> None:
    normals, to_camera = directions(6).requires_grad_(), directions(6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(Light().brightness, (normals, to_camera))
    light = LearnedLight().double()
    assert torch.autograd.gradcheck(lambda each: light.brightness(each, each), normals)
    light.brightness(normals, to_camera).sum().backward()
    torch.testing.assert_close(light.coefficients.grad, harmonics(normals.detach()).sum(0))
    assert to_camera.grad is None  # the light does not follow the camera
