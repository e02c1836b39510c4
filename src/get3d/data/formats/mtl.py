"""MTL material libraries, with the options of their image lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from get3d.core.colors import srgb_to_linear
from get3d.core.types import Material
from get3d.data.formats.side_files import find_beside, read_image, read_lines

Transform = tuple[tuple[float, float], tuple[float, float]]
"""Scale and offset of texture coordinates."""
_IDENTITY: Transform = (1.0, 1.0), (0.0, 0.0)

# Number of words after each option; -o, -s and -t take one to three numbers.
_OPTIONS = {
    "-blendu": 1,
    "-blendv": 1,
    "-bm": 1,
    "-boost": 1,
    "-cc": 1,
    "-clamp": 1,
    "-colorspace": 1,
    "-imfchan": 1,
    "-mm": 2,
    "-o": 3,
    "-s": 3,
    "-t": 3,
    "-texres": 1,
    "-type": 1,
}
_IMAGES = ("map_kd", "map_d", "map_ke", "map_pr", "map_pm", "norm")
_IGNORED = ("map_ks", "map_ns", "map_bump", "bump", "disp", "map_disp", "decal", "refl", "map_refl")


@dataclass(frozen=True)
class ImageLine:
    """What a line such as `map_Kd -s 2 2 1 wood.png` says.

    Attributes:
        name: Of the image.
        options: Words after each option, by option.
    """

    name: str
    options: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "ImageLine":
        """Take the options off the front; the rest is the name, blanks included.

        Args:
            text: What follows the keyword.

        Example:
            >>> ImageLine.parse("-s 2 2 -clamp on my wood.png")
            ImageLine(name='my wood.png', options={'-s': ['2', '2'], '-clamp': ['on']})
        """
        options: dict[str, list[str]] = {}
        while (words := text.split(maxsplit=1)) and words[0].lower() in _OPTIONS:
            option, text = words[0].lower(), [*words, ""][1]
            found: list[str] = []
            while len(found) < _OPTIONS[option]:
                words = text.split(maxsplit=1)
                is_number = bool(words) and _number(words[0]) is not None
                if len(words) < 2 or (_OPTIONS[option] == 3 and not is_number):
                    break
                found.append(words[0])
                text = words[1]
            options[option] = found
        return cls(text.strip(), options)

    @property
    def transform(self) -> Transform:
        """Scale and offset of texture coordinates (-s and -o)."""
        return self._pair("-s", 1.0), self._pair("-o", 0.0)

    @property
    def is_clamped(self) -> bool:
        """Whether the image ends at its border instead of repeating."""
        return self.options.get("-clamp") == ["on"]

    @property
    def strength(self) -> float:
        """Factor on the slopes of a normal or bump image (-bm)."""
        return self._pair("-bm", 1.0)[0]

    @property
    def ignored(self) -> list[str]:
        """Options that change the look and are not applied."""
        ignored = []
        for option, default in (("-mm", (0.0, 1.0)), ("-t", (0.0, 0.0, 0.0))):
            values = tuple(_number(word) for word in self.options.get(option, ()))
            if values != default[: len(values)]:
                ignored.append(option)
        return ignored

    def _pair(self, option: str, default: float) -> tuple[float, float]:
        """Read the first two numbers of an option."""
        values = [_number(word) for word in self.options.get(option, ())]
        first, second = [*values, None, None][:2]
        return default if first is None else first, default if second is None else second


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
    images: dict[Path, UInt8[Tensor, "_h _w 4"] | None] = field(default_factory=dict)

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
        name = name if name in self.entries else self._lower.get(name.lower(), name)
        lines = self.entries.get(name)
        if lines is None:
            losses.append(f"material {name} is missing")
            return Material(name=name), _IDENTITY
        losses += [f"{keyword} is ignored" for keyword in _IGNORED if keyword in lines]
        images = {key: ImageLine.parse(lines[key]) for key in _IMAGES if lines.get(key)}
        if images and not has_uvs:
            losses.append(f"material {name} has images, but there are no texture coordinates")
            images = {}
        alpha = _alpha(lines)
        if alpha == 0:
            losses.append(f"material {name} is invisible (d 0)")
        read = {key: self._read(line, losses) for key, line in images.items()}
        base, emitted = read.get("map_kd"), read.get("map_ke")
        roughness, metallic, normal = (read.get(key) for key in ("map_pr", "map_pm", "norm"))
        texture = _base_texture(base, self._alpha_image(images, read))
        material = Material(
            base_color=(
                *_color(lines, "kd", 1.0, has_image=base is not None, losses=losses),
                alpha,
            ),
            texture=None if texture is None else texture.float() / 255.0,
            metallic=_factor(lines.get("pm"), default=float(metallic is not None)),
            roughness=_factor(lines.get("pr"), default=1.0),
            metallic_roughness_texture=_joined_channels(roughness, metallic),
            normal_texture=None if normal is None else normal[..., :3],
            normal_scale=images["norm"].strength if "norm" in images else 1.0,
            emissive=_color(lines, "ke", 0.0, has_image=emitted is not None, losses=losses),
            emissive_texture=None if emitted is None else emitted[..., :3],
            name=name,
        )
        return material, _common_transform(images, losses)

    def _read(self, line: ImageLine, losses: list[str]) -> UInt8[Tensor, "height width 4"] | None:
        """Read the image that a line names."""
        path = find_beside(self.folder, line.name)
        if path is None and line.name.startswith("-"):  # an option that is not known
            path = find_beside(self.folder, line.name.split()[-1])
        if path is None:
            losses.append(f"image {line.name} is missing")
            return None
        if path not in self.images:
            self.images[path] = read_image(path)
        if self.images[path] is None:
            losses.append(f"image {line.name} cannot be read")
        losses += [f"option {option} of {line.name} is ignored" for option in line.ignored]
        return self.images[path]

    def _alpha_image(
        self,
        images: dict[str, ImageLine],
        read: dict[str, UInt8[Tensor, "_h _w 4"] | None],
    ) -> UInt8[Tensor, "_h2 _w2"] | None:
        """Take alpha from the image of map_d: its alpha channel if it has one, else its grey."""
        image = read.get("map_d")
        if image is None:
            return None
        channel = (images["map_d"].options.get("-imfchan") or [""])[0]
        if channel in ("r", "g", "b"):
            return image[..., "rgb".index(channel)]
        is_base = "map_kd" in images and images["map_kd"].name == images["map_d"].name
        if channel == "m" or (channel != "l" and (is_base or bool((image[..., 3] < 255).any()))):
            return image[..., 3]
        grey = Image.fromarray(image[..., :3].numpy()).convert("L")
        return torch.from_numpy(np.array(grey))


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
        for name, lines in _parse(read_lines(library)).items():
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


def _number(word: str) -> float | None:
    """Read a finite number."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _numbers(text: str | None) -> list[float]:
    """Read the numbers that a line begins with."""
    values: list[float] = []
    for word in (text or "").split():
        value = _number(word)
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
    alpha = _number(words[-1]) if words else None  # `d -halo 0.5`
    if alpha is None:
        transparency = _numbers(lines.get("tr"))
        alpha = 1.0 - transparency[0] if transparency else 1.0
    return min(max(alpha, 0.0), 1.0)


def _factor(text: str | None, *, default: float) -> float:
    """Read a number, clipped to [0, 1]."""
    values = _numbers(text)
    return min(max(values[0], 0.0), 1.0) if values else default


def _common_transform(images: dict[str, ImageLine], losses: list[str]) -> Transform:
    """Take the transform of the first image; all images share the texture coordinates."""
    transforms = {key: line.transform for key, line in images.items()}
    first = next(iter(transforms.values()), _IDENTITY)
    losses += [
        f"options -s and -o of {key} are ignored" for key in transforms if transforms[key] != first
    ]
    return first


def _base_texture(
    color: UInt8[Tensor, "height width 4"] | None, alpha: UInt8[Tensor, "_h _w"] | None
) -> UInt8[Tensor, "_h2 _w2 4"] | None:
    """Join the images of colour and alpha, at the larger size of the two."""
    images = [image for image in (color, alpha) if image is not None]
    if not images:
        return None
    size = max(image.shape[1] for image in images), max(image.shape[0] for image in images)
    result = torch.full((size[1], size[0], 4), 255, dtype=torch.uint8)
    if color is not None:
        result[..., :3] = _resized(color[..., :3], size)
    if alpha is not None:
        result[..., 3] = _resized(alpha, size)
    return result


def _joined_channels(
    roughness: UInt8[Tensor, "_h _w 4"] | None, metallic: UInt8[Tensor, "_h2 _w2 4"] | None
) -> UInt8[Tensor, "height width 3"] | None:
    """Join grey images of roughness and metallic in the channels that glTF has them in."""
    images = [image for image in (roughness, metallic) if image is not None]
    if not images:
        return None
    height, width = images[0].shape[:2]
    result = torch.full((height, width, 3), 255, dtype=torch.uint8)
    for channel, image in ((1, roughness), (2, metallic)):
        if image is not None:
            result[..., channel] = _resized(image[..., 0], (width, height))
    return result


def _resized(image: UInt8[Tensor, "..."], size: tuple[int, int]) -> UInt8[Tensor, "..."]:
    """Scale an image to (width, height)."""
    if image.shape[:2] == (size[1], size[0]):
        return image
    return torch.from_numpy(np.array(Image.fromarray(image.numpy()).resize(size)))
