"""Messages for wrong command lines."""

import pytest

from get3d.cli import main
from get3d.cli.parsing import read_frame


def test_frames_of_terminals_without_lines_have_no_heading_in_the_message():
    frame = (
        " Invalid choice    \n -----------------\n  invalid choice 'x'\n  ---------\n"
        "  For full helptext, run get3d x --help\n"
    )
    assert read_frame(frame) == "invalid choice 'x'"


@pytest.mark.parametrize("value", ["nan", "1.5"])
def test_wrong_items_of_a_list_are_named(capsys, value):
    command = ["train", "tiny-64", "--data", "data", "--out", "run"]
    assert main([*command, "--schedule.coarse-images", value]) == 2
    assert f"--schedule.coarse-images takes other values, got {value!r}" in capsys.readouterr().err
