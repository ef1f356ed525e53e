"""What the model has to beat: counting rules and gradient boosting on what they count."""

from trainer.baselines.registry import Baseline, baselines, counting_rules

__all__ = ["Baseline", "baselines", "counting_rules"]
