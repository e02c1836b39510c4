"""Where shapes come from: a model, or mesh files of any program."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.model import Model
from get3d.core.types import Cameras, Mesh, TexturedMesh
from get3d.data import load_mesh, normalize_mesh
from get3d.data.render_object import turn_upright
from get3d.geometry import vertex_normals
from get3d.metrics.features import fingerprint
from get3d.metrics.images import composite
from get3d.models import ImagingConfig
from get3d.render import Light, render_textured

Pictures = UInt8[Tensor, "views 3 h w"]
LightName = Literal["studio", "none"]
_LIGHTS: dict[LightName, Light | None] = {"studio": Light(), "none": None}


@dataclass(frozen=True)
class LoadedShape:
    """One shape, with the ways to take its pictures.

    Attributes:
        mesh: Its surface, where pictures show it.
        mesh_pictures: Renders of its textured mesh on black.
        field_pictures: Renders of the network's colour field on black; None for files.
    """

    mesh: Mesh
    mesh_pictures: Callable[[Cameras], Pictures]
    field_pictures: Callable[[Cameras], Pictures] | None = None


class ShapeSource(ABC):
    """A numbered collection of shapes."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the shapes."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes if any shape does."""

    @property
    @abstractmethod
    def light(self) -> LightName:
        """How the shapes are lit for pictures."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What to call a shape in reports."""

    @abstractmethod
    def load(self, index: int) -> LoadedShape:
        """Get a shape.

        Raises:
            ValueError: If it is broken.
        """


class MeshFiles(ShapeSource):
    """Meshes from files, placed as `get3d render` places them for training: upright and centred."""

    def __init__(
        self,
        files: Sequence[Path],
        config: EvaluationConfig,
        *,
        light: LightName,
        up_axis: Literal["y", "z"],
    ) -> None:
        """Remember the files; they are read when their turn comes."""
        self.files = list(files)
        self._config, self._up_axis = config, up_axis
        self._light = light
        self._root = Path(os.path.commonpath([file.parent for file in self.files]))

    def __len__(self) -> int:
        """Count the files."""
        return len(self.files)

    @property
    def fingerprint(self) -> str:
        """Of names, sizes and times of change."""
        stats = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in self.files]
        return hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:16]

    @property
    def light(self) -> LightName:
        """As given."""
        return self._light

    def name(self, index: int) -> str:
        """Where the file lies below the folder of all, without its suffix."""
        return self.files[index].relative_to(self._root).with_suffix("").as_posix()

    def load(self, index: int) -> LoadedShape:
        """Read a file."""
        config = self._config
        shape = turn_upright(load_mesh(self.files[index]), self._up_axis)
        shape = normalize_mesh(shape, longest_side=config.longest_side)

        def pictures(cameras: Cameras) -> Pictures:
            return mesh_pictures(shape, cameras, config, light=_LIGHTS[self._light])

        return LoadedShape(shape.mesh, pictures)


class ModelShapes(ShapeSource):
    """Shapes that a model generates; shape i depends on the seed and on i alone."""

    def __init__(self, model: Model, num: int, config: EvaluationConfig) -> None:
        """Remember the model."""
        self.model, self._num, self._config = model, num, config

    def __len__(self) -> int:
        """Count the shapes."""
        return self._num

    @property
    def fingerprint(self) -> str:
        """Of weights, options, grid and what the colours mean.

        Not of their number: a longer run begins with the shapes of a shorter one.
        """
        generator = self.model.generator
        digest = hashlib.sha256(fingerprint(generator).encode())
        digest.update(repr(generator.config).encode())
        digest.update(generator.grid.verts.detach().cpu().numpy().tobytes())
        if self.model.info.is_unlit:
            digest.update(b"unlit")
        return digest.hexdigest()[:16]

    @property
    def light(self) -> LightName:
        """That of the references for base colours; none for colours that hold light already."""
        return self._config.light if self.model.info.is_unlit else "none"

    def name(self, index: int) -> str:
        """Its number."""
        return f"shape {index}"

    def load(self, index: int) -> LoadedShape:
        """Generate a shape."""
        config, generator, light = self._config, self.model.generator, _LIGHTS[self.light]
        with torch.no_grad():
            styles = self.model.styles(
                index,
                seed=config.seed,
                truncation=config.truncation,
                style_mixing=config.style_mixing,
            )
            fields = generator.fields(styles)
            mesh = self.model.surface(fields)

        @torch.no_grad()
        def on_field(cameras: Cameras) -> Pictures:
            images = generator.render(
                fields,
                [mesh],
                cameras.to(self.model.device),
                config.image_size,
                config=ImagingConfig(composite="antialiased", mask_supersample=config.supersample),
                light=light,
            )
            return ((images.rgb + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

        @torch.no_grad()
        def on_mesh(cameras: Cameras) -> Pictures:
            textured = self.model.texture(fields, mesh, texture_size=config.texture_size)
            # Lit with the normals that its file would have, and that it had in training.
            textured = replace(textured, normals=vertex_normals(textured.mesh))
            return mesh_pictures(textured, cameras.to(self.model.device), config, light=light)

        return LoadedShape(mesh, on_mesh, on_field)


def mesh_pictures(
    textured_mesh: TexturedMesh, cameras: Cameras, config: EvaluationConfig, *, light: Light | None
) -> Pictures:
    """Render a textured mesh on black."""
    mesh = textured_mesh.mesh
    textured_mesh = replace(textured_mesh, mesh=Mesh(mesh.verts.float(), mesh.faces))
    rgba = render_textured(
        textured_mesh, cameras, config.image_size, light=light, supersample=config.supersample
    )
    rgba_u8 = (rgba * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 3, 1, 2)
    return composite(rgba_u8, may_fill=True)
