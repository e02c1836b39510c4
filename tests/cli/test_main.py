import errno
import os
import subprocess
import sys
import types
from collections.abc import Callable

import pytest

from get3d.cli import COMMANDS, main
from get3d.cli.errors import describe, is_expected
from get3d.core import ConfigError, DataError, Get3DError, MissingDependencyError

Failing = Callable[[BaseException], None]


@pytest.fixture
def fail_with(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Make `get3d doctor` raise an error."""

    def install(error: BaseException) -> None:
        def run(args: list[str]) -> int:
            raise error

        monkeypatch.setitem(sys.modules, "get3d.cli.doctor", types.SimpleNamespace(run=run))

    return install


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("size must be\npositive, got 0"), "size must be positive, got 0"),
        (FileNotFoundError("no mesh at a.obj"), "no mesh at a.obj"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.obj"), "a.obj: No such"),
        (OSError(errno.ENOSPC, "No space left on device", "b.png"), "b.png: No space left on"),
        (OSError(errno.ENOSPC, "No space left on device"), "free some space and run the same"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), "out: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "out"), "; choose a place that you may"),
        (KeyboardInterrupt(), "stopped by Ctrl-C"),
        (KeyboardInterrupt("3 of 9 shapes"), "stopped by Ctrl-C; 3 of 9 shapes"),
        (MemoryError(), "out of memory; use smaller settings"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "out of memory; use smaller"),
        (MissingDependencyError("pip install x"), "pip install x"),
        (DataError("no \x1b[2J\u202e\x00tensor"), "no ?[2J??tensor"),
        (DataError("a" * 10**6 + "; copy it again"), "aaa; copy it again"),
    ],
)
def test_an_expected_error_is_one_line(
    error: BaseException, text: str, fail_with: Failing, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(error)
    assert main(["doctor"]) == (130 if isinstance(error, KeyboardInterrupt) else 1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("get3d doctor: ")
    assert text in captured.err
    assert captured.err.count("\n") == 1
    assert len(captured.err) < 1600


def test_names_that_the_terminal_cannot_show() -> None:
    code = "import sys; from get3d.cli import main; main(['--version']); print(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, "\u65e5\u672c"],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert rb"\u65e5\u672c" in done.stdout


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes do not match"),
        RuntimeError("shapes do not match"),
        ArithmeticError("shapes do not match"),
        ImportError("shapes do not match", name="numpy"),
    ],
)
def test_a_bug_has_a_traceback_and_says_where_to_report_it(
    error: Exception, fail_with: Failing, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(error)
    for args in (["doctor"], ["--debug", "doctor"]):
        assert main(args) == 70
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[-2] == f"{type(error).__name__}: shapes do not match"
        assert lines[-1].startswith("get3d doctor: this is a bug of get3d; please report it in the")


def test_debug_shows_the_traceback_of_any_error(fail_with: Failing) -> None:
    fail_with(ConfigError("wrong"))
    for args in (["--debug", "doctor"], ["doctor", "--debug"]):
        with pytest.raises(ConfigError, match="wrong"):
            main(args)


def test_an_error_without_a_message_is_described_by_its_class() -> None:
    assert is_expected(Get3DError())
    assert describe(Get3DError()) == "Get3DError"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"get3d {name}" in text
    assert "--help" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_flag_is_a_usage_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--no-such-flag"]) == 2
    assert f"get3d {name} --help" in capsys.readouterr().err


def test_an_unknown_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["generat"]) == 2
    assert "did you mean generate?" in capsys.readouterr().err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    assert main([]) == 2
    assert main(["--version"]) == 0


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from get3d.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["generate", "--format", "fbx", "--out", "o"], "invalid choice 'fbx'"),
        (["generate", "--formt", "glb", "--out", "o"], "--formt"),
        (["generate", "--out", "o", "--seed", "x"], "--seed must be a whole number, got 'x'; see"),
        (
            ["generate", "--out", "o", "--jpeg", "9.5"],
            "--jpeg must be a whole number, got '9.5'; see",
        ),
        (["generate", "--out", "o", "--truncation", "x"], "--truncation must be a number, got 'x'"),
        (["generate", "--out", "o", "--seed"], "--seed needs a value; see"),
        (["generate", "--out", "o", "--overwrit"], "perhaps you meant --overwrite; see get3d"),
        (["render", "x"], "render: --out must be given; see get3d render --help"),
        (["generate", "--outt", "x"], "--out must be given; Unrecognized options: --outt x; see"),
        (["import"], "import: CHECKPOINT and --out must be given; see get3d import --help"),
        (["generate", "--overwrit", "--out", "o", "--see", "3"], "; perhaps you meant --overwrite"),
        (["generate", "--out", "o", "--seed", "/a" * 60], f"got '{'/a' * 60}'; see get3d"),
        (["render", "x", "--out", "o", "--polar-deg", "90", "60"], "polar_deg must be"),
        (
            ["train", "tiny-64", "--data", "d", "--out", "o", "--schedule.batch-size", "0"],
            "batch_size",
        ),
    ],
)
def test_wrong_flags_are_one_line(capsys, args, message) -> None:
    assert main(args) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith(f"get3d {args[0]}: ")


def policy_in_a_fresh_process(**variables: str) -> str:
    """Run a command and return the wait policy that its process, and PyTorch in it, then has."""
    code = (
        "import os, sys; from get3d.cli import main; main(['--version']); "
        "assert 'torch' not in sys.modules; "
        "print(os.environ.get('OMP_WAIT_POLICY'), os.environ.get('KMP_BLOCKTIME'))"
    )
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    rest = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=rest | variables, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_idle_threads_sleep_unless_the_user_says_otherwise() -> None:
    assert policy_in_a_fresh_process() == "PASSIVE 0"
    assert policy_in_a_fresh_process(OMP_WAIT_POLICY="ACTIVE") == "ACTIVE None"
    assert policy_in_a_fresh_process(GOMP_SPINCOUNT="9") == "None None"


@pytest.mark.slow
def test_commands_work_from_a_source_folder_that_is_not_installed() -> None:
    code = (
        "import importlib.metadata as m\n"
        "found = m.version\n"
        "def version(name):\n"
        "    if name == 'get3d': raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.version = version\n"
        "import get3d.apps.latent.folder, get3d.apps.model_folder, get3d.apps.evaluation.report\n"
        "from get3d.cli import main; main(['--version'])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("get3d 0.")
