"""Import of published checkpoints; download from and upload to the Hugging Face Hub."""

from get3d.interop.architecture import recognise_generator
from get3d.interop.checkpoints import read_state_dicts
from get3d.interop.published import load_discriminator, load_generator

__all__ = ["load_discriminator", "load_generator", "read_state_dicts", "recognise_generator"]
