"""The data that flows from step to step (docs/design.md): small frozen dataclasses.

Conventions (docs/conventions.md): right-handed, y up, the camera looks along -z, image row 0 is the
top, SDF positive inside, colours in [-1, 1] inside networks and [0, 1] elsewhere.
"""

import importlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import PIL.Image
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from get3d.core.textures import EncodedTexture


class _ShortRepr:
    """Format of a dataclass in which tensors are shown by type and shape, and defaults left out."""

    def __repr__(self) -> str:
        """Format as `Mesh(verts=float32 [4, 3], faces=int64 [4, 3])`."""
        shown = []
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                text = f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
            elif value is item.default or value == item.default or value == {}:
                continue
            elif isinstance(value, Mapping):
                text = f"{{{', '.join(map(str, value))}}}"
            else:
                text = repr(value)
            shown.append(f"{item.name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Mesh(_ShortRepr):
    """A triangle mesh; faces wind counter-clockwise seen from outside.

    Attributes:
        verts: Object-space positions, in scene units.
        faces: Vertex indices, int64.
    """

    verts: Float[Tensor, "verts 3"]
    faces: Int[Tensor, "faces 3"]

    def to(self, device: torch.device | str) -> "Mesh":
        """Copy both tensors to a device."""
        return Mesh(self.verts.to(device), self.faces.to(device))

    def detach(self) -> "Mesh":
        """Cut the vertices from the autograd graph."""
        return Mesh(self.verts.detach(), self.faces)


@dataclass(frozen=True)
class Appearance:
    """What a surface looks like: named channels as functions of space.

    Channels are named as in glTF's metallic-roughness material (`base_color`, `alpha`, `metallic`,
    `roughness`, `emissive`, `normal`); `color` is what a camera sees, light included or not.

    Attributes:
        channels: Number of values of each channel by name, in the order of the last axis.
        evaluate: All channels at object-space positions, [n, 3] -> [n, c], nominally in [0, 1];
            colours are sRGB.
        spacing: Distance of the samples that the values are interpolated from, in scene units;
            None: unknown.
    """

    channels: Mapping[str, int]
    evaluate: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n c"]]
    spacing: float | None = None

    @classmethod
    def of_color(
        cls, color_fn: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n 3"]]
    ) -> "Appearance":
        """Make the appearance of a surface that has nothing but a colour.

        Args:
            color_fn: sRGB colours in [0, 1] at object-space positions.
        """
        return cls({"color": 3}, color_fn)

    @property
    def num_values(self) -> int:
        """Number of values of all channels together."""
        return sum(self.channels.values())

    def split(self, values: Float[Tensor, "*n c"]) -> dict[str, Tensor]:
        """Take the last axis apart into channels, by name; see `split_channels`."""
        return split_channels(values, self.channels)


def split_channels(
    values: Float[Tensor, "*n c"], channels: Mapping[str, int]
) -> dict[str, Float[Tensor, "*n _"]]:
    """Take the last axis of values apart into named channels.

    Args:
        values: All channels behind one another.
        channels: Number of values of each, by name.

    Raises:
        ValueError: If the numbers do not add up to the length of the axis.

    Example:
        >>> parts = split_channels(torch.zeros(5, 4), {"base_color": 3, "roughness": 1})
        >>> {name: list(part.shape) for name, part in parts.items()}
        {'base_color': [5, 3], 'roughness': [5, 1]}
    """
    if values.shape[-1] != sum(channels.values()):
        raise ValueError(
            f"channels {dict(channels)} need {sum(channels.values())} values, "
            f"got {values.shape[-1]}"
        )
    return dict(zip(channels, values.split(list(channels.values()), dim=-1), strict=True))


_TEXTURES = ("texture", "metallic_roughness_texture", "normal_texture", "emissive_texture")


@dataclass(frozen=True, kw_only=True, repr=False)
class Material(_ShortRepr):
    """The look of a face: glTF's metallic-roughness material (glTF 2.0, section 3.9).

    Every texture is multiplied by its factor; row 0 is the top (v = 1). Textures are tensors, which
    are looked up bilinearly and repeat, or encoded images with a sampler of their own.

    Attributes:
        base_color: RGBA factor, linear light, in [0, 1].
        texture: Base colour: sRGB image with alpha, in [0, 1]; None: a flat colour.
        metallic: Factor in [0, 1].
        roughness: Factor in [0, 1].
        metallic_roughness_texture: Bytes, linear: roughness in the second channel, metallic in the
            third, as in glTF; or None.
        normal_texture: Bytes: tangent-space normals, 0 to 255 for -1 to 1, green up; or None.
        normal_scale: Factor on the x and y of those.
        emissive: RGB factor of emitted light, linear, in [0, 1].
        emissive_texture: Bytes: sRGB image of emitted light, or None.
        alpha_mode: What alpha means; None: BLEND where it is below 1 somewhere, else OPAQUE.
        alpha_cutoff: In mode MASK, surfaces with less alpha are not there.
        double_sided: Whether the back of faces is seen; None: where the mesh is not closed.
        name: Shown by other programs.
    """

    base_color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    texture: Float[Tensor, "_h _w 4"] | EncodedTexture | None = None
    metallic: float = 0.0
    roughness: float = 1.0
    metallic_roughness_texture: UInt8[Tensor, "_h _w 3"] | EncodedTexture | None = None
    normal_texture: UInt8[Tensor, "_h _w 3"] | EncodedTexture | None = None
    normal_scale: float = 1.0
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)
    emissive_texture: UInt8[Tensor, "_h _w 3"] | EncodedTexture | None = None
    alpha_mode: Literal["OPAQUE", "MASK", "BLEND"] | None = None
    alpha_cutoff: float = 0.5
    double_sided: bool | None = None
    name: str = "material"

    def decoded(self) -> "Material":
        """Return the material with tensors in place of encoded textures.

        Raises:
            MeshError: If an image is damaged.
        """
        found: dict[str, Tensor] = {}
        for name in _TEXTURES:
            texture = getattr(self, name)
            if isinstance(texture, EncodedTexture):
                texels = texture.decode()
                found[name] = texels.float() / 255 if name == "texture" else texels[..., :3].clone()
        return replace(self, **found)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True, repr=False)
class TexturedMesh(_ShortRepr):
    """A mesh with materials: what files are read into and what generation returns.

    Texture coordinates have indices of their own, so the surface stays closed although the atlas
    has seams; writers of formats that want one index split the vertices themselves.

    Attributes:
        mesh: Positions and faces.
        uvs: Texture coordinates, origin at the bottom left as in OBJ; may be empty.
        uv_faces: Indices into `uvs`, one triangle a face; all zero where `uvs` is empty.
        materials: At least one.
        face_material: Index into `materials`, one a face.
        vert_colors: RGBA factors in linear light, in [0, 1], or None.
        normals: Unit normals, one a vertex unless `normal_faces` says otherwise; None: computed
            where needed.
        normal_faces: Indices into `normals`, one triangle a face, where they differ from those of
            the positions; None: they are the same.
        notes: How the mesh was made, a sentence each; writers pass them on.
        losses: What of a file was lost when it was read, a sentence each.
        other_uvs: Texture coordinates of textures that have others than the base colour, by the
            name of the field of `Material`; same indices as `uvs`.
    """

    mesh: Mesh
    uvs: Float[Tensor, "uvs 2"]
    uv_faces: Int[Tensor, "faces 3"]
    materials: tuple[Material, ...]
    face_material: Int[Tensor, " faces"]
    vert_colors: Float[Tensor, "verts 4"] | None = None
    normals: Float[Tensor, "normals 3"] | None = None
    normal_faces: Int[Tensor, "faces 3"] | None = None
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    other_uvs: Mapping[str, Float[Tensor, "uvs 2"]] = field(default_factory=dict)

    def export(self, path: Path | str, *, jpeg_quality: int | None = None) -> None:
        """Write the mesh to a file; the same as `get3d.save`.

        Args:
            path: Its suffix picks the format: .glb, .obj, .ply or .usdz.
            jpeg_quality: As for `get3d.save`.

        Raises:
            MeshError: If the mesh cannot be written.
            ConfigError: If the suffix is unknown, or the quality is out of range.
        """
        import get3d  # the packages above this one are imported on use

        get3d.save(self, path, jpeg_quality=jpeg_quality)

    def to_trimesh(self) -> Any:
        """Convert to a `trimesh.Trimesh` with texture or vertex colours.

        Vertices are split at the seams of the texture, as in a GLB file, so a closed surface has
        borders there until `merge_vertices(merge_tex=True, merge_norm=True)`.

        Raises:
            MeshError: If the mesh has no faces, or positions that are not finite.
        """
        import trimesh

        import get3d

        if len(self.uvs) == 0:  # trimesh hides the colours of a GLB file's vertices
            get3d.export.split.check_exportable(self)
            return trimesh.Trimesh(
                self.mesh.verts.detach().cpu().numpy(),
                self.mesh.faces.cpu().numpy(),
                vertex_colors=get3d.export.ply.vertex_colors_u8(self),
                process=False,
            )
        glb = io.BytesIO(get3d.export.encode_glb(self))
        parts = list(trimesh.load_scene(glb, file_type="glb", process=False).geometry.values())
        return parts[0] if len(parts) == 1 else trimesh.util.concatenate(parts)

    def show(self, image_size: int = 384) -> PIL.Image.Image:
        """Render an image of front and back on white, which notebooks show.

        Args:
            image_size: Width and height of each view, in pixels.

        Raises:
            MeshError: If the mesh has no faces.
        """
        latent = importlib.import_module("get3d.apps.latent")  # a package above this one
        rgba_u8 = latent.portrait(latent.MeshSubject(self), image_size)
        front = PIL.Image.fromarray(rgba_u8)
        white = PIL.Image.new("RGBA", front.size, "white")
        return PIL.Image.alpha_composite(white, front).convert("RGB")


@dataclass(frozen=True, repr=False)
class Cameras(_ShortRepr):
    """Pinhole cameras: where they stand and what their lens does.

    Attributes:
        world_to_camera: Rigid transforms; the camera looks along its own -z, y up.
        intrinsics: (focal x / width, focal y / height, centre x / width, centre y / height), free
            of the image size; centre (0.5, 0.5) is the middle, the second runs from the top.
        near: Distance of the near plane, in scene units.
        far: Distance of the far plane, in scene units.
    """

    world_to_camera: Float[Tensor, "views 4 4"]
    intrinsics: Float[Tensor, "views 4"]
    near: float = 0.1
    far: float = 1000.0

    def __len__(self) -> int:
        """Count the views."""
        return self.world_to_camera.shape[0]

    def __getitem__(self, index: slice | Int[Tensor, " picked"]) -> "Cameras":
        """Pick views; an index tensor or a slice, so the result is still a batch."""
        return replace(
            self,
            world_to_camera=self.world_to_camera[index],
            intrinsics=self.intrinsics[index],
        )

    def to(self, device: torch.device | str) -> "Cameras":
        """Copy to a device."""
        return replace(
            self,
            world_to_camera=self.world_to_camera.to(device),
            intrinsics=self.intrinsics.to(device),
        )


@dataclass(frozen=True, repr=False)
class Styles(_ShortRepr):
    """Style vectors, one a modulated layer, in the network's order (paper, section 3.1).

    Attributes:
        geo: For the geometry layers.
        tex: For the texture layers.
    """

    geo: Float[Tensor, "b geo_layers w"]
    tex: Float[Tensor, "b tex_layers w"]


@dataclass(frozen=True, kw_only=True, repr=False)
class GBuffer(_ShortRepr):
    """What each pixel sees. `n` counts images: all views of all meshes.

    Attributes:
        face_id: Index of the nearest face of the image's own mesh, -1 for background.
        mask: Antialiased coverage in [0, 1]; its gradient moves the silhouette.
        position: Object-space surface point at the pixel centre; zero on background.
        depth: Distance along the viewing axis, in scene units; zero on background.
        barycentric: Perspective-correct weights of the face's three corners; zero on background.
    """

    face_id: Int[Tensor, "n h w"]
    mask: Float[Tensor, "n h w"]
    position: Float[Tensor, "n h w 3"]
    depth: Float[Tensor, "n h w"]
    barycentric: Float[Tensor, "n h w 3"]


@dataclass(frozen=True, repr=False)
class Images(_ShortRepr):
    """Images as the discriminators see them.

    Attributes:
        rgb: Colour in [-1, 1]; the background is -1 (black).
        mask: Coverage in [0, 1].
    """

    rgb: Float[Tensor, "n 3 h w"]
    mask: Float[Tensor, "n 1 h w"]


@dataclass(frozen=True, repr=False)
class Condition(_ShortRepr):
    """What an image is conditioned on, real and generated alike.

    Attributes:
        angles: Rotation and polar angle of the camera, in radians.
        label: Class index; None without classes.
    """

    angles: Float[Tensor, "n 2"]
    label: Int[Tensor, " n"] | None = None

    def detach(self) -> "Condition":
        """Cut the angles from the autograd graph."""
        return replace(self, angles=self.angles.detach())


@dataclass(frozen=True, repr=False)
class ImageBatch(_ShortRepr):
    """Images and their conditions.

    Attributes:
        images: Real or generated.
        condition: Of each image.
    """

    images: Images
    condition: Condition

    def detach(self) -> "ImageBatch":
        """Cut images and angles from the autograd graph."""
        images = Images(self.images.rgb.detach(), self.images.mask.detach())
        return ImageBatch(images, self.condition.detach())


@dataclass(frozen=True, repr=False)
class DiscriminatorOutput(_ShortRepr):
    """Logits of the discriminators: positive for images that look real.

    Attributes:
        rgb: Of the colour discriminator.
        mask: Of the mask discriminator.
        features: Of the heads on frozen features, one a patch; None without such heads.
    """

    rgb: Float[Tensor, " n"]
    mask: Float[Tensor, " n"]
    features: Float[Tensor, "n patches"] | None = None
