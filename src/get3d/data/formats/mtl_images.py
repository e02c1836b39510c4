"""Image lines of MTL libraries, and images joined as `Material` has them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from get3d.core import EncodedTexture, MeshError, Sampler
from get3d.data.formats.side_files import encoded_texture

Transform = tuple[tuple[float, float], tuple[float, float]]
"""Scale and offset of texture coordinates."""
IDENTITY: Transform = (1.0, 1.0), (0.0, 0.0)

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
                is_number = bool(words) and number(words[0]) is not None
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
    def sampler(self) -> Sampler:
        """How the image is looked up: it repeats, or its border goes on (-clamp on)."""
        is_clamped = self.options.get("-clamp") == ["on"]
        return Sampler("clamp", "clamp") if is_clamped else Sampler()

    @property
    def strength(self) -> float:
        """Factor on the slopes of a normal or bump image (-bm)."""
        return self._pair("-bm", 1.0)[0]

    @property
    def ignored(self) -> list[str]:
        """Options that change the look and are not applied."""
        ignored = []
        for option, default in (("-mm", (0.0, 1.0)), ("-t", (0.0, 0.0, 0.0))):
            values = tuple(number(word) for word in self.options.get(option, ()))
            if values != default[: len(values)]:
                ignored.append(option)
        return ignored

    def _pair(self, option: str, default: float) -> tuple[float, float]:
        """Read the first two numbers of an option."""
        values = [number(word) for word in self.options.get(option, ())]
        first, second = [*values, None, None][:2]
        return default if first is None else first, default if second is None else second


def number(word: str) -> float | None:
    """Read a finite number; None if it is none."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def base_texture(
    color: EncodedTexture | None, alpha: EncodedTexture | None, *, channel: str, losses: list[str]
) -> EncodedTexture | None:
    """Join the images of colour and alpha, at the larger size of the two.

    Args:
        color: Of map_Kd.
        alpha: Of map_d.
        channel: Channel of alpha: r, g, b, m (alpha), l (grey), or "": m if it has any, else l.
        losses: Gets a sentence for each image that is damaged.
    """
    mask = None if alpha is None else _texels(alpha, losses)
    if alpha is None or mask is None:
        return color
    base = None if color is None else _texels(color, losses)
    if channel in ("r", "g", "b"):
        values = mask[..., "rgb".index(channel)]
    elif channel == "m" or (channel != "l" and bool((mask[..., 3] < 255).any())):
        values = mask[..., 3]
    else:
        values = torch.from_numpy(np.array(Image.fromarray(mask[..., :3].numpy()).convert("L")))
    images = [mask] if base is None else [mask, base]
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    result = torch.full((height, width, 4), 255, dtype=torch.uint8)
    if base is not None:
        result[..., :3] = _resized(base[..., :3], width, height)
    result[..., 3] = _resized(values, width, height)
    kept = alpha if color is None else color
    return encoded_texture(result, kept.name, kept.sampler)


def metallic_roughness_texture(
    roughness: EncodedTexture | None, metallic: EncodedTexture | None, losses: list[str]
) -> EncodedTexture | None:
    """Join grey images of roughness and metallic in the channels that glTF has them in."""
    textures = {1: roughness, 2: metallic}
    images = {channel: texture for channel, texture in textures.items() if texture is not None}
    texels = {channel: _texels(texture, losses) for channel, texture in images.items()}
    usable = {channel: image for channel, image in texels.items() if image is not None}
    if not usable:
        return None
    first = next(iter(usable))
    height, width = usable[first].shape[:2]
    result = torch.full((height, width, 3), 255, dtype=torch.uint8)
    for channel, image in usable.items():
        result[..., channel] = _resized(image[..., 0], width, height)
    return encoded_texture(result, images[first].name, images[first].sampler)


def _texels(texture: EncodedTexture, losses: list[str]) -> UInt8[Tensor, "h w 4"] | None:
    """Decode an image; None, with a note, if it is damaged."""
    try:
        return EncodedTexture(texture.encoded, texture.name).decode()
    except MeshError:
        losses.append(f"image {texture.name} cannot be read")
        return None


def _resized(image: UInt8[Tensor, "..."], width: int, height: int) -> UInt8[Tensor, "..."]:
    """Scale an image."""
    if image.shape[:2] == (height, width):
        return image
    return torch.from_numpy(np.array(Image.fromarray(image.numpy()).resize((width, height))))
