"""How good a model is: shapes and pictures of it, compared with some that it never saw."""

from get3d.apps.evaluation.collection import measure_collection
from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.judge import (
    Comparison,
    Evaluation,
    Row,
    check_references,
    compare_sets,
    evaluate,
    reference_labels,
)
from get3d.apps.evaluation.pictures import save_pictures
from get3d.apps.evaluation.plan import Plan, make_plan
from get3d.apps.evaluation.report import hollowness, save_report, summarize

__all__ = [
    "Comparison",
    "Evaluation",
    "EvaluationConfig",
    "Plan",
    "Row",
    "check_references",
    "compare_sets",
    "evaluate",
    "hollowness",
    "make_plan",
    "measure_collection",
    "reference_labels",
    "save_pictures",
    "save_report",
    "summarize",
]
