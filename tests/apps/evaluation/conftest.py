import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from torch import nn

from get3d.apps.evaluation import plan, report
from get3d.metrics import FeatureExtractor


def write_ellipsoid(path: Path, seed: int) -> Path:
    """A ball stretched in three directions, in a colour of its own."""
    random = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.apply_scale(random.uniform(0.3, 1, 3))
    ball.visual.vertex_colors = [*random.integers(60, 255, 3), 255]
    path.parent.mkdir(parents=True, exist_ok=True)
    ball.export(path)
    return path


@pytest.fixture
def ellipsoid() -> Callable[[Path, int], Path]:
    """What makes the shapes of these tests."""
    return write_ellipsoid


@pytest.fixture(autouse=True)
def ratios_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give ratios for few references too."""
    monkeypatch.setattr(report, "FEWEST_FOR_RATIOS", 4)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five references and eleven training shapes, for all tests: nothing may change them."""
    folder = tmp_path_factory.mktemp("data")
    for split, seeds in (("test", range(5)), ("train", range(100, 111))):
        for seed in seeds:
            write_ellipsoid(folder / split / f"{split}-{seed}.glb", seed)
    return folder


@pytest.fixture
def own_data(data: Path, tmp_path: Path) -> Path:
    """A copy of them that a test may change."""
    return Path(shutil.copytree(data, tmp_path / "data"))


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where evaluations leave their shards, for all tests that need no shard to be made anew."""
    return tmp_path_factory.mktemp("measured")


class MeanColors(nn.Module):
    """Features that anyone can compute: the colours of the four quarters of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1 / 255))

    def forward(self, images_u8: torch.Tensor) -> torch.Tensor:
        quarters = nn.functional.adaptive_avg_pool2d(images_u8.float() * self.scale, 2)
        return quarters.flatten(1)


@pytest.fixture
def mean_colors(monkeypatch: pytest.MonkeyPatch) -> Iterator[FeatureExtractor]:
    """Put features of little cost in the place of the networks."""
    extractor = FeatureExtractor(
        name="mean-colors", dim=12, resize="none", fingerprint="01234567", network=MeanColors()
    )
    for name in ("load_inception", "load_shape_features"):
        monkeypatch.setattr(plan, name, lambda *args, device: extractor)
    plan.open_features.cache_clear()
    yield extractor
    plan.open_features.cache_clear()
