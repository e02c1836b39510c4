"""Operations without learned parameters, with their compiled kernels.

`filters` (blur, up- and downsampling) and `activation` serve the convolutions, `triplane` and
`sparse` the lookups in planes, `grid_sums` the signed distances at all grid vertices; `packing`
pads lists of different lengths to one table; `linear` gives autograd the adjoint of a linear map.
"""

from get3d.models.ops.activation import activate
from get3d.models.ops.filters import blur, downsample, upsample
from get3d.models.ops.grid_sums import activated_sums
from get3d.models.ops.packing import row_slots, to_rows
from get3d.models.ops.triplane import GridLookup, normalize_points, sample_triplane

__all__ = [
    "GridLookup",
    "activate",
    "activated_sums",
    "blur",
    "downsample",
    "normalize_points",
    "row_slots",
    "sample_triplane",
    "to_rows",
    "upsample",
]
