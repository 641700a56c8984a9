"""Words of wikis."""

from datapipe.read.formats import wiki_words as words


def test_a_word_is_of_one_namespace_in_lower_case_and_no_language() -> None:
    spaces = words.FILE_WORDS | words.CATEGORY_WORDS
    assert not words.FILE_WORDS & words.CATEGORY_WORDS
    assert not spaces & words.LANGUAGES
    assert "" not in spaces | words.LANGUAGES | words.PROJECT_WORDS
    assert spaces == {word.lower() for word in spaces}


def test_templates_are_known_by_one_way_of_showing_them() -> None:
    groups = [words.FIRST, words.SECOND, words.LAST, words.ALL, set(words.CHARACTERS)]
    assert sum(map(len, groups)) == len(set().union(*groups))


def test_a_variant_falls_back_on_those_of_its_script_first() -> None:
    assert words.VARIANTS["zh-tw"][1] == "zh-hant"
    assert words.VARIANTS["zh-cn"][1] == "zh-hans"
    assert {variants[0] for variants in words.VARIANTS.values()} == set(words.VARIANTS)
