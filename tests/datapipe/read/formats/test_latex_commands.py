"""Commands of LaTeX."""

import unicodedata

from datapipe.read.formats import latex_commands as commands


def test_a_command_is_read_in_one_way() -> None:
    groups = [
        set(commands.GONE),
        set(commands.LATER),
        set(commands.CHARACTERS),
        set(commands.SECTIONS),
        set(commands.RUN_IN),
    ]
    assert sum(map(len, groups)) == len(set().union(*groups))
    environments = [commands.DROPPED, commands.FORMULAS, commands.VERBATIM, commands.LISTS]
    assert sum(map(len, environments)) == len(frozenset().union(*environments))


def test_accents_combine() -> None:
    for mark in commands.ACCENTS.values():
        assert unicodedata.combining(mark)
