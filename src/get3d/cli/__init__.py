"""The `get3d` command: one file per sub-command, and what becomes of their errors."""

import difflib
import importlib
import io
import logging
import sys
import warnings
from collections.abc import Sequence

from get3d.cli.errors import describe, is_expected, one_line

__all__ = ["COMMANDS", "main"]

# Each is a module of this package with a function `run(args) -> exit code`, imported when asked
# for: help must not wait for PyTorch.
COMMANDS = {
    "shapes": "make procedural shapes to learn from and to be judged by",
    "render": "make training images of 3D models",
    "validate": "say what is wrong with a data set before a training run does",
    "train": "learn textured shapes from images",
    "generate": "make textured meshes with a trained model",
    "interpolate": "walk from shape to shape: a video, and meshes of the shapes on the way",
    "perturb": "make near variants of a shape",
    "swap": "put every texture on every geometry",
    "mix": "cross shapes layer by layer",
    "sweep": "show shapes from the average one to their own, and beyond",
    "turntable": "video shapes or mesh files from all around",
    "evaluate": "judge a model by shapes that it never saw",
    "import": "make a model folder of a checkpoint of the authors' release",
    "push": "send a model folder to the Hugging Face Hub",
    "doctor": "say what get3d finds on this machine",
}

# The module is named after its command, unless that is a word of Python.
_MODULES = {"import": "import_model"}


def main(args: Sequence[str] | None = None) -> int:
    """Run one sub-command; every expected error becomes one line.

    Args:
        args: Command line without the program's name; None: that of the process.

    Returns:
        Exit code: 0 done, 1 failed, 2 the command line was not understood.
    """
    args = list(sys.argv[1:] if args is None else args)
    is_debug = "--debug" in args
    if isinstance(sys.stdout, io.TextIOWrapper):  # names in any script, on terminals that know few
        sys.stdout.reconfigure(errors="backslashreplace")
    name, *rest = [arg for arg in args if arg != "--debug"] or [""]
    if name in ("", "-h", "--help"):
        print(_overview())
        return 0 if name else 2
    if name == "--version":
        print(f"get3d {_version()}")
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        _say(f"get3d: unknown command {name}; {hint}commands: {', '.join(COMMANDS)}")
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
    except SystemExit as request:  # from the parser: 0 after --help, 2 for what it refused
        return request.code if isinstance(request.code, int) else 2
    except BaseException as error:
        if is_debug or not is_expected(error):
            raise
        _say(f"get3d {name}: {describe(error)}")
        return 1


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: get3d COMMAND [options]",
            "",
            "Textured 3D meshes from a generator that learned from images alone.",
            "",
            *lines,
            "",
            "get3d COMMAND --help    the command's options",
            "--debug                 anywhere: show the traceback of an error",
            "--version               print the version",
        ]
    )


def _version() -> str:
    from importlib.metadata import version

    return version("get3d")


def _say(line: str) -> None:
    print(one_line(line), file=sys.stderr)
