"""Evaluation: metrics per trip of the model and the baselines, and their means with intervals."""

from trainer.evaluation.evaluator import Evaluator, run_evaluation
from trainer.evaluation.metrics import EvaluationMetrics

__all__ = ["EvaluationMetrics", "Evaluator", "run_evaluation"]
