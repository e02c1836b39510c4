"""Learning from pictures: losses, the step, the run around it."""

from get3d.training.config import LossConfig, OptimizerConfig, RunConfig, ScheduleConfig
from get3d.training.images import TrainingImages
from get3d.training.run import TrainingRun
from get3d.training.trainer import NonFiniteError, Trainer

__all__ = [
    "LossConfig",
    "NonFiniteError",
    "OptimizerConfig",
    "RunConfig",
    "ScheduleConfig",
    "Trainer",
    "TrainingImages",
    "TrainingRun",
]
