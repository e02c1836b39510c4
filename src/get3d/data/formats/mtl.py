"""MTL material libraries, with the options of their image lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from get3d.core import EncodedTexture, Material, srgb_to_linear
from get3d.data.formats.mtl_images import (
    IDENTITY,
    ImageLine,
    Transform,
    base_texture,
    metallic_roughness_texture,
    number,
)
from get3d.data.formats.side_files import find_beside, read_lines, read_texture

_IMAGES = ("map_kd", "map_d", "map_ke", "map_pr", "map_pm", "norm")
_IGNORED = ("map_ks", "map_ns", "map_bump", "bump", "disp", "map_disp", "decal", "refl", "map_refl")


@dataclass(frozen=True)
class Library:
    """The materials of all libraries of a file.

    Attributes:
        folder: Where the OBJ file lies.
        entries: Keyword to what follows it, of each material; keywords in lower case.
        images: Images read so far, by path.
    """

    folder: Path
    entries: dict[str, dict[str, str]]
    images: dict[Path, EncodedTexture | None] = field(default_factory=dict)

    @cached_property
    def _lower(self) -> dict[str, str]:
        return {name.lower(): name for name in self.entries}

    def material(
        self, name: str, *, has_uvs: bool, losses: list[str]
    ) -> tuple[Material, Transform]:
        """Make a material that faces use.

        Colours are taken as sRGB, as drawing programs do. The alpha channel of map_Kd does not
        count: many opaque models have unused ones.

        Args:
            name: As after `usemtl`.
            has_uvs: Whether the file has texture coordinates; without, images are left out.
            losses: Gets a sentence for all that is lost.

        Returns:
            The material, white if it is missing, and the transform of texture coordinates.
        """
        if name not in self.entries:
            plain = name.partition(" #")[0].strip()
            name = self._lower.get(name.lower(), self._lower.get(plain.lower(), name))
        lines = self.entries.get(name)
        if lines is None:
            text = f"material {name} is missing" if self.entries else "all materials are missing"
            losses.append(text)
            return Material(name=name), IDENTITY
        losses += [f"{keyword} is ignored" for keyword in _IGNORED if keyword in lines]
        images = {key: ImageLine.parse(lines[key]) for key in _IMAGES if lines.get(key)}
        if images and not has_uvs:
            losses.append(f"material {name} has images, but there are no texture coordinates")
            images = {}
        alpha = _alpha(lines)
        if alpha == 0:
            losses.append(f"material {name} is invisible (d 0)")
        read = {key: self._read(line, losses) for key, line in images.items()}
        emitted = read.get("map_ke")
        color = _color(lines, "kd", 1.0, has_image="map_kd" in images, losses=losses)
        material = Material(
            base_color=(*color, alpha),
            texture=base_texture(
                read.get("map_kd"), read.get("map_d"), channel=_alpha_channel(images), losses=losses
            ),
            metallic=_factor(lines.get("pm"), default=float(read.get("map_pm") is not None)),
            roughness=_factor(lines.get("pr"), default=1.0),
            metallic_roughness_texture=metallic_roughness_texture(
                read.get("map_pr"), read.get("map_pm"), losses
            ),
            normal_texture=read.get("norm"),
            normal_scale=images["norm"].strength if "norm" in images else 1.0,
            emissive=_color(lines, "ke", 0.0, has_image=emitted is not None, losses=losses),
            emissive_texture=emitted,
            name=name,
        )
        return material, _common_transform(images, losses)

    def _read(self, line: ImageLine, losses: list[str]) -> EncodedTexture | None:
        """Read the image that a line names."""
        path = find_beside(self.folder, line.name)
        if path is None and " #" in line.name:
            path = find_beside(self.folder, line.name.partition(" #")[0])
        if path is None and line.name.startswith("-"):  # an option that is not known
            path = find_beside(self.folder, line.name.split()[-1])
        if path is None:
            losses.append(f"image {line.name} is missing")
            return None
        if path not in self.images:
            self.images[path] = read_texture(path)
        texture = self.images[path]
        if texture is None:
            losses.append(f"image {line.name} cannot be read")
            return None
        losses += [f"option {option} of {line.name} is ignored" for option in line.ignored]
        return replace(texture, sampler=line.sampler, is_opaque=True)


def read_libraries(path: Path, names: Sequence[str], losses: list[str]) -> Library:
    """Read all material libraries of an OBJ file.

    Args:
        path: The OBJ file. The library of the same name beside it counts too, as in Blender.
        names: What follows each `mtllib`: one name, or several.
        losses: Gets a sentence for each library that is missing.
    """
    found: dict[Path, None] = {}
    for text in dict.fromkeys(names):
        whole = find_beside(path.parent, text)
        for name in [text] if whole else _split_names(text):
            library = find_beside(path.parent, name)
            if library is None:
                losses.append(f"material file {name} is missing")
            else:
                found[library] = None
    beside = find_beside(path.parent, path.with_suffix(".mtl").name)
    if beside is not None:
        found.setdefault(beside)
    entries: dict[str, dict[str, str]] = {}
    for library in found:
        try:
            rows = read_lines(library)
        except OSError:
            losses.append(f"material file {library.name} cannot be read")
            continue
        for name, lines in _parse(rows).items():
            entries.setdefault(name, lines)
    return Library(path.parent, entries)


def _split_names(text: str) -> list[str]:
    """Split `a.mtl my b.mtl` after each suffix."""
    names: list[str] = []
    for word in text.split():
        if names and not names[-1].strip("\"'").lower().endswith(".mtl"):
            names[-1] += f" {word}"
        else:
            names.append(word)
    return names


def _parse(text: Sequence[str]) -> dict[str, dict[str, str]]:
    """Collect the lines of each material."""
    materials: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text:
        words = line.split(maxsplit=1)
        if not words or words[0].startswith("#"):
            continue
        keyword, rest = words[0].lower(), [*words, ""][1].strip()
        if keyword == "newmtl":
            current = materials.setdefault(rest, {})
        else:
            current[keyword] = rest
    return materials


def _numbers(text: str | None) -> list[float]:
    """Read the numbers that a line begins with."""
    values: list[float] = []
    for word in (text or "").split():
        value = number(word)
        if value is None:
            break
        values.append(value)
    return values


def _color(
    lines: dict[str, str], keyword: str, default: float, *, has_image: bool, losses: list[str]
) -> tuple[float, float, float]:
    """Read a colour as linear light: three sRGB values, or one for all; Kd may run to 255."""
    values = _numbers(lines.get(keyword))
    if not values and lines.get(keyword):  # a spectrum
        losses.append(f"{keyword.capitalize()} {lines[keyword][:40]} is ignored")
    color = np.array(values[:3] if len(values) >= 3 else (values or [default])[:1] * 3)
    if keyword == "kd" and color.max() > 2:
        color = color / 255
    if color.max() > 1:
        losses.append(f"{keyword.capitalize()} is above 1")
    # Exporters that leave a colour at zero beside an image mean the image, not black.
    color = np.ones(3) if has_image and not color.any() else np.clip(color, 0.0, 1.0)
    red, green, blue = srgb_to_linear(torch.from_numpy(color)).tolist()
    return red, green, blue


def _alpha(lines: dict[str, str]) -> float:
    """Read `d`, or `Tr`, which is 1 - d."""
    words = lines.get("d", "").split()
    alpha = number(words[-1]) if words else None  # `d -halo 0.5`
    if alpha is None:
        transparency = _numbers(lines.get("tr"))
        alpha = 1.0 - transparency[0] if transparency else 1.0
    return min(max(alpha, 0.0), 1.0)


def _alpha_channel(images: dict[str, ImageLine]) -> str:
    """Say which channel of map_d is alpha: r, g, b, m (its alpha), l (its grey), or "": m or l."""
    if "map_d" not in images:
        return ""
    channel = (images["map_d"].options.get("-imfchan") or [""])[0]
    is_base = "map_kd" in images and images["map_kd"].name == images["map_d"].name
    return "m" if not channel and is_base else channel


def _factor(text: str | None, *, default: float) -> float:
    """Read a number, clipped to [0, 1]."""
    values = _numbers(text)
    return min(max(values[0], 0.0), 1.0) if values else default


def _common_transform(images: dict[str, ImageLine], losses: list[str]) -> Transform:
    """Take the transform of the first image; all images share the texture coordinates."""
    transforms = {key: line.transform for key, line in images.items()}
    first = next(iter(transforms.values()), IDENTITY)
    losses += [
        f"options -s and -o of {key} are ignored" for key in transforms if transforms[key] != first
    ]
    return first
