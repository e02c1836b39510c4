"""Readers of mesh files: one file a format.

Order to read: `assemble` (what readers hand over), `polygons`, `side_files`, then `obj` with `mtl`,
`ply`, `off` and `stl`. A reader raises ValueError where a file is damaged; what is lost without
damage to the shape becomes a note.
"""

from get3d.data.formats.obj import read_obj
from get3d.data.formats.off import read_off
from get3d.data.formats.ply import read_ply
from get3d.data.formats.stl import read_stl

__all__ = ["read_obj", "read_off", "read_ply", "read_stl"]
