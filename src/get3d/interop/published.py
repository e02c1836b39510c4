"""Networks of the published release: conversion of their tensor names and shapes to ours.

The release's files hold `{"G": ..., "G_ema": ..., "D": ...}`; each value is a state dict for the
functions here. Names must match exactly, so that a wrong config raises an error.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from get3d.core import ConfigError, ModelError
from get3d.geometry import TetGrid, load_grid
from get3d.models import (
    DiscriminatorConfig,
    DiscriminatorPair,
    Generator,
    GeneratorConfig,
    skeleton,
)

_GENERATOR_KEYS = {
    "z_dim": "z_dim",
    "w_dim": "w_dim",
    "tet_res": "grid_resolution",
    "tri_plane_resolution": "plane_resolution",
    "dmtet_scale": "scale",
    "iso_surface": "iso_surface",
    "channel_base": "channel_base",
    "channel_max": "channel_max",
}
_GENERATOR_OPTIONS = {
    "deformation_multiplier": "deformation_multiplier",
    "n_implicit_layer": "mlp_hidden_layers",
    "mlp_latent_channel": "mlp_width",
}
_DISCRIMINATOR_KEYS = {
    "img_resolution": "image_size",
    "channel_base": "channel_base",
    "channel_max": "channel_max",
    "mbstd_group_size": "mbstd_group_size",
    "camera_cond": "camera_condition",
}

# Constant filters, and noise that is unused in the published 3D synthesis.
_UNUSED = re.compile(
    r"resample_filter$|^synthesis\.geometry_synthesis_(sdf|def)\..*\.noise_(const|strength)$"
)

# Ours -> published, applied in order. In volumes the first block, at 4, is not one of `blocks`.
_GENERATOR_RULES = (
    (r"mapping_tex\.layers\.(\d+)", r"mapping.fc\1"),
    (r"mapping_geo\.layers\.(\d+)", r"mapping_geo.fc\1"),
    (r"mapping_tex\.w_avg", "mapping.w_avg"),
    (r"network\.texture\.color", "synthesis.to_rgb"),
)
_UNIFIED_RULES = (
    *_GENERATOR_RULES,
    (r"network\.backbone", "synthesis.generator.tri_plane_synthesis"),
    (r"to_planes\.0", "togeo"),
    (r"to_planes\.1", "totex"),
    (r"network\.texture\.mlp", "synthesis.generator.mlp_synthesis_tex"),
    (r"network\.geometry\.sdf", "synthesis.generator.mlp_synthesis_sdf"),
    (r"network\.geometry\.deformation", "synthesis.generator.mlp_synthesis_def"),
    (r"network\.geometry\.weights", "synthesis.generator.mlp_synthesis_weight"),
)
_SEPARATE_RULES = (
    *_GENERATOR_RULES,
    (r"(network\.geometry\.\w+)\.const", r"\1.b4.const"),
    (r"(network\.geometry\.\w+)\.conv\.", r"\1.b4.conv1."),
    (r"(network\.geometry\.\w+)\.blocks\.0", r"\1.b8"),
    (r"(network\.geometry\.\w+)\.blocks\.1", r"\1.b16"),
    (r"(network\.geometry\.\w+)\.blocks\.2", r"\1.b32"),
    (r"(network\.geometry\.\w+)\.mlp", r"\1"),
    (r"network\.geometry\.sdf", "synthesis.geometry_synthesis_sdf"),
    (r"network\.geometry\.deformation", "synthesis.geometry_synthesis_def"),
    (r"network\.backbone", "synthesis.geometry_synthesis_tex.tri_plane_synthesis"),
    (r"to_planes\.0", "torgb"),
    (r"network\.texture\.mlp", "synthesis.geometry_synthesis_tex.mlp_synthesis"),
)


def load_generator(
    state_dict: Mapping[str, Tensor],
    *,
    config: Mapping[str, Any],
    grid: Path | str | TetGrid | None = None,
) -> Generator:
    """Build a generator from a published state dict.

    Args:
        state_dict: Tensors of the release (`G` or `G_ema`).
        config: Options of the release: z_dim, w_dim, tet_res, tri_plane_resolution, dmtet_scale,
            one_3d_generator, iso_surface, channel_base, channel_max; optionally img_resolution,
            deformation_multiplier, n_implicit_layer and mlp_latent_channel.
        grid: The published tetrahedral grid that the weights were trained on (.npz, or read by
            `load_grid`); None makes our own grid of the same resolution. Not for FlexiCubes, whose
            grid is a plain lattice.

    Returns:
        The generator, on the CPU.

    Raises:
        ConfigError: If options are missing or unknown, or a grid is given for FlexiCubes.
        ModelError: If tensors are missing, unexpected or of the wrong shape.
    """
    options = _translate(
        config, _GENERATOR_KEYS, _GENERATOR_OPTIONS, {"one_3d_generator", "img_resolution"}
    )
    if "one_3d_generator" not in config:
        raise ConfigError("config lacks one_3d_generator (true: unified, false: separate)")
    is_unified = bool(config["one_3d_generator"])
    if options["iso_surface"] == "flexicubes":
        options["sdf_inside"] = "negative"  # the sign of the published FlexiCubes models
    ours = GeneratorConfig(architecture="unified" if is_unified else "separate", **options)
    rules = _UNIFIED_RULES if is_unified else _SEPARATE_RULES
    # Checked before the network is built: sizes from the file may be wrong and need any memory.
    weights = _fit(skeleton(ours), state_dict, lambda name: _generator_name(name, rules))
    if isinstance(grid, Path | str):
        grid = load_grid(grid, resolution=ours.grid_resolution, scale=ours.scale)
    with torch.random.fork_rng(devices=[]):  # these random weights are replaced below
        generator = Generator(ours, grid=grid)
    generator.load_state_dict(weights)
    return generator


def load_discriminator(
    state_dict: Mapping[str, Tensor], *, config: Mapping[str, Any]
) -> DiscriminatorPair:
    """Build both discriminators from a published state dict.

    Args:
        state_dict: Tensors of the release (`D`).
        config: Options of the release: img_resolution, channel_base, channel_max, mbstd_group_size,
            camera_cond and architecture ("skip").

    Returns:
        The discriminators, on the CPU.

    Raises:
        ConfigError: If options are missing or unknown.
        ModelError: If tensors are missing, unexpected or of the wrong shape.
    """
    options = _translate(config, _DISCRIMINATOR_KEYS, {}, {"architecture"})
    if config.get("architecture", "skip") != "skip":
        raise ConfigError(f'architecture must be "skip", got {config["architecture"]!r}')
    with torch.random.fork_rng(devices=[]):  # these random weights are replaced below
        discriminator = DiscriminatorPair(DiscriminatorConfig(**options))
    num_blocks = len(discriminator.rgb.blocks)
    ours = discriminator.state_dict()
    weights = _fit(ours, state_dict, lambda name: _discriminator_name(name, num_blocks))
    discriminator.load_state_dict(weights)
    return discriminator


def _translate(
    config: Mapping[str, Any], required: dict[str, str], optional: dict[str, str], known: set[str]
) -> dict[str, Any]:
    """Convert published options to ours; raise ConfigError if they are not complete or unknown."""
    missing = sorted(required.keys() - config.keys())
    unknown = sorted(config.keys() - required.keys() - optional.keys() - known)
    if missing or unknown:
        raise ConfigError(f"config lacks {missing or 'nothing'}, unknown are {unknown or 'none'}")
    names = required | optional
    return {ours: config[theirs] for theirs, ours in names.items() if theirs in config}


def _generator_name(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    """Convert the name of a tensor of our generator to the published one."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    name = re.sub(r"blocks\.(\d+)", lambda match: f"b{4 << int(match[1])}", name)
    name = name.replace("tri_plane_synthesis.const", "tri_plane_synthesis.b4.const")
    return re.sub(r"\.noise$", ".noise_const", name)


def _discriminator_name(name: str, num_blocks: int) -> str:
    """Convert the name of a tensor of our discriminators to the published one."""
    part, rest = name.split(".", 1)
    prefix = "mask_" if part == "mask" else ""
    rest = rest.replace("from_image", "fromrgb")
    if rest.startswith("blocks."):
        rest = re.sub(r"blocks\.(\d+)", lambda m: f"b{4 << (num_blocks - int(m[1]))}", rest)
    elif rest.startswith("camera."):
        rest = rest.removeprefix("camera.").replace("mapping.layers.", "mapping.fc")
        rest = rest if rest.startswith("mapping.") else f"mapping.{rest}"
    else:
        rest = f"b4.{rest}"
    return prefix + rest


def _fit(
    wanted: Mapping[str, Tensor], state_dict: Mapping[str, Tensor], rename: Callable[[str], str]
) -> dict[str, Tensor]:
    """Convert a published state dict to our names; raise ModelError unless it fits exactly."""
    theirs = {name: tensor for name, tensor in state_dict.items() if not _UNUSED.search(name)}
    ours = {rename(name): (name, tensor) for name, tensor in wanted.items()}
    problems = [f"missing {name}" for name in ours if name not in theirs]
    problems += [f"unexpected {name}" for name in theirs if name not in ours]
    fitting: dict[str, Tensor] = {}
    for published, (name, tensor) in ours.items():
        if published not in theirs:
            continue
        given = theirs[published]
        if given.shape[tensor.ndim :].numel() == 1 and given.ndim > tensor.ndim:
            given = given.reshape(given.shape[: tensor.ndim])  # 1x1 kernels are matrices here
        if given.shape == tensor.shape:
            fitting[name] = torch.as_tensor(given)
        else:
            problems.append(
                f"{published} has shape {list(given.shape)}, needs {list(tensor.shape)}"
            )
    if problems:
        shown = "; ".join(problems[:12]) + ("; ..." if len(problems) > 12 else "")
        raise ModelError(f"{len(problems)} tensors do not fit the configuration: {shown}")
    return fitting
