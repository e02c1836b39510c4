"""Images of textured meshes, for data sets and contact sheets. Light is added up linearly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.core.errors import ConfigError
from get3d.core.types import Appearance, Cameras, Mesh, TexturedMesh
from get3d.geometry.cameras import camera_origins
from get3d.render.gbuffer import Pixels, SurfacePoints, covered_pixels, surface_points
from get3d.render.lighting import LearnedLight, Light
from get3d.render.materials import material_channels
from get3d.render.rasterizer import Backend, rasterize_views
from get3d.render.views import parse_image_size, project_meshes

SAMPLES_AT_ONCE = 1 << 22
_SRGB_CHANNELS = frozenset({"color", "base_color", "emissive"})

ColorFn = Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n 3"]]
Channels = Mapping[str, Float[Tensor, "p _"]]
# Channels at samples, from the face, the weights of its corners and the position of each.
_ChannelFn = Callable[
    [Int[Tensor, " p"], Float[Tensor, "p 3"], Float[Tensor, "p 3"]], dict[str, Tensor]
]


Shading = Callable[
    [
        Float[Tensor, "p 3"],
        Float[Tensor, "p 3"],
        Float[Tensor, "p 3"],
        Channels,
        Light | LearnedLight | None,
    ],
    Float[Tensor, "p 3"],
]
"""How a surface and light become what a camera sees: from (position, normal, to_camera, channels,
light) to linear RGB, as `diffuse`."""


def diffuse(
    position: Float[Tensor, "p 3"],
    normal: Float[Tensor, "p 3"],
    to_camera: Float[Tensor, "p 3"],
    channels: Channels,
    light: Light | LearnedLight | None,
) -> Float[Tensor, "p 3"]:
    """Shade with Lambert's law: base colour times brightness, plus emitted light.

    Args:
        position: Points of the surface in object space, in scene units.
        normal: Unit surface normals.
        to_camera: Unit vectors from the points to the camera.
        channels: Of the material at the points, by name; colours in linear light.
        light: None shows the base colours as they are.

    Returns:
        Linear RGB.
    """
    del position  # the lights are far away
    color = channels["base_color"]
    if light is None:
        return color
    color = (color * light.brightness(normal, to_camera)[:, None]).clamp(max=1.0)
    return (color + channels["emissive"]).clamp(max=1.0) if "emissive" in channels else color


def render_textured(
    textured_mesh: TexturedMesh,
    cameras: Cameras,
    image_size: int | tuple[int, int],
    *,
    light: Light | None = None,
    shading: Shading = diffuse,
    supersample: int = 4,
    backend: Backend | None = None,
) -> Float[Tensor, "views h w 4"]:
    """Render a textured mesh.

    Both sides of faces are seen. What lies behind a transparent face is not drawn: its alpha goes
    into the image. Normal textures are not applied.

    Args:
        textured_mesh: The mesh with its materials.
        cameras: One an image.
        image_size: In pixels, square or (height, width).
        light: None shows the base colours unchanged.
        shading: Gets the channels base_color, and metallic, roughness and emissive where a material
            sets them.
        supersample: Samples each way in a pixel; they are averaged in linear light.
        backend: See `rasterize`.

    Returns:
        sRGB colours with straight alpha, in [0, 1]; black where nothing is seen.

    Raises:
        ValueError: If `supersample` is not positive, or a size or the backend does not fit.
    """

    def channels(
        face: Int[Tensor, " p"], weights: Float[Tensor, "p 3"], _positions: Float[Tensor, "p 3"]
    ) -> dict[str, Tensor]:
        if shading is diffuse:  # reads no others, and textures are large
            return material_channels(textured_mesh, face, weights, extra=("emissive",))
        return material_channels(textured_mesh, face, weights)

    mesh, normals = textured_mesh.mesh, textured_mesh.normals
    normal_faces = mesh.faces if textured_mesh.normal_faces is None else textured_mesh.normal_faces
    scene = _Scene(mesh, normals, normal_faces, channels, shading, light)
    return _render(scene, cameras, image_size, supersample, backend)


def render_colored(
    mesh: Mesh,
    appearance: Appearance | ColorFn,
    cameras: Cameras,
    image_size: int | tuple[int, int],
    *,
    light: Light | None = None,
    shading: Shading = diffuse,
    supersample: int = 4,
    backend: Backend | None = None,
) -> Float[Tensor, "views h w 4"]:
    """Render a mesh whose appearance is a function of space, without a texture in between.

    Args:
        mesh: The surface.
        appearance: Channels at object-space positions, or a function of them that gives sRGB
            colours in [0, 1]. The channel `color` serves as base colour if there is none.
        cameras: One an image.
        image_size: In pixels, square or (height, width).
        light: None shows the base colours unchanged.
        shading: Gets all channels; colours in linear light.
        supersample: Samples each way in a pixel; the appearance is evaluated at each.
        backend: See `rasterize`.

    Returns:
        sRGB colours with straight alpha, in [0, 1]; black where nothing is seen.

    Raises:
        ValueError: If `supersample` is not positive, or a size or the backend does not fit.
    """
    if not isinstance(appearance, Appearance):
        appearance = Appearance.of_color(appearance)
    channels = partial(_field_channels, appearance)
    scene = _Scene(mesh, None, mesh.faces, channels, shading, light)
    return _render(scene, cameras, image_size, supersample, backend)


@dataclass(frozen=True)
class _Scene:
    """A surface, what covers it, and the light on it.

    Attributes:
        mesh: The surface.
        normals: Unit vectors; None: faces are flat.
        normal_faces: Indices into them, three a face.
        channels: Of the material, at samples.
        shading: From channels to colour.
        light: None: none.
    """

    mesh: Mesh
    normals: Float[Tensor, "normals 3"] | None
    normal_faces: Int[Tensor, "faces 3"]
    channels: _ChannelFn
    shading: Shading
    light: Light | None


def _field_channels(
    appearance: Appearance,
    face: Int[Tensor, " p"],
    weights: Float[Tensor, "p 3"],
    positions: Float[Tensor, "p 3"],
) -> dict[str, Tensor]:
    """Evaluate an appearance at samples, colours in linear light."""
    del face, weights
    channels = appearance.split(appearance.evaluate(positions))
    for name in channels.keys() & _SRGB_CHANNELS:
        channels[name] = srgb_to_linear(channels[name])
    if "color" in channels:
        channels.setdefault("base_color", channels["color"])
    return channels


def _render(
    scene: _Scene,
    cameras: Cameras,
    image_size: int | tuple[int, int],
    supersample: int,
    backend: Backend | None,
) -> Float[Tensor, "views h w 4"]:
    """Draw fine images, as many at once as memory allows, and average them down."""
    if supersample < 1:
        raise ConfigError(f"supersample must be at least 1, got {supersample}")
    height, width = parse_image_size(image_size)
    fine_size = height * supersample, width * supersample
    step = max(1, SAMPLES_AT_ONCE // (fine_size[0] * fine_size[1]))
    images = [scene.mesh.verts.new_zeros(0, height, width, 4)]
    for start in range(0, len(cameras), step):
        samples = _render_samples(scene, cameras[start : start + step], fine_size, backend)
        samples = samples.unflatten(1, (height, supersample)).unflatten(3, (width, supersample))
        images.append(_finish(samples.mean((2, 4))))
    return torch.cat(images)


def _render_samples(
    scene: _Scene, cameras: Cameras, fine_size: tuple[int, int], backend: Backend | None
) -> Float[Tensor, "views h w 4"]:
    """Shade every sample: linear light, multiplied by alpha."""
    views, verts = project_meshes([scene.mesh], cameras, views_per_mesh=len(cameras))
    face_id = rasterize_views(views, fine_size, backend=backend)
    pixels = covered_pixels(face_id)
    points = surface_points(views, verts, pixels, fine_size)
    # Rounding may put a sample on an edge slightly past it.
    weights = points.barycentric.clamp(0.0, 1.0)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-12)
    channels = scene.channels(pixels.face, weights, points.position)
    to_camera = camera_origins(cameras).to(points.position)[pixels.image] - points.position
    normal = _facing_normals(scene, pixels, points, to_camera)
    to_camera = torch.nn.functional.normalize(to_camera, dim=1)
    color = scene.shading(points.position, normal, to_camera, channels, scene.light)
    alpha = channels["alpha"] if "alpha" in channels else torch.ones_like(color[:, :1])
    samples = verts.new_zeros(*face_id.shape, 4)
    color = torch.cat([color * alpha, alpha], 1)
    return samples.index_put((pixels.image, pixels.row, pixels.column), color)


def _finish(linear: Float[Tensor, "views h w 4"]) -> Float[Tensor, "views h w 4"]:
    """Divide by alpha again and encode."""
    rgb, alpha = linear[..., :3], linear[..., 3:]
    straight = torch.where(alpha > 0, rgb / alpha.clamp(min=1e-12), 0.0)
    return torch.cat([linear_to_srgb(straight).clamp(0.0, 1.0), alpha.clamp(0.0, 1.0)], -1)


def _facing_normals(
    scene: _Scene, pixels: Pixels, points: SurfacePoints, to_camera: Float[Tensor, "p 3"]
) -> Float[Tensor, "p 3"]:
    """Compute unit normals on the side that is seen."""
    mesh = scene.mesh
    corners = mesh.verts[mesh.faces[pixels.face]]
    flat = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    side = torch.where((flat * to_camera).sum(1, keepdim=True) < 0, -1.0, 1.0)
    normal = flat
    if scene.normals is not None:
        normals = scene.normals[scene.normal_faces[pixels.face]].to(points.position)
        normal = (points.barycentric[..., None] * normals).sum(1)
    return torch.nn.functional.normalize(side * normal, dim=1)
