import numpy as np
import pytest
import torch
import trimesh

from get3d.core import Mesh
from get3d.export.chart_kernels import covered_columns
from get3d.export.charts import chart_boxes, make_charts
from get3d.geometry import face_areas


def to_mesh(shape) -> Mesh:
    return Mesh(torch.tensor(shape.vertices).double(), torch.tensor(shape.faces).long())


def signed_areas(corners):
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


def spiral(turns: int = 3, sections: int = 96) -> Mesh:
    """A ramp that winds over itself: from above it looks flat everywhere and overlaps."""
    angle = np.linspace(0, 2 * np.pi * turns, sections * turns)
    rim = np.stack([np.cos(angle), np.sin(angle), 0.02 * angle], axis=1)
    verts = np.concatenate([rim, rim * (0.5, 0.5, 1)])
    i, n = np.arange(len(angle) - 1), len(angle)
    faces = np.concatenate([np.stack([i, i + 1, i + n], 1), np.stack([i + 1, i + n + 1, i + n], 1)])
    return Mesh(torch.tensor(verts), torch.tensor(faces))


SHAPES = {
    "ball": to_mesh(trimesh.creation.icosphere(subdivisions=4)),
    "box": to_mesh(trimesh.creation.box()),
    "torus": to_mesh(trimesh.creation.torus(2, 0.5, 48, 24)),
    "spiral": spiral(),
}


@pytest.mark.parametrize("name", SHAPES)
def test_charts_do_not_fold_or_stretch_much(name):
    mesh = SHAPES[name]
    charts = make_charts(mesh, texel=0.01)
    shrink = signed_areas(charts.corners) / face_areas(mesh).numpy()
    assert shrink.min() > np.cos(np.radians(76)) - 1e-9  # a stretch of 4.13
    assert shrink.max() < 1.5**2
    num_charts = charts.chart_of.max() + 1
    assert set(charts.chart_of) == set(range(num_charts))
    assert num_charts <= {"ball": 30, "box": 6, "torus": 30, "spiral": 12}[name]


@pytest.mark.parametrize("name", SHAPES)
def test_no_point_is_covered_twice(name):
    mesh = SHAPES[name]
    charts = make_charts(mesh, texel=0.01)
    for chart in range(charts.chart_of.max() + 1):
        triangles = charts.corners[charts.chart_of == chart]
        low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
        points = np.random.default_rng(chart).uniform(low, high, (400, 2))
        inside = np.ones((len(points), len(triangles)), dtype=bool)
        for c in range(3):
            start, end = triangles[:, c], triangles[:, (c + 1) % 3]
            edge, offset = end - start, points[:, None] - start
            inside &= edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0] > 1e-9
        assert inside.sum(axis=1).max() <= 1


def rod(*, radius: float, rings: int) -> Mesh:
    """A cylinder of length 1 and 64 sides, turned."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    rim = np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)
    verts = np.concatenate([np.c_[rim, np.full(64, y)] for y in np.linspace(0, 1, rings + 1)])
    i = np.arange(64 * rings).reshape(rings, 64)
    j = np.roll(i, -1, axis=1)
    faces = np.stack([np.stack([i, j, i + 64], -1), np.stack([j, j + 64, i + 64], -1)])
    around = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])[:3, :3]
    return Mesh(torch.tensor(verts @ around), torch.tensor(faces.reshape(-1, 3)))


def test_long_charts_are_cut_between_faces():
    mesh = rod(radius=0.01, rings=200)
    whole, cut = make_charts(mesh, texel=0.001), make_charts(mesh, texel=0.001, longest=0.2)
    lengths = (lambda low, high: (high - low).max(axis=1))(*chart_boxes(cut.corners, cut.chart_of))
    assert lengths.max() < 0.2 + 0.03
    assert cut.num_charts < 12 * whole.num_charts
    # Where faces are as long as the chart, cutting would leave small components.
    mesh = rod(radius=0.01, rings=1)
    num_charts = [make_charts(mesh, texel=0.001, longest=far).num_charts for far in (9.0, 0.2)]
    assert num_charts[0] == num_charts[1]


@pytest.mark.parametrize("swap", [False, True])
def test_rows_of_cells_are_those_whose_centres_are_covered(swap):
    """Against all cells, one by one: triangles of any shape, thin ones too."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        triangle = rng.uniform(0, 12, (3, 2)) * (1, rng.choice([1, 0.01]))
        triangle = triangle[:, ::-1] if swap else triangle
        edges = np.roll(triangle, -1, axis=0) - triangle
        if edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0] < 0:
            triangle, edges = triangle[::-1], edges[::-1]
            edges = np.roll(triangle, -1, axis=0) - triangle
        x, y = np.meshgrid(np.arange(13) + 0.5, np.arange(13) + 0.5)
        inside = np.ones((13, 13), dtype=bool)
        for (sx, sy), (ex, ey) in zip(triangle, edges, strict=True):
            inside &= ex * (y - sy) - ey * (x - sx) > 1e-9
        found = np.zeros((13, 13), dtype=bool)
        for row in range(13):
            left, right = covered_columns(*triangle.flatten(), 1e-9, row + 0.5, 13)
            found[row, left : max(right + 1, 0)] = True
        np.testing.assert_array_equal(found, inside)


def test_faces_without_area_have_no_chart():
    mesh = SHAPES["box"]
    faces = torch.cat([torch.tensor([[0, 0, 1], [2, 2, 2]]), mesh.faces])
    charts = make_charts(Mesh(mesh.verts, faces), texel=0.01)
    assert charts.chart_of[:2].tolist() == [-1, -1]
    assert (charts.chart_of[2:] >= 0).all()


def test_noise_does_not_break_the_charts_up():
    """On a rough ball, nearly all of the area is in a few large charts."""
    ball = SHAPES["ball"]
    noise = torch.randn(len(ball.verts), 1, generator=torch.Generator().manual_seed(0))
    rough = Mesh(ball.verts * (1 + 0.01 * noise), ball.faces)
    areas = np.bincount(make_charts(rough, texel=0.01).chart_of, face_areas(rough).numpy())
    assert np.sort(areas)[-20:].sum() > 0.95 * areas.sum()


def folded(seed: int) -> Mesh:
    """A ball whose surface is rough enough to fold."""
    ball = SHAPES["ball"]
    noise = torch.randn(len(ball.verts), 1, generator=torch.Generator().manual_seed(seed))
    return Mesh(ball.verts * (1 + 0.03 * noise), ball.faces)


def test_few_charts_are_tiny():
    """Nearly all faces that would be alone are unfolded into a neighbouring chart."""
    faces = np.bincount(make_charts(folded(0), texel=0.01).chart_of)
    assert (faces == 1).sum() < 40
    assert len(faces) < 130


def test_attached_faces_are_joined_without_overlap():
    mesh = folded(1)
    charts = make_charts(mesh, texel=0.01)
    shrink = signed_areas(charts.corners) / face_areas(mesh).numpy()
    assert shrink.min() > np.cos(np.radians(76)) - 1e-9
    cell = 0.005
    for chart in range(charts.num_charts):
        triangles = charts.corners[charts.chart_of == chart] / cell
        low = triangles.min(axis=(0, 1))
        width, height = np.ceil(triangles.max(axis=(0, 1)) - low).astype(int) + 1
        count = np.zeros((height, width), dtype=int)
        for triangle in triangles - low:
            area = 2 * signed_areas(triangle[None])[0]
            for row in range(int(triangle[:, 1].min()), int(triangle[:, 1].max()) + 1):
                left, right = covered_columns(
                    *triangle.flatten(), 1e-3 * area + 1e-6, row + 0.5, width
                )
                count[min(row, height - 1), left : max(right + 1, 0)] += 1
        # Cells are laid from another corner than when faces are attached, so a few differ.
        assert (count > 1).sum() <= 0.002 * count.sum() + 4


def test_loose_charts_are_cut():
    """A flat ring leaves most of its box empty."""
    angle = np.linspace(0, 2 * np.pi, 97)[:-1]
    rim = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    i = np.arange(96)
    j = (i + 1) % 96
    faces = np.concatenate([np.stack([i, j, i + 96], 1), np.stack([j, j + 96, i + 96], 1)])
    ring = Mesh(torch.tensor(np.concatenate([rim, 0.8 * rim])), torch.tensor(faces))
    charts = make_charts(ring, texel=0.01)
    low, high = chart_boxes(charts.corners, charts.chart_of)
    assert 3 <= charts.num_charts <= 24
    assert (high - low).max() < 1.5
