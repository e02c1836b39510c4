"""Training: losses, steps, the trainer (networks and optimisers) and the run (folder and loop).

Read in this order: `config`, `images` and `samplers` (the inputs), `losses` and `steps` (one
batch), `trainer` (the state), `run` (the folder and the loop).
"""

from get3d.training.checkpoints import list_checkpoints, load_checkpoint
from get3d.training.config import LossConfig, OptimizerConfig, RunConfig, ScheduleConfig
from get3d.training.images import TrainingImages
from get3d.training.run import NonFiniteError, Run, Stepper
from get3d.training.samplers import Samplers
from get3d.training.steps import discriminator_step, generator_step, r1_step
from get3d.training.trainer import Trainer

__all__ = [
    "LossConfig",
    "NonFiniteError",
    "OptimizerConfig",
    "Run",
    "RunConfig",
    "Samplers",
    "ScheduleConfig",
    "Stepper",
    "Trainer",
    "TrainingImages",
    "discriminator_step",
    "generator_step",
    "list_checkpoints",
    "load_checkpoint",
    "r1_step",
]
