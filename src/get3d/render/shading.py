"""Images of textured meshes, for data sets and contact sheets. Light is added up linearly."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from get3d.core.colors import linear_to_srgb, srgb_to_linear
from get3d.core.types import Cameras, Material, Mesh, TexturedMesh
from get3d.geometry.cameras import camera_origins
from get3d.render.gbuffer import Pixels, SurfacePoints, covered_pixels, surface_points
from get3d.render.lighting import Light
from get3d.render.rasterizer import Backend, rasterize_views
from get3d.render.views import parse_image_size, project_meshes

SAMPLES_AT_ONCE = 1 << 22

ColorFn = Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n 3"]]
# Linear RGBA at samples, from the face, the weights of its corners and the position of each.
_Paint = Callable[
    [Int[Tensor, " p"], Float[Tensor, "p 3"], Float[Tensor, "p 3"]], Float[Tensor, "p 4"]
]


def render_textured(
    textured_mesh: TexturedMesh,
    cameras: Cameras,
    image_size: int | tuple[int, int],
    *,
    light: Light | None = None,
    supersample: int = 4,
    backend: Backend | None = None,
) -> Float[Tensor, "views h w 4"]:
    """Image a textured mesh.

    Both sides of faces are seen. What lies behind a transparent face is not drawn: its alpha goes
    into the image.

    Args:
        textured_mesh: The mesh with its look.
        cameras: One an image.
        image_size: In pixels, square or (height, width).
        light: None passes the colours through unchanged.
        supersample: Samples each way in a pixel; they are averaged in linear light.
        backend: See `rasterize`.

    Returns:
        sRGB colours with straight alpha, in [0, 1]; black where nothing is seen.

    Raises:
        ValueError: If `supersample` is not positive, or a size or the backend does not fit.
    """

    def paint(
        face: Int[Tensor, " p"], weights: Float[Tensor, "p 3"], _positions: Float[Tensor, "p 3"]
    ) -> Float[Tensor, "p 4"]:
        return _base_color(textured_mesh, face, weights)

    mesh, normals = textured_mesh.mesh, textured_mesh.normals
    normal_faces = mesh.faces if textured_mesh.normal_faces is None else textured_mesh.normal_faces
    scene = _Scene(mesh, normals, normal_faces, paint, light)
    return _render(scene, cameras, image_size, supersample, backend)


def render_colored(
    mesh: Mesh,
    color_fn: ColorFn,
    cameras: Cameras,
    image_size: int | tuple[int, int],
    *,
    light: Light | None = None,
    supersample: int = 4,
    backend: Backend | None = None,
) -> Float[Tensor, "views h w 4"]:
    """Image a mesh whose colour is a function of space, without a texture in between.

    Args:
        mesh: The surface.
        color_fn: sRGB colours in [0, 1] at object-space positions.
        cameras: One an image.
        image_size: In pixels, square or (height, width).
        light: None passes the colours through unchanged.
        supersample: Samples each way in a pixel; every one on the surface asks for its colour.
        backend: See `rasterize`.

    Returns:
        sRGB colours with straight alpha, in [0, 1]; black where nothing is seen.

    Raises:
        ValueError: If `supersample` is not positive, or a size or the backend does not fit.
    """

    def paint(
        _face: Int[Tensor, " p"], _weights: Float[Tensor, "p 3"], positions: Float[Tensor, "p 3"]
    ) -> Float[Tensor, "p 4"]:
        color = srgb_to_linear(color_fn(positions))
        return torch.cat([color, torch.ones_like(color[:, :1])], 1)

    return _render(
        _Scene(mesh, None, mesh.faces, paint, light), cameras, image_size, supersample, backend
    )


def sample_texture(
    texture: Float[Tensor, "h w 4"], uv: Float[Tensor, "p 2"]
) -> Float[Tensor, "p 4"]:
    """Look up an sRGB texture bilinearly, in linear light; it repeats in both directions.

    Args:
        texture: Image with alpha, row 0 at v = 1.
        uv: Where to look; (0, 0) is the bottom left corner.

    Returns:
        Linear RGB and alpha.
    """
    height, width = texture.shape[:2]
    texture = texture.to(uv.dtype)
    decode_first = 4 * uv.shape[0] > height * width  # decode every texel once, or each one used
    if decode_first:
        texture = torch.cat([srgb_to_linear(texture[..., :3]), texture[..., 3:]], 2)
    u = (uv[:, 0] - uv[:, 0].floor()) * width - 0.5
    v = (1.0 - (uv[:, 1] - uv[:, 1].floor())) * height - 0.5
    left, top = u.floor(), v.floor()
    total = uv.new_zeros(uv.shape[0], 4)
    for down in (0, 1):
        for right in (0, 1):
            column, row = (left.long() + right) % width, (top.long() + down) % height
            weight = (1 - right - (u - left)).abs() * (1 - down - (v - top)).abs()
            texel = texture[row, column]
            if not decode_first:
                texel = torch.cat([srgb_to_linear(texel[:, :3]), texel[:, 3:]], 1)
            total = total + weight[:, None] * texel
    return total


@dataclass(frozen=True)
class _Scene:
    """What is pictured: a surface, what colours it, and the light on it.

    Attributes:
        mesh: The surface.
        normals: Unit vectors; None: faces are flat.
        normal_faces: Indices into them, three a face.
        paint: The colour of samples.
        light: None passes the colours through unchanged.
    """

    mesh: Mesh
    normals: Float[Tensor, "normals 3"] | None
    normal_faces: Int[Tensor, "faces 3"]
    paint: _Paint
    light: Light | None


def _render(
    scene: _Scene,
    cameras: Cameras,
    image_size: int | tuple[int, int],
    supersample: int,
    backend: Backend | None,
) -> Float[Tensor, "views h w 4"]:
    """Draw fine images, as many at once as memory allows, and average them down."""
    if supersample < 1:
        raise ValueError(f"supersample must be at least 1, got {supersample}")
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
    """Colour every sample: linear light, multiplied by alpha."""
    views, verts = project_meshes([scene.mesh], cameras, views_per_mesh=len(cameras))
    face_id = rasterize_views(views, fine_size, backend=backend)
    pixels = covered_pixels(face_id)
    points = surface_points(views, verts, pixels, fine_size)
    # Rounding may put a sample on a side slightly past it.
    weights = points.barycentric.clamp(0.0, 1.0)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-12)
    color = scene.paint(pixels.face, weights, points.position)
    if scene.light is not None:
        lit = _brightness(scene, cameras, pixels, points, scene.light)[:, None]
        color = torch.cat([(color[:, :3] * lit).clamp(max=1.0), color[:, 3:]], 1)
    color = torch.cat([color[:, :3] * color[:, 3:], color[:, 3:]], 1)
    samples = verts.new_zeros(*face_id.shape, 4)
    return samples.index_put((pixels.image, pixels.row, pixels.column), color)


def _finish(linear: Float[Tensor, "views h w 4"]) -> Float[Tensor, "views h w 4"]:
    """Divide by alpha again and encode."""
    rgb, alpha = linear[..., :3], linear[..., 3:]
    straight = torch.where(alpha > 0, rgb / alpha.clamp(min=1e-12), 0.0)
    return torch.cat([linear_to_srgb(straight).clamp(0.0, 1.0), alpha.clamp(0.0, 1.0)], -1)


def _base_color(
    textured_mesh: TexturedMesh, face: Int[Tensor, " p"], weights: Float[Tensor, "p 3"]
) -> Float[Tensor, "p 4"]:
    """Multiply factor, texture and vertex colour."""
    color = weights.new_ones(face.shape[0], 4)
    material_id = textured_mesh.face_material[face]
    for index, material in enumerate(textured_mesh.materials):
        mine = (material_id == index).nonzero().squeeze(1)
        if mine.numel():
            color[mine] = _material_color(material, textured_mesh, face[mine], weights[mine])
    if textured_mesh.vert_colors is not None:
        corners = textured_mesh.vert_colors[textured_mesh.mesh.faces[face]].to(weights)
        color = color * (weights[..., None] * corners).sum(1)
    return color


def _material_color(
    material: Material,
    textured_mesh: TexturedMesh,
    face: Int[Tensor, " p"],
    weights: Float[Tensor, "p 3"],
) -> Float[Tensor, "p 4"]:
    factor = weights.new_tensor(material.base_color)
    if material.texture is None or not textured_mesh.uvs.shape[0]:
        return factor.expand(face.shape[0], 4)
    corners = textured_mesh.uvs[textured_mesh.uv_faces[face]].to(weights)
    uv = (weights[..., None] * corners).sum(1)
    return factor * sample_texture(material.texture.to(weights.device), uv)


def _brightness(
    scene: _Scene, cameras: Cameras, pixels: Pixels, points: SurfacePoints, light: Light
) -> Float[Tensor, " p"]:
    """How bright white would be; surfaces are lit on the side that is seen."""
    mesh = scene.mesh
    corners = mesh.verts[mesh.faces[pixels.face]]
    flat = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    to_camera = camera_origins(cameras).to(points.position)[pixels.image] - points.position
    side = torch.where((flat * to_camera).sum(1, keepdim=True) < 0, -1.0, 1.0)
    normal = flat
    if scene.normals is not None:
        normals = scene.normals[scene.normal_faces[pixels.face]].to(points.position)
        normal = (points.barycentric[..., None] * normals).sum(1)
    normal = torch.nn.functional.normalize(side * normal, dim=1)
    to_camera = torch.nn.functional.normalize(to_camera, dim=1)
    return light.brightness(normal, to_camera)
