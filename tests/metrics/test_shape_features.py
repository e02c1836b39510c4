"""The shipped network: file, resizing, accuracy; and the script that trains it."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
import trimesh
from safetensors.torch import save_file

from get3d.core import ModelError
from get3d.core.weights import fingerprint
from get3d.data.mesh_files import normalize_mesh
from get3d.geometry.cameras import orbit_cameras
from get3d.metrics import shape_features
from get3d.metrics.features import FeatureExtractor
from get3d.metrics.shape_features import (
    SHAPE_FEATURES_NAME,
    ShapeNetwork,
    load_shape_features,
    load_shape_network,
    resize_by_area,
    save_shape_network,
    shipped_weights,
)
from get3d.render import Light, render_textured

HEADS = {"category": ("chair", "vessel"), "chair/arms": ("no", "yes"), "chair/legs": ("a", "b")}
SCRIPT = Path(__file__).parents[2] / "scripts" / "train_shape_features.py"


def random_network(seed: int = 0) -> ShapeNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ShapeNetwork(HEADS)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval().requires_grad_(False)


def make_images(num: int, size: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (num, 3, size, size), dtype=torch.uint8, generator=random)


@pytest.mark.parametrize(("length", "size"), [(12, 4), (16, 12), (7, 5), (5, 7)])
def test_resize_is_the_mean_of_areas(length, size) -> None:
    image = torch.rand(length, length, generator=torch.Generator().manual_seed(0)).double()
    # Every input pixel as size x size equal parts: blocks of length parts make an output pixel.
    fine = image.repeat_interleave(size, 0).repeat_interleave(size, 1)
    expected = fine.view(size, length, size, length).mean((1, 3))
    resized = resize_by_area(image[None, None], size)[0, 0]
    torch.testing.assert_close(resized, expected, rtol=0, atol=1e-12)


def test_file_keeps_the_network(tmp_path) -> None:
    network, path = random_network(), tmp_path / "w.safetensors"
    save_shape_network(network, path)
    assert path.stat().st_size < 5e6
    found = load_shape_network(path, device="cpu")
    assert found.heads == HEADS
    assert not found.training
    images = make_images(3, 80)
    before, after = network(images), found(images)
    assert after.shape == (3, 256)
    # Sixteen bits have eleven binary digits.
    torch.testing.assert_close(after, before, rtol=0, atol=2e-3 * float(before.abs().max()))
    scores = found.classify(after)
    assert {name: score.shape[1] for name, score in scores.items()} == {
        name: len(values) for name, values in HEADS.items()
    }


def test_extractor(tmp_path, monkeypatch) -> None:
    path = tmp_path / "w.safetensors"
    monkeypatch.setattr(shape_features, "shipped_weights", lambda: path)
    with pytest.raises(FileNotFoundError, match=r"w\.safetensors: no such file.*train_shape"):
        load_shape_features(device="cpu")
    save_shape_network(random_network(), path)
    extractor = load_shape_features(device="cpu")
    assert (extractor.name, extractor.dim) == (SHAPE_FEATURES_NAME, 256)
    images = make_images(3, 128)
    one_by_one = torch.cat([extractor(image[None]) for image in images])
    torch.testing.assert_close(extractor(images), one_by_one, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="3 channels"):
        extractor(images[:, :1])


def test_other_files_raise(tmp_path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=f"w.safetensors: no weights of {SHAPE_FEATURES_NAME}"):
        load_shape_network(path, device="cpu")
    weights = {"stem.weight": torch.zeros(1)}
    for metadata, reason in (
        (None, "heads"),
        ({"name": "older", "heads": "{}"}, "it is older, this get3d uses"),
        ({"name": SHAPE_FEATURES_NAME, "heads": json.dumps(HEADS)}, "Missing key"),
    ):
        save_file(weights, path, metadata=metadata)
        with pytest.raises(ModelError, match=reason) as caught:
            load_shape_network(path, device="cpu")
        assert "\n" not in str(caught.value)


def shapes_folder(folder: Path) -> Path:
    """Boxes and balls, as `get3d shapes` would write them."""
    for split in ("train", "validation"):
        (folder / split).mkdir(parents=True)
        entries = []
        for index, kind in enumerate(("box", "ball", "box")):
            box, ball = trimesh.creation.box(), trimesh.creation.icosphere(subdivisions=1)
            (box if kind == "box" else ball).export(folder / split / f"toy-{index}.glb")
            labels = {"kind": kind, "always": "same"} | ({"lid": "no"} if index == 0 else {})
            entries.append({"file": f"toy-{index}.glb", "labels": labels})
        index_file = folder / split / "shapes.json"
        index_file.write_text(json.dumps({"category": "toy", "shapes": entries}))
    return folder


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("train_shape_features", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_script_trains_and_repeats_itself(script, tmp_path, capsys) -> None:
    shapes = shapes_folder(tmp_path / "shapes")
    prints = []
    for name in ("a", "b"):
        out = tmp_path / name
        script.main(
            script.Args((shapes,), out=out, views=2, epochs=2, batch=3, workers=1, device="cpu")
        )
        network = load_shape_network(out / f"{SHAPE_FEATURES_NAME}.safetensors", device="cpu")
        prints.append(fingerprint(network))
    assert prints[0] == prints[1]
    assert network.heads == {"toy/kind": ("ball", "box")}  # constant attributes have no head
    card = json.loads((out / f"{SHAPE_FEATURES_NAME}.json").read_text())
    assert card["shapes"] == {"train": 3, "validation": 3}
    assert card["validation"]["toy/kind"]["most_frequent"] == pytest.approx(2 / 3, abs=1e-4)
    assert "validation accuracy" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="get3d shapes CATEGORY --split train"):
        script.main(script.Args((tmp_path,), out=tmp_path, device="cpu"))


def test_augmentation_keeps_images_in_range(script) -> None:
    images = make_images(16, 96).permute(0, 2, 3, 1)
    augmented = script.augment(images, torch.Generator().manual_seed(0))
    assert augmented.shape == (16, 3, 96, 96)
    assert augmented.min() >= -1
    assert augmented.max() <= 1
    again = script.augment(images, torch.Generator().manual_seed(0))
    assert torch.equal(augmented, again)
    black = script.augment(torch.zeros_like(images), torch.Generator().manual_seed(0))
    assert black.mean() < -0.99  # the background stays black


@pytest.fixture(scope="module")
def shipped() -> FeatureExtractor:
    return load_shape_features(device="cpu")


@pytest.fixture(scope="module")
def held_out(shipped) -> list[tuple[str, dict[str, str], torch.Tensor]]:
    """Category, labels and three near views of shapes of the test split."""
    from get3d_shapes import build_shape, shape_seed

    rotation = torch.deg2rad(torch.tensor([35.0, 41.0, 145.0]))
    cameras = orbit_cameras(rotation, torch.full((3,), 1.25), radius=1.2, fovy_rad=0.857)
    shapes = []
    for category in shipped.network.heads.get("category", ("chair",)):
        for index in range(4):
            seed = shape_seed(category, "test", 0, index)
            shape = build_shape(category, seed, texture_size=128)
            mesh = normalize_mesh(shape.mesh, longest_side=0.8)
            rgba = render_textured(mesh, cameras, 128, light=Light(), supersample=1)
            rgb = (rgba[..., :3] * rgba[..., 3:] * 255).round().to(torch.uint8)
            shapes.append((category, shape.labels, rgb.permute(0, 3, 1, 2)))
    return shapes


def test_held_out_shapes_are_classified(shipped, held_out) -> None:
    right, total, by_chance = 0, 0, 0.0
    for category, labels, images in held_out:
        scores = shipped.network.classify(shipped(images))
        truth = {"category": category} | {f"{category}/{k}": v for k, v in labels.items()}
        for name, score in scores.items():
            if name in truth and truth[name] in (values := shipped.network.heads[name]):
                right += int((score.argmax(1) == values.index(truth[name])).sum())
                total += len(images)
                by_chance += len(images) / len(values)
    assert right / total > 0.6
    assert right > 1.8 * by_chance


def test_near_views_have_near_features(shipped, held_out) -> None:
    features = torch.stack([shipped(images) for _, _, images in held_out])
    near = (features[:, 0] - features[:, 1]).norm(dim=1)
    between = torch.cdist(features[:, 0], features[:, 0])
    others = between[~torch.eye(len(features), dtype=torch.bool)]
    assert near.median() < 0.3 * others.median()
    nearest = torch.cdist(features[:, 1], features[:, 0]).argmin(1)
    assert (nearest == torch.arange(len(features))).float().mean() > 0.7


def test_shipped_file_is_small_and_has_a_card() -> None:
    assert shipped_weights().stat().st_size < 5e6
    card = json.loads(shipped_weights().with_suffix(".json").read_text(encoding="utf-8"))
    network = load_shape_network(device="cpu")
    assert {name: tuple(values) for name, values in card["heads"].items()} == network.heads
    for name, score in card["validation"].items():
        assert score["accuracy"] >= score["most_frequent"] - 0.02, name
