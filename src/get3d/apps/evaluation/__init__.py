"""Evaluation of a model: scores of its shapes and images against held-out reference shapes."""

from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.measure import measure_collection
from get3d.apps.evaluation.page import save_images, save_report
from get3d.apps.evaluation.plan import Plan, make_plan
from get3d.apps.evaluation.report import summarize
from get3d.apps.evaluation.scores import Evaluation, Row, check_references, compare_sets, evaluate
from get3d.apps.evaluation.shapes import settings_of

__all__ = [
    "Evaluation",
    "EvaluationConfig",
    "Plan",
    "Row",
    "check_references",
    "compare_sets",
    "evaluate",
    "make_plan",
    "measure_collection",
    "save_images",
    "save_report",
    "settings_of",
    "summarize",
]
