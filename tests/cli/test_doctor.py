import pytest

from get3d.cli import main
from get3d.cli.doctor import doctor


def test_doctor_reports_failures_by_its_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = [finding.label for finding in doctor() if not finding.is_well]
    assert not [label for label in failures if label != "bundled model"]
    assert main(["doctor"]) == (1 if failures else 0)
    text = capsys.readouterr().out
    assert "rasteriser numba" in text
    assert all(f"FAIL {label}" in text for label in failures)
