import numpy as np
import pytest

from get3d.geometry import euler_number, is_manifold, signed_volume
from get3d_shapes.assemble import assemble
from get3d_shapes.curves import (
    counter_clockwise,
    ellipse,
    inset,
    lengths,
    rectangle,
    rounded,
    smooth,
    subdivided,
)
from get3d_shapes.design import Part
from get3d_shapes.finishes import Plain
from get3d_shapes.primitives import (
    bar,
    board,
    box,
    lathe,
    panel,
    plate,
    shell,
    sweep,
    tube,
)

GREY = Plain((0.5, 0.5, 0.5), "plastic", "grey")
BALL = np.stack([np.cos(np.linspace(-1, 1, 21) * np.pi / 2), np.linspace(-1, 1, 21)], 1)
BALL[:, 1] = np.sin(np.linspace(-1, 1, 21) * np.pi / 2)
BALL[[0, -1], 0] = 0.0
MUG = np.array([(0.0, 0), (1, 0), (1, 2), (0.9, 2), (0.9, 0.1), (0.0, 0.1)])
ARC = np.linspace(0, 1.5, 9)
SHEET = np.stack(
    np.broadcast_arrays(np.sin(ARC), np.linspace(0, 1, 5)[:, None], np.cos(ARC)), axis=-1
)
SOLIDS = {
    "box": (box(1, 2, 3, 0.0), 6.0),
    "plate": (plate(ellipse(2, 2, 64), 0.5), np.pi / 2),
    "cushion": (plate(rectangle(1, 1, 0.2), 0.3, bevel=0.1, rounds=3, crown=0.1), None),
    "dish": (plate(rectangle(1, 1), 0.3, crown=-0.1, rings=4), None),
    "board": (board(1, 2, 0.1, radius=0, bevel=0), 0.2),
    "panel": (panel(rectangle(1, 1, 0.1), 0.1, crown=0.02), None),
    "ball": (lathe(BALL, 64), 4 / 3 * np.pi),
    "cylinder": (lathe(np.array([(1.0, 0), (1, 2)]), 64), 2 * np.pi),
    "mug": (lathe(MUG, 64), np.pi * (2 - 0.81 * 1.9)),
    "sweep": (sweep(np.array([[0, 0, 0], [0, 3, 0.0]]), rectangle(1, 2), up=(0, 0, 1)), 6.0),
    "bent tube": (tube(rounded([(0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 1, 1)], 0.3), 0.05), None),
    "bar": (bar((0, 0, 0), (0, 0, 2), 0.5, is_round=True), np.pi * 0.25**2 * 2),
    "shell": (shell(SHEET, 0.05), 1.5 * 0.05),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_are_closed_and_face_outward(name: str) -> None:
    solid, volume = SOLIDS[name]
    scale = max(float(np.ptp(np.concatenate([p.verts for p in solid.patches]), axis=0).max()), 0)
    mesh, _ = assemble([Part(name, solid, GREY)], texture_size=64, rng=np.random.default_rng(0))
    assert is_manifold(mesh.mesh)
    assert euler_number(mesh.mesh) == 2
    assert signed_volume(mesh.mesh) * scale**3 == pytest.approx(solid.volume(), rel=1e-3)
    if volume is not None:
        assert solid.volume() == pytest.approx(volume, rel=0.05)  # facets cut corners


@pytest.mark.parametrize("name", ["box", "cylinder", "mug", "sweep", "shell", "bent tube"])
def test_flat_coordinates_are_lengths(name: str) -> None:
    """The flattened patches have about the area of the surface, so textures keep their scale."""
    solid, _ = SOLIDS[name]

    def area(corners: np.ndarray) -> float:
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        return float(np.linalg.norm(np.cross(first, second), axis=-1).sum() / 2)

    for patch in solid.patches:
        flat = np.pad(patch.flat, ((0, 0), (0, 1)))
        real = area(patch.verts[patch.faces])
        if name in ("mug", "shell") and patch.side == "wall":
            assert area(flat[patch.faces]) >= 0.95 * real  # stretched where it is narrow
        else:
            assert area(flat[patch.faces]) == pytest.approx(real, rel=0.12)


def test_moves_keep_solids_outward() -> None:
    solid = box(1, 2, 3).moved(0.5, 0, 0).turned("y", 0.3).mirrored()
    assert solid.volume() == pytest.approx(box(1, 2, 3).volume())
    inside_out = solid.flipped()
    assert inside_out.volume() < 0
    assert inside_out.outward().volume() == pytest.approx(solid.volume())
    turned = box(1, 1, 1, 0.0).moved(1, 0, 0).turned("y", np.pi / 2)
    verts = np.concatenate([patch.verts for patch in turned.patches])
    np.testing.assert_allclose((verts.max(0) + verts.min(0)) / 2, (0, 0.5, -1), atol=1e-9)


def test_a_tube_does_not_twist_or_change_its_radius() -> None:
    path = smooth([(0, 0, 0), (0, 1, 0.2), (0.5, 1.5, 0.5), (1.5, 1.5, 0)], 8)
    wall = tube(path, 0.1).patches[0]
    rings = wall.verts.reshape(len(path), -1, 3)
    np.testing.assert_allclose(np.linalg.norm(rings - path[:, None], axis=2), 0.1, atol=1e-9)


def test_outlines() -> None:
    square = rectangle(2, 2)
    np.testing.assert_allclose(counter_clockwise(square[::-1]), square)
    np.testing.assert_allclose(inset(square, 0.25), 0.75 * square)
    assert np.abs(rectangle(2, 1, 9.0)).max() <= 1  # the radius is cut to what fits
    fine = subdivided(square, 0.3)
    assert lengths(np.concatenate([fine, fine[:1]]))[-1] == pytest.approx(8)
    assert np.diff(lengths(fine)).max() <= 0.3
    oval = ellipse(2, 4, 40, power=2.0)
    np.testing.assert_allclose(oval[:, 0] ** 2 + (oval[:, 1] / 2) ** 2, 1)
    curve = smooth([(0, 0), (1, 1), (2, 0)], 4)
    assert curve[4].tolist() == [1, 1]
    bent = rounded([(0, 0), (1, 0), (1, 1)], 0.2, 6)
    assert np.linalg.norm(bent - (1, 0), axis=1).min() > 0.05
