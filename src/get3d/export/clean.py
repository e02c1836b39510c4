"""Cleaning of generated shapes before they are unwrapped: each step by choice, each reported."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from get3d.core.errors import ConfigError, MeshError
from get3d.core.types import Mesh
from get3d.geometry import (
    ComponentRemoval,
    check_mesh,
    is_manifold,
    remove_floaters,
    remove_hidden_components,
    remove_slivers,
    remove_unreferenced_vertices,
    unit_box,
)

NONE_FOUND = "none found"
"""How the note of a step ends that had nothing to do."""

_MIN_FACES = 4
_NEEDLES = 0.1  # height over longest side, below which a face hinders its neighbours


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """Options of `clean_mesh`; nothing is removed by default."""

    floaters: float = 0.0
    """Remove connected components below this fraction of the largest one's volume, such as 0.01."""

    hidden: bool = False
    """Remove components that lie inside a closed one, where no view can see them."""

    slivers: float = 0.0
    """Remove triangles whose height is below this fraction of their longest edge, such as 0.05."""

    faces: int | None = None
    """Simplify the surface to about this many triangles if it has more."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: If one is out of range.
        """
        if not 0 <= self.floaters <= 1:
            raise ConfigError(f"floaters must lie in 0 to 1, got {self.floaters}")
        if not 0 <= self.slivers <= 0.5:
            raise ConfigError(f"slivers must lie in 0 to 0.5, got {self.slivers}")
        if self.faces is not None and self.faces < _MIN_FACES:
            raise ConfigError(f"faces must be at least {_MIN_FACES}, got {self.faces}")


@dataclass(frozen=True)
class Cleaned:
    """A mesh after cleaning.

    Attributes:
        mesh: At least one face.
        notes: What each step did, a sentence each.
    """

    mesh: Mesh
    notes: tuple[str, ...]


@torch.no_grad()
def clean_mesh(mesh: Mesh, cleaning: Cleaning) -> Cleaned:
    """Clean a mesh: first connected components, then the number of faces, then their shapes.

    Args:
        mesh: At least one face.
        cleaning: Which steps.

    Raises:
        MeshError: As `check_mesh`, or if there is no face or none is left.
    """
    check_mesh(mesh)
    if len(mesh.faces) == 0:
        raise MeshError("the mesh has no faces, so there is nothing to clean")
    notes = []
    if cleaning.floaters > 0:
        kept = remove_floaters(mesh, cleaning.floaters)
        notes.append(
            f"floaters below {cleaning.floaters:g} of the largest component: {_removed(kept)}"
        )
        mesh = kept.mesh
    if cleaning.hidden:
        kept = remove_hidden_components(mesh)
        notes.append(f"hidden: {_removed(kept)}")
        mesh = kept.mesh
    if cleaning.faces is not None:
        before, mesh = mesh, decimate(mesh, cleaning.faces)
        notes.append(_simplified(cleaning.faces, before, mesh))
    if cleaning.slivers > 0 and len(mesh.faces):
        tidied = remove_slivers(mesh, cleaning.slivers)
        done = (
            f"removed {tidied.num_slivers - tidied.num_left} of {tidied.num_slivers}, "
            f"{len(mesh.faces) - len(tidied.mesh.faces)} faces fewer"
        )
        said = done if tidied.num_slivers else NONE_FOUND
        notes.append(f"slivers below {cleaning.slivers:g}: {said}")
        mesh = tidied.mesh
    if len(mesh.faces) == 0:
        raise MeshError("cleaning left no faces; clean less, or keep more faces")
    return Cleaned(mesh, tuple(notes))


def _removed(kept: ComponentRemoval) -> str:
    num = kept.num_components
    components = "1 component" if num == 1 else f"{num} components"
    return f"removed {components}, {kept.num_faces} faces" if kept.num_components else NONE_FOUND


def _simplified(wanted: int, before: Mesh, after: Mesh) -> str:
    note = f"faces {wanted}: simplified {len(before.faces)} faces to {len(after.faces)}"
    if len(after.faces) > wanted:
        note += ", for fewer would fold the surface"
    if is_manifold(before) and not is_manifold(after):
        note += "; where thin parts meet, some edges have four faces"
    return note


def decimate(mesh: Mesh, num_faces: int) -> Mesh:
    """Simplify a surface by quadric edge collapses (Garland and Heckbert 1997).

    Needles go first, since edges beside them hardly collapse; then the number of faces is halved
    again and again, which spreads the collapses evenly.

    Args:
        mesh: Any triangles; a closed surface stays closed.
        num_faces: About how many are wanted. Where collapses would turn faces over, more stay.

    Returns:
        The mesh itself if it has no more than that.

    Raises:
        ValueError: As `check_mesh`, or ConfigError if `num_faces` is less than four.
    """
    check_mesh(mesh)
    if num_faces < _MIN_FACES:
        raise ConfigError(f"num_faces must be at least {_MIN_FACES}, got {num_faces}")
    if len(mesh.faces) <= num_faces:
        return mesh
    import fast_simplification

    mesh = remove_slivers(mesh, _NEEDLES).mesh
    box = unit_box(mesh.verts)  # the library's limits are absolute
    verts, faces = box.shrink(mesh.verts).cpu().numpy(), mesh.faces.cpu().numpy().astype(np.int32)
    while len(faces) > num_faces:
        target = max(num_faces, len(faces) // 2)
        verts, faces = fast_simplification.simplify(verts, faces, target_count=target)
        if len(faces) > 1.5 * target:  # stuck: further passes would fold what is left
            break
    found = torch.from_numpy(faces.astype(np.int64)).to(mesh.faces.device)
    moved = box.restore(torch.from_numpy(verts).to(box.middle))
    return remove_unreferenced_vertices(Mesh(moved.to(mesh.verts), _without_doubles(found)))


def _without_doubles(faces: Int[Tensor, "faces 3"]) -> Int[Tensor, "kept 3"]:
    """Cancel faces that lie back to back: what small components and thin walls collapse to."""
    _, group = faces.sort(dim=1).values.unique(dim=0, return_inverse=True)
    is_even = (faces < faces.roll(-1, dims=1)).sum(dim=1) == 2  # winds like its sorted corners
    sides = torch.stack(
        [
            group[is_even].bincount(minlength=len(faces)),
            group[~is_even].bincount(minlength=len(faces)),
        ]
    )
    num_cancelled = sides.amin(dim=0)[group]
    # Of each group and side, the first so many go.
    key = group * 2 + is_even
    order = key.argsort(stable=True)
    ordered = key[order]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=faces.device) - torch.searchsorted(
        ordered, ordered
    )
    return faces[rank >= num_cancelled]
