import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_results_page_is_what_the_saved_numbers_say() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "results.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
