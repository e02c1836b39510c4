"""Evaluations without gradients come in chunks: same results, bounded memory."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from get3d.core import chunks
from get3d.models import Generator, GeneratorConfig, GridOptions
from get3d.models.fields import Fields
from get3d.models.layers import PointMLP

# Small where it makes planes and volumes, of the published widths where those are read.
SIZES = {
    "z_dim": 8,
    "w_dim": 8,
    "mapping_layers": 1,
    "plane_resolution": 32,
    "channel_base": 128,
    "volume_resolution": 8,
    "volume_channel_base": 512,
    "volume_channel_max": 64,
}
KINDS = {
    "unified": {"grid_resolution": 40},
    "separate": {"architecture": "separate", "grid_resolution": 32},
    "flexicubes": {"iso_surface": "flexicubes", "grid_resolution": 32},
    "deep": {"mlp_hidden_layers": 2, "mlp_width": 64, "grid_resolution": 40},
}
NUM_POINTS, NUM_CUBES = 7_000, 1_000
CHUNK = 5_000
BYTES_PER_POINT = {"unified": 600, "separate": 3000, "flexicubes": 600}


def make(kind: str) -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GeneratorConfig(**SIZES, **KINDS[kind], sdf_base="sphere", sdf_base_weight=0.01)
        return Generator(config).requires_grad_(False).eval()


def fields_of(generator: Generator, num: int) -> Fields:
    z = torch.randn(2, num, 8, generator=torch.Generator().manual_seed(0))
    return generator.fields(generator.map(z[0], z[1]))


def evaluations(kind: str, fields: Fields) -> dict[str, Callable[[Fields], Tensor]]:
    """All evaluations of the fields, by name."""
    rng = torch.Generator().manual_seed(1)
    num, each, grid = len(fields), NUM_POINTS, fields.grid_sdf().shape[1]
    points = torch.rand(each, 3, generator=rng) - 0.5
    own = torch.rand(num, each, 3, generator=rng) - 0.5
    verts = torch.randint(grid, (num, each), generator=rng)
    # Lengths that differ; with three shapes, the second has none.
    shape = torch.repeat_interleave(torch.tensor([each, 0, each // 2])[torch.arange(num)])
    packed = torch.rand(len(shape), 3, generator=rng) - 0.5
    found: dict[str, Callable[[Fields], Tensor]] = {
        "sdf": lambda each: each.sdf(points),
        "sdf of own points": lambda each: each.sdf(own),
        "grid_sdf": lambda each: each.grid_sdf(),
        "deformation": lambda each: each.deformation(points),
        "grid_deformation": lambda each: each.grid_deformation(verts),
        "color": lambda each: each.color(points),
        "color of own points": lambda each: each.color(own),
        "sdf packed": lambda each: each.packed(each.sdf, packed, shape),
        "deformation packed": lambda each: each.packed(each.deformation, packed, shape),
        "color packed": lambda each: each.packed(each.color, packed, shape),
    }
    if kind == "flexicubes":
        corners = torch.rand(NUM_CUBES, 8, 3, generator=rng) - 0.5
        cubes = torch.randint(grid, (num, NUM_CUBES, 8), generator=rng)
        found["flexi_weights"] = lambda each: each.flexi_weights(corners)
        own_corners = torch.rand(num, NUM_CUBES, 8, 3, generator=rng) - 0.5
        first = torch.arange(num).repeat_interleave(NUM_CUBES)
        found["flexi_weights of own cubes"] = lambda each: each.flexi_weights(own_corners)
        found["flexi_weights packed"] = lambda each: each.packed(
            each.flexi_weights, own_corners.flatten(0, 1), first
        )
        found["grid_flexi_weights"] = lambda each: each.grid_flexi_weights(cubes)
    return found


def peak_bytes(evaluate: Callable[[], Tensor]) -> int:
    """Most memory that is held at a time during a call, all allocations counted, but its result."""
    activity = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity], profile_memory=True) as profile:
        result = evaluate()
    assert profile.profiler is not None
    events = profile.profiler.kineto_results.events()
    changes = [(each.start_ns(), each.nbytes()) for each in events if each.name() == "[memory]"]
    held = torch.tensor([change for _, change in sorted(changes, key=lambda each: each[0])])
    return int(held.cumsum(0).max()) - result.numel() * result.element_size()


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_results_do_not_depend_on_the_chunks(
    kind: str, num: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = fields_of(make(kind), num)
    for name, evaluate in evaluations(kind, fields).items():
        with torch.enable_grad():
            at_once = evaluate(fields)
        for size in (CHUNK, chunks.CHUNK_POINTS):
            monkeypatch.setattr(chunks, "CHUNK_POINTS", size)
            torch.testing.assert_close(evaluate(fields), at_once, atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize(("kind", "bytes_per_point"), BYTES_PER_POINT.items())
@torch.no_grad()
def test_working_memory_is_that_of_a_chunk(
    kind: str, bytes_per_point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_POINTS", CHUNK)
    fields = fields_of(make(kind), 3)
    for name, evaluate in evaluations(kind, fields).items():
        result = 4 * evaluate(fields).numel()  # held in chunks, too, until they are joined
        used = peak_bytes(lambda evaluate=evaluate: evaluate(fields)) - 2 * result
        assert used <= CHUNK * bytes_per_point + 2e6, name


def test_with_gradients_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_POINTS", CHUNK)
    fields = fields_of(make("separate").requires_grad_(True), 2)
    calls: list[int] = []
    forward = PointMLP.forward

    def count(self: PointMLP, x: Tensor, styles: Tensor) -> Tensor:
        calls.append(x.shape[1])
        return forward(self, x, styles)

    monkeypatch.setattr(PointMLP, "forward", count)
    points = torch.rand(20_000, 3) - 0.5
    fields.sdf(points)
    assert calls == [20_000]
    with torch.no_grad():
        fields.sdf(points)
    assert sum(calls[1:]) == 20_000
    assert max(calls[1:]) == CHUNK // 2  # of two shapes


@pytest.mark.parametrize("kind", ["unified", "separate", "flexicubes"])
def test_surfaces_do_not_depend_on_the_chunks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = make(kind)
    options = GridOptions(grid_resolution=2 * generator.config.grid_resolution)
    found = []
    for size in (CHUNK, chunks.CHUNK_POINTS):
        monkeypatch.setattr(chunks, "CHUNK_POINTS", size)
        with torch.no_grad():
            fields = fields_of(generator, 2)
            found.append(generator.extract(fields, grid=options).meshes)
    for small, large in zip(*found, strict=True):
        torch.testing.assert_close(small.verts, large.verts, atol=1e-5, rtol=0)
        # Rounding may turn the diagonal of a quad of FlexiCubes: equal weights decide on it.
        assert (small.faces != large.faces).any(1).float().mean() < 1e-3
