"""How good a model is: shapes and pictures of it, compared with some that it never saw."""

from get3d.apps.evaluation.config import EvaluationConfig
from get3d.apps.evaluation.judge import Evaluation, Row, evaluate
from get3d.apps.evaluation.pictures import save_pictures
from get3d.apps.evaluation.report import save_report, summarize

__all__ = [
    "Evaluation",
    "EvaluationConfig",
    "Row",
    "evaluate",
    "save_pictures",
    "save_report",
    "summarize",
]
