"""What others published, read into our networks."""

from get3d.interop.published import load_discriminator, load_generator

__all__ = ["load_discriminator", "load_generator"]
