"""What consoles print: texts of others never carry what a terminal obeys."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from sluice_cli.controls import without_controls
from sluice_cli.terminal import SafeConsole

HOSTILE = "a\x1b[2Jb\x1b]0;owned\x07c\x9b31md\x9d8;;x\x9ce\rf\x08g\x7f\th\ni"


def _printed(content: object, **options: object) -> str:
    console = SafeConsole(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=120)
    console.print(content, **options)
    return console.file.getvalue()


def test_controls_are_left_out_and_lines_and_tabs_stay():
    assert without_controls(HOSTILE) == "a[2Jb]0;ownedc31md8;;xefg\th\ni"


@pytest.mark.parametrize("cut", range(len(HOSTILE)))
def test_sequence_that_is_split_over_pieces_is_harmless_too(cut: int):
    printed = "".join(_printed(piece, end="", markup=False) for piece in (HOSTILE[:cut], HOSTILE[cut:]))
    assert without_controls(printed) == printed


def test_tables_and_texts_are_cleaned_and_keep_the_consoles_own_styles():
    table = Table("name")
    table.add_row(HOSTILE.replace("[", ""))
    for content in (table, Text(HOSTILE)):
        assert without_controls(_printed(content)).count("owned") == 1
        assert "\x1b]0" not in _printed(content)
    assert _printed(Text("red", style="red")) == "\x1b[31mred\x1b[0m\n"


def test_text_is_no_markup_and_no_emoji():
    assert _printed(":warning: [1]", markup=False) == ":warning: [1]\n"
