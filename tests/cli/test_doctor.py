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


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("PASSIVE", "sleep (OMP_WAIT_POLICY=PASSIVE)"),
        ("ACTIVE", "may spin: slow beside other programs (OMP_WAIT_POLICY=ACTIVE); set OMP_WAIT"),
        (None, "(nothing is set); set OMP_WAIT_POLICY=PASSIVE"),
    ],
)
def test_doctor_says_how_idle_threads_wait(monkeypatch, policy, text) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if policy is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    [finding] = [each for each in doctor() if each.label == "idle threads"]
    assert text in finding.text
    assert finding.is_well
