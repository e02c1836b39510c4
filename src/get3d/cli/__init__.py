"""The `get3d` command: one file per sub-command; errors become one line, bugs keep a traceback."""

import difflib
import importlib
import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from get3d import __version__
from get3d.cli.errors import describe, is_expected, one_line

__all__ = ["COMMANDS", "main"]

# Each is a module of this package with a function `run(args) -> exit code`, imported on
# use: help must not wait for PyTorch.
COMMANDS = {
    "shapes": "make procedural shapes for training and evaluation",
    "render": "make training images of 3D models",
    "validate": "check a data set for everything that would spoil a training run",
    "train": "learn textured shapes from images",
    "generate": "make textured meshes with a trained model",
    "interpolate": "interpolate between shapes: a video, and meshes of the named shapes",
    "perturb": "make near variants of a shape",
    "swap": "put every texture on every geometry",
    "mix": "cross shapes layer by layer",
    "sweep": "show shapes at several truncations",
    "turntable": "render turntable videos of shapes or mesh files",
    "evaluate": "score a model against shapes that it was not trained on",
    "import": "convert a checkpoint of the authors' release to a model folder",
    "push": "upload a model folder to the Hugging Face Hub",
    "doctor": "check the installation: packages, device, rasterisers, models",
}

# The module is named after its command, unless that is a word of Python.
_MODULES = {"import": "import_model"}
_MAY_BE_EMPTY = ("--message", "--licence", "--name")
_BUG_EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h
_INTERRUPTED_EXIT_CODE = 130  # as shells report Ctrl-C: 128 and the number of SIGINT
_BUG_TEXT = (
    "this is a bug of get3d; please report it in the project's issue tracker, with this traceback "
    "and the output of get3d doctor"
)


def main(args: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    An error that the user can mend is printed as one line, any other with its traceback and where
    to report it.

    Args:
        args: Command line without the program's name; None: that of the process.

    Returns:
        Exit code: 0 done, 1 failed, 2 the command line was not understood, 70 a bug of get3d,
        130 stopped by Ctrl-C.
    """
    _let_idle_threads_sleep()
    try:
        code = _main(list(sys.argv[1:] if args is None else args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the program that reads the output, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _main(args: list[str]) -> int:
    """Run one sub-command, with its own and the general options."""
    is_debug = "--debug" in args
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may not fit the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    name, *rest = [arg for arg in args if arg != "--debug"] or [""]
    if name in ("", "-h", "--help"):
        print(_overview())
        return 0 if name else 2
    if name == "--version":
        print(f"get3d {__version__}")
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        _say(f"get3d: unknown command {name}; {hint}commands: {', '.join(COMMANDS)}")
        return 2
    if problem := _odd_argument(rest):
        _say(f"get3d {name}: {problem}")
        return 2
    with warnings.catch_warnings():
        if not is_debug:
            warnings.showwarning = lambda message, *_args, **_kwargs: _say(f"note: {message}")
        logging.basicConfig(level=logging.DEBUG if is_debug else logging.INFO, format="%(message)s")
        for noisy in ("numba", "PIL", "trimesh", "matplotlib", "httpx", "httpx2"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        return _run(name, rest, is_debug=is_debug)


def _run(name: str, args: list[str], *, is_debug: bool) -> int:
    try:
        module = _MODULES.get(name, name)
        code: int = importlib.import_module(f"get3d.cli.{module}").run(args)
        return code
    except SystemExit as request:  # from the parser: 0 after --help, 2 for a wrong command line
        return request.code if isinstance(request.code, int) else 2
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if not is_expected(error):
            traceback.print_exception(error)
            _say(f"get3d {name}: {_BUG_TEXT}")
            return _BUG_EXIT_CODE
        if is_debug:
            raise
        _say(f"get3d {name}: {describe(error)}")
        return _INTERRUPTED_EXIT_CODE if isinstance(error, KeyboardInterrupt) else 1


def _let_idle_threads_sleep() -> None:
    """Set a passive wait policy of OpenMP, which PyTorch reads when it is imported.

    Threads that spin at barriers take the cores from other programs and from each other. A policy
    that is set already stays.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
        os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}


def _odd_argument(args: Sequence[str]) -> str | None:
    """Return what is wrong with an argument that can be no name; an empty one means this folder."""
    for before, arg in zip(["", *args], args, strict=False):
        flag, is_joined, value = arg.partition("=")
        if not (is_joined and arg.startswith("--")):
            flag, value = before, arg
        what = flag if flag.startswith("--") else "an argument"
        if "\0" in arg:
            return f"{what} holds a NUL character, which no name has"
        if not value and flag not in _MAY_BE_EMPTY:
            return f"{what} is empty; give a value"
    return None


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: get3d COMMAND [options]",
            "",
            "Textured 3D meshes from a GAN that learns from 2D images.",
            "",
            *lines,
            "",
            "get3d COMMAND --help    the command's options",
            "--debug                 anywhere: show the traceback of an error",
            "--version               print the version",
        ]
    )


def _say(line: str) -> None:
    print(one_line(line), file=sys.stderr)
