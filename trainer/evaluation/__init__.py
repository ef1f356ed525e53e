"""How good are the answers: scorers, metrics per trip, means over trips with their uncertainty."""

from trainer.evaluation.evaluator import Evaluator, run_evaluation
from trainer.evaluation.metrics import EvaluationMetrics

__all__ = ["EvaluationMetrics", "Evaluator", "run_evaluation"]
