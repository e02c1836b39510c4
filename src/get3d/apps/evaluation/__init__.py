"""How good a model is: shapes and images of it, compared with some that it was not trained on."""

from get3d.apps.evaluation.measure import measure_collection
from get3d.apps.evaluation.page import save_images, save_report
from get3d.apps.evaluation.plan import EvaluationConfig, Plan, make_plan
from get3d.apps.evaluation.report import summarize
from get3d.apps.evaluation.scores import Evaluation, Row, check_references, compare_sets, evaluate

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
    "summarize",
]
