"""Images of textured meshes, for data sets and contact sheets. Light is added up linearly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.core.errors import ConfigError
from get3d.core.types import Appearance, Cameras, Mesh, TexturedMesh
from get3d.geometry.cameras import camera_origins
from get3d.render.gbuffer import Pixels, SurfacePoints, covered_pixels, surface_points
from get3d.render.layers import hidden_layers
from get3d.render.lighting import LearnedLight, Light
from get3d.render.materials import material_channels
from get3d.render.rasterizer import Backend, rasterize_views
from get3d.render.views import parse_image_size, project_meshes

SAMPLES_AT_ONCE = 1 << 22
_FULL = 1 - 1e-3  # alpha that lets nothing through
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
        light: None: brightness 1 everywhere.

    Returns:
        Linear RGB.
    """
    del position  # the lights are far away
    color = channels["base_color"]
    if light is not None:
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
    cull_backfaces: bool = False,
    backend: Backend | None = None,
) -> Float[Tensor, "views h w 4"]:
    """Render a textured mesh.

    Transparent faces lie over what is behind them, up to 64 surfaces deep; alpha of the image is
    what they hide of the background. Normal textures are not applied.

    Args:
        textured_mesh: The mesh with its materials.
        cameras: One an image.
        image_size: In pixels, square or (height, width).
        light: None shows base colours and emitted light alone.
        shading: Gets the channels base_color, and metallic, roughness and emissive where a material
            sets them.
        supersample: Samples each way in a pixel; they are averaged in linear light.
        cull_backfaces: Whether the back of faces is left out where a material's `double_sided` is
            False; else both sides of every face are seen.
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
    is_one_sided = None
    if cull_backfaces:
        of_material = [material.double_sided is False for material in textured_mesh.materials]
        is_one_sided = torch.tensor(of_material).to(mesh.faces.device)[textured_mesh.face_material]
    scene = _Scene(mesh, normals, normal_faces, channels, shading, light, is_one_sided)
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
        is_one_sided: Whether the back of each face is left out; None: of none.
    """

    mesh: Mesh
    normals: Float[Tensor, "normals 3"] | None
    normal_faces: Int[Tensor, "faces 3"]
    channels: _ChannelFn
    shading: Shading
    light: Light | None
    is_one_sided: Bool[Tensor, " faces"] | None = None


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
    pixels = covered_pixels(rasterize_views(views, fine_size, backend=backend))
    color = _shade(scene, cameras, pixels, surface_points(views, verts, pixels, fine_size))
    samples = verts.new_zeros(len(cameras), *fine_size, 4)
    samples = samples.index_put((pixels.image, pixels.row, pixels.column), color)
    see_through = pixels[(color[:, 3] < _FULL).nonzero().squeeze(1)]
    for image in see_through.image.unique().tolist():
        mine = see_through[(see_through.image == image).nonzero().squeeze(1)]
        samples[image] = _add_hidden(scene, cameras[image : image + 1], mine, samples[image])
    return samples


def _add_hidden(
    scene: _Scene, camera: Cameras, pixels: Pixels, front: Float[Tensor, "h w 4"]
) -> Float[Tensor, "h w 4"]:
    """Composite what lies behind the nearest faces of some samples of one image."""
    height, width = front.shape[:2]
    views, verts = project_meshes([scene.mesh], camera)
    is_wanted = torch.zeros(1, height, width, dtype=torch.bool, device=front.device)
    is_wanted[0, pixels.row, pixels.column] = True
    samples = front.flatten(0, 1)
    for place, face in hidden_layers(views, is_wanted):
        is_seen = samples[place, 3] < _FULL
        place, face = place[is_seen], face[is_seen]
        layer = Pixels(torch.zeros_like(place), place // width, place % width, face)
        points = surface_points(views, verts, layer, (height, width))
        hidden = _shade(scene, camera, layer, points)
        over = samples[place]
        samples = samples.index_put((place,), over + (1 - over[:, 3:]) * hidden)
    return samples.view(height, width, 4)


def _shade(
    scene: _Scene, cameras: Cameras, pixels: Pixels, points: SurfacePoints
) -> Float[Tensor, "p 4"]:
    """Shade points of the surface: linear light, multiplied by alpha."""
    # Rounding may put a sample on an edge slightly past it.
    weights = points.barycentric.clamp(0.0, 1.0)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-12)
    channels = scene.channels(pixels.face, weights, points.position)
    to_camera = camera_origins(cameras).to(points.position)[pixels.image] - points.position
    side, normal = _facing_normals(scene, pixels, points, to_camera)
    to_camera = torch.nn.functional.normalize(to_camera, dim=1)
    color = scene.shading(points.position, normal, to_camera, channels, scene.light)
    alpha = channels["alpha"] if "alpha" in channels else torch.ones_like(color[:, :1])
    if scene.is_one_sided is not None:
        is_culled = scene.is_one_sided[pixels.face][:, None] & (side < 0)
        alpha = torch.where(is_culled, 0.0, alpha)
    return torch.cat([color * alpha, alpha], 1)


def _finish(linear: Float[Tensor, "views h w 4"]) -> Float[Tensor, "views h w 4"]:
    """Divide by alpha again and encode."""
    rgb, alpha = linear[..., :3], linear[..., 3:]
    straight = torch.where(alpha > 0, rgb / alpha.clamp(min=1e-12), 0.0)
    return torch.cat([linear_to_srgb(straight).clamp(0.0, 1.0), alpha.clamp(0.0, 1.0)], -1)


def _facing_normals(
    scene: _Scene, pixels: Pixels, points: SurfacePoints, to_camera: Float[Tensor, "p 3"]
) -> tuple[Float[Tensor, "p 1"], Float[Tensor, "p 3"]]:
    """Return which side is seen, 1 or -1 for the back, and unit normals on that side."""
    mesh = scene.mesh
    corners = mesh.verts[mesh.faces[pixels.face]]
    flat = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    side = torch.where((flat * to_camera).sum(1, keepdim=True) < 0, -1.0, 1.0)
    normal = flat
    if scene.normals is not None:
        normals = scene.normals[scene.normal_faces[pixels.face]].to(points.position)
        normal = (points.barycentric[..., None] * normals).sum(1)
    return side, torch.nn.functional.normalize(side * normal, dim=1)
