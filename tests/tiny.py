"""The smallest generator that has all parts, for tests: the definition that they share."""

TINY = {
    "z_dim": 8,
    "w_dim": 8,
    "mapping_layers": 2,
    "plane_resolution": 8,
    "channel_base": 64,
    "channel_max": 8,
    "mlp_width": 8,
    "grid_resolution": 12,
    "volume_resolution": 8,
    "volume_channel_max": 8,
    "volume_mlp_width": 8,
}
"""Fields of GeneratorConfig; random weights have a surface inside the grid if the base is a sphere
and `sdf_base_weight` is about 0.02."""
