"""What is printed cannot move the cursor, and columns stand in line whatever the script."""

import pytest

from datapipe.commands.console import plain, say, say_table


def test_control_characters_of_documents_are_spelt_out(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b]0;owned\x07b\x9bc\rd\u202ee [bold]f"
    say(plain(hostile))
    assert capsys.readouterr().out == "a\\x1b]0;owned\\x07b\\x9bc\\rd\\u202ee [bold]f\n"
    assert plain("two\nlines\tkept 中文 é") == "two\nlines\tkept 中文 é"


def test_a_table_counts_the_width_of_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say_table([("name", "n"), ("中文", "1"), ("abcde", "10")])
    assert capsys.readouterr().out == "name    n\n中文    1\nabcde  10\n"


def test_long_lines_are_not_wrapped_and_pipes_have_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    say(("x" * 500, "bold red"))
    assert capsys.readouterr().out == "x" * 500 + "\n"
