"""The Inception-v3 network of the FID (Szegedy et al. 2015; Heusel et al. 2017)."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from get3d.core import ModelError
from get3d.core.weights import fingerprint
from get3d.metrics.features import FeatureExtractor
from get3d.metrics.inception_network import DIM, IMAGE_SIZE, InceptionV3

INCEPTION_NAME = "inception-v3-2015-12-05"
"""Name of the feature network, with the date of the TensorFlow graph that defines the FID."""

FILE_URLS = {
    "pt_inception-2015-12-05-6726825d.pth": (
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    ),
    "weights-inception-2015-12-05-6726825d.pth": (
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    ),
}
"""Names of the published files of these weights, and the folders of their URLs."""

_COUNTER = ".num_batches_tracked"  # of training steps; only in newer files


def load_inception(
    path: Path | str | None = None, *, device: torch.device | str
) -> FeatureExtractor:
    """Load the Inception network of the FID: 2048 features from its last pooling layer.

    Images are processed as in the StyleGAN family and GET3D, which use a TorchScript port of the
    same graph: bytes are resized to 299 x 299 as in TensorFlow 1 (`resize_like_tensorflow_1`),
    without antialiasing and without rounding back to bytes, then (x - 128) / 128. Everything is
    float32, on any device. Nothing is downloaded.

    Args:
        path: A file of `FILE_URLS`, or the same tensors as .safetensors; None searches for them in
            the cache of torch.hub (`$TORCH_HOME/hub/checkpoints`).
        device: Device of the network.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelError: If the file holds other weights, or is damaged.
    """
    file = _find_file() if path is None else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; {_suggestion()}")
    tensors = _read_tensors(file)
    _check_layout(file, tensors)
    with torch.device("meta"):
        network = InceptionV3()
    network.load_state_dict(tensors, assign=True)
    network.eval().requires_grad_(False)
    return FeatureExtractor(
        name=INCEPTION_NAME,
        dim=DIM,
        resize=f"{IMAGE_SIZE} x {IMAGE_SIZE}, bilinear as TensorFlow 1 (corners at pixel 0)",
        fingerprint=fingerprint(network),
        network=network.to(device),
        images_at_once=32,
    )


def _find_file() -> Path:
    """Find the weights in the cache of torch.hub; raise FileNotFoundError if there are none."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for name in FILE_URLS:
        for candidate in (folder / name, (folder / name).with_suffix(".safetensors")):
            if candidate.is_file():
                return candidate
    raise FileNotFoundError(
        f"the Inception weights of the FID are not on this machine; {_suggestion()}"
    )


def _suggestion() -> str:
    """Suggest how to get the weights, or to do without."""
    name, url = next(iter(FILE_URLS.items()))
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    return (
        f"download {url}{name} (96 MB) into {folder} or give its path, or use the features that "
        "ship with get3d (get3d evaluate --features shapes; scores are then called fd_shapes and "
        "kd_shapes, not FID and KID)"
    )


def _read_tensors(file: Path) -> dict[str, Tensor]:
    """Read a state dict without executing code; raise ModelError if the file is something else."""
    try:
        if file.suffix == ".safetensors":
            content: object = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of pickle, zip, torch, safetensors: they have no common base
        raise ModelError(
            f"{file}: neither PyTorch nor safetensors can read weights from it; {_suggestion()}"
        ) from error
    if not isinstance(content, Mapping) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise ModelError(f"{file}: holds no state dict of tensors; {_suggestion()}")
    return {
        str(name): tensor.float()
        for name, tensor in content.items()
        if not str(name).endswith(_COUNTER)
    }


def _check_layout(file: Path, tensors: dict[str, Tensor]) -> None:
    """Validate names, shapes and values of the weights; raise ModelError."""
    classifier = tensors.get("fc.weight")
    if any(name.startswith("AuxLogits.") for name in tensors) or (
        classifier is not None and classifier.shape[0] == 1000
    ):
        raise ModelError(
            f"{file}: these are torchvision's ImageNet weights, not the FID weights, and give "
            f"other numbers; {_suggestion()}"
        )
    with torch.device("meta"):
        wanted = InceptionV3().state_dict()
    wanted = {name: value for name, value in wanted.items() if not name.endswith(_COUNTER)}
    problems = []
    for word, names in (
        ("missing", wanted.keys() - tensors.keys()),
        ("unexpected", tensors.keys() - wanted.keys()),
        (
            "of another shape",
            {n for n in wanted.keys() & tensors.keys() if wanted[n].shape != tensors[n].shape},
        ),
        ("not finite", {n for n, value in tensors.items() if not value.isfinite().all()}),
    ):
        if names:
            problems.append(f"{len(names)} tensors {word}, such as {min(names)}")
    if problems:
        raise ModelError(f"{file}: not the FID weights: {'; '.join(problems)}; {_suggestion()}")
