"""Training: what to do (config), doing it (trainer), and several processes at once (ranks)."""

from trainer.training.config import SCHEDULES, Phase, TrainingConfig
from trainer.training.trainer import Trainer

__all__ = ["SCHEDULES", "Phase", "Trainer", "TrainingConfig"]
