"""The published rules of the field, set by set, and which of them judge a document of which language.

`rules.py` applies them to whole documents. `lines.py` has rules of its own, for lines; how a recipe chooses sets and
thresholds by language is the same for both and stands here: `RulesByLanguage`.
"""

import dataclasses
import math
import pathlib
import re
from collections.abc import Mapping
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from datapipe.checks import check_known, is_language
from datapipe.text import words

# By language, as ISO 639 codes, "code" and "default": names of sets; thresholds of rules, null = off.
RuleSets = dict[str, list[str]]
Thresholds = dict[str, dict[str, float | None]]
DEFAULT = "default"


class AnyRule(Protocol):
    """What rules of documents and rules of lines have in common."""

    @property
    def threshold(self) -> float:
        """The published one."""

    def at(self, threshold: float) -> Self:
        """The rule with another threshold."""

    def check_threshold(self, field: str, threshold: float) -> None:
        """Raise a ValueError that begins with the field, if the rule makes no sense with a threshold."""


RuleT = TypeVar("RuleT", bound=AnyRule)


@dataclasses.dataclass(frozen=True)
class RulesByLanguage(Generic[RuleT]):
    """The rules of a stage, and which of them judge a language.

    Attributes:
        stage: its name, for errors.
        sets: its sets of rules, by their names.
        language_sets: the sets that judge a language; those of "default" judge the languages not named.
        language_thresholds: departures from the published thresholds, in languages whose sets no recipe replaces.
    """

    stage: str
    sets: Mapping[str, Mapping[str, RuleT]]
    language_sets: RuleSets
    language_thresholds: Thresholds

    def check(self, rule_sets: RuleSets, thresholds: Thresholds) -> None:
        """Check what a recipe says.

        Raises:
            ValueError: if a language, set or rule is unknown, a rule is not among those that judge the language, or its
                threshold makes no sense.
        """
        for language in (*rule_sets, *thresholds):
            known = re.fullmatch("[a-z]{2,3}|code", language) and is_language(language)
            if language != DEFAULT and not known:
                raise ValueError(
                    f"{self.stage}: languages are ISO 639 codes without a script, 'code' or 'default', got {language!r}"
                )
        for language, sets in rule_sets.items():
            for name in sets:
                check_known(f"{self.stage}: rule_sets.{language}: unknown rule set", name, self.sets)
        for language, own in thresholds.items():
            rules = self._published(language, rule_sets)
            for name, threshold in own.items():
                check_known(f"{self.stage}: thresholds.{language}: unknown rule", name, rules)
                if threshold is not None:
                    rules[name].check_threshold(f"{self.stage}: thresholds.{language}.{name}", threshold)

    def rules_of(self, language: str, rule_sets: RuleSets, thresholds: Thresholds) -> dict[str, RuleT]:
        """The rules that judge a language under a recipe, by name, in order, with their thresholds.

        Args:
            language: the code of a document's language.
            rule_sets: sets that replace those of `language_sets`, and with them its departures.
            thresholds: those of "default" hold for all languages that take its sets.
        """
        group, chosen = self._group(language, rule_sets), dict[str, float | None]()
        built_in = {} if group in rule_sets else self.language_thresholds
        for by_language in (built_in, thresholds):
            for source in (group, language):
                chosen |= by_language.get(source, {})
        rules = {}
        for name, rule in self._published(language, rule_sets).items():
            threshold = chosen.get(name, rule.threshold)
            if threshold is not None:
                rules[name] = rule.at(threshold)
        return rules

    def sets_of(self, language: str, rule_sets: RuleSets) -> dict[str, str]:
        """The set of each rule that may judge a language under a recipe: that whose threshold is the published one."""
        chosen = (self.language_sets | rule_sets)[self._group(language, rule_sets)]
        return {name: set_name for set_name in chosen for name in self.sets[set_name]}

    def _group(self, language: str, rule_sets: RuleSets) -> str:
        return language if language in self.language_sets or language in rule_sets else DEFAULT

    def _published(self, language: str, rule_sets: RuleSets) -> dict[str, RuleT]:
        sets = (self.language_sets | rule_sets)[self._group(language, rule_sets)]
        return {name: rule for chosen in sets for name, rule in self.sets[chosen].items()}


MIN, MAX = "min", "max"


class Rule(NamedTuple):
    """Keep a document whose measurement is at least ("min") or at most ("max") the threshold; null always passes."""

    measurement: str
    side: str
    threshold: float

    @property
    def highest(self) -> float:
        """The highest value of the measurement; the lowest is 0."""
        # Only the shares of commonest n-grams pass 1, where an n-gram overlaps itself.
        return 1 if self.measurement.endswith("_share") and not self.measurement.startswith("top_") else math.inf

    def can_fire(self, threshold: float) -> bool:
        """Whether any document fails the rule at a threshold."""
        return threshold > 0 if self.side == MIN else threshold < self.highest

    def can_pass(self, threshold: float) -> bool:
        """Whether any document passes the rule at a threshold."""
        return threshold <= self.highest if self.side == MIN else threshold >= 0

    def at(self, threshold: float) -> "Rule":
        """The rule with another threshold."""
        return self._replace(threshold=threshold)

    def check_threshold(self, field: str, threshold: float) -> None:
        """Raise a ValueError if no document, or every one, would fail the rule."""
        if not self.can_fire(threshold):
            bounds = f"{self.measurement} lies between 0 and {self.highest}"
            raise ValueError(
                f"{field}: the rule can never fire, since {bounds}, got {threshold!r}; null switches it off"
            )
        if not self.can_pass(threshold):
            raise ValueError(f"{field}: the rule removes every document, got {threshold!r}")


def _repetition(prefix: str, measured: str, top: tuple[float, ...], duplicate: tuple[float, ...]) -> dict[str, Rule]:
    """The n-gram rules: commonest 2-, 3-, 4-gram and repeated 5- to 10-grams."""
    rules = {f"{prefix}_top_{n}{measured}": Rule(f"top_{n}{measured}_share", MAX, t) for n, t in enumerate(top, 2)}
    return rules | {
        f"{prefix}_duplicate_{n}{measured}": Rule(f"duplicate_{n}{measured}_share", MAX, t)
        for n, t in enumerate(duplicate, 5)
    }


# Rae et al. 2021, A.1.1.
_GOPHER_QUALITY = {
    "gopher_min_words": Rule("words", MIN, 50),
    "gopher_max_words": Rule("words", MAX, 100_000),
    "gopher_min_word_length": Rule("mean_word_length", MIN, 3),
    "gopher_max_word_length": Rule("mean_word_length", MAX, 10),
    "gopher_hash_ratio": Rule("hash_ratio", MAX, 0.1),
    "gopher_ellipsis_ratio": Rule("ellipsis_ratio", MAX, 0.1),
    "gopher_bullet_lines": Rule("bullet_line_share", MAX, 0.9),
    "gopher_ellipsis_lines": Rule("ellipsis_line_share", MAX, 0.3),
    "gopher_alphabetic_words": Rule("alphabetic_word_share", MIN, 0.8),
    "gopher_stop_words": Rule("stop_words", MIN, 2),
}
# DCLM judges hashes and ellipses together; dolma also takes the median word length. Both go with their `definition` of
# the measurements.
_DCLM_QUALITY = {name: rule for name, rule in _GOPHER_QUALITY.items() if "_ratio" not in name} | {
    "gopher_symbol_ratio": Rule("symbol_ratio", MAX, 0.1)
}
_DOLMA_QUALITY = _DCLM_QUALITY | {
    "gopher_min_word_length": Rule("median_word_length", MIN, 3),
    "gopher_max_word_length": Rule("median_word_length", MAX, 10),
}

# The code that made C4 (tensorflow/datasets).
_C4 = {
    "c4_lorem_ipsum": Rule("lorem_ipsum", MAX, 0),
    "c4_curly_brackets": Rule("curly_brackets", MAX, 0),
    "c4_min_sentences": Rule("sentences", MIN, 3),
    "c4_max_characters": Rule("characters", MAX, 190_000),
}

RULE_SETS: dict[str, dict[str, Rule]] = {
    "gopher_quality": _GOPHER_QUALITY,
    "gopher_quality_dclm": _DCLM_QUALITY,
    "gopher_quality_dolma": _DOLMA_QUALITY,
    "gopher_repetition": {
        "gopher_duplicate_lines": Rule("duplicate_line_share", MAX, 0.3),
        "gopher_duplicate_line_characters": Rule("duplicate_line_character_share", MAX, 0.2),
        "gopher_duplicate_paragraphs": Rule("duplicate_paragraph_share", MAX, 0.3),
        "gopher_duplicate_paragraph_characters": Rule("duplicate_paragraph_character_share", MAX, 0.2),
        **_repetition("gopher", "gram", (0.2, 0.18, 0.16), (0.15, 0.14, 0.13, 0.12, 0.11, 0.1)),
    },
    "c4": _C4,
    "c4_paper": _C4 | {"c4_min_sentences": Rule("sentences", MIN, 5)},  # Raffel et al. 2020, 2.2; datatrove
    "mc4": {"mc4_long_lines": Rule("long_lines", MIN, 3)},
    # Penedo et al. 2024, 3.5.
    "fineweb": {
        "fineweb_terminal_punctuation": Rule("terminal_punctuation_line_share", MIN, 0.12),
        "fineweb_short_lines": Rule("short_line_share", MAX, 0.67),
        "fineweb_duplicate_characters": Rule("duplicate_character_share", MAX, 0.01),
        "fineweb_newlines": Rule("newline_word_ratio", MAX, 0.3),
    },
    "ccnet": {"ccnet_min_characters": Rule("characters", MIN, 300)},  # Wenzek et al. 2020
    # Of no paper: what is no text in any language, so that neither the language nor examples of it need be known.
    # Letters at random have a lift of 1 at most, good texts in 200 languages 1.1 at least (`text/letter_pairs.py`). No
    # declaration of human rights, page of an encyclopaedia, a newspaper or a manual stands to a half in them.
    "no_text": {
        "no_text_letter_pairs": Rule("letter_pair_lift", MIN, 1.1),
        "no_text_notices": Rule("notice_share", MAX, 0.6),
        "no_text_adverts": Rule("advert_share", MAX, 0.5),
        "no_text_exclamations": Rule("exclamation_share", MAX, 0.8),
    },
    # What of the above carries over to scripts without spaces between words, where the words are characters.
    "unspaced": {
        "unspaced_min_characters": Rule("characters", MIN, 50),
        "unspaced_bullet_lines": Rule("bullet_line_share", MAX, 0.9),
        "unspaced_ellipsis_lines": Rule("ellipsis_line_share", MAX, 0.3),
        "unspaced_stop_words": Rule("stop_words", MIN, 2),
        "unspaced_min_run_length": Rule("mean_run_length", MIN, 9),  # between spaces: in a menu, a word or two
        "unspaced_duplicate_lines": Rule("duplicate_line_share", MAX, 0.3),
        "unspaced_duplicate_characters": Rule("duplicate_character_share", MAX, 0.1),
        "unspaced_terminal_punctuation": Rule("terminal_punctuation_line_share", MIN, 0.106),
        **_repetition("unspaced", "gram", (0.2, 0.18, 0.16), (0.6,) * 6),  # on characters, as MAP-NEO
    },
    # FineWeb-2's thresholds for cmn_Hani (Penedo et al. 2025), fitted on segmented words. Its least language score,
    # 0.692, belongs to the stage `language_filter`.
    "fineweb2_zh": {
        "zh_duplicate_lines": Rule("duplicate_line_share", MAX, 0.287),
        **_repetition("zh", "gram", (0.256, 0.201, 0.171), (0.198, 0.182, 0.167, 0.154, 0.14, 0.127)),
        "zh_terminal_punctuation": Rule("terminal_punctuation_line_share", MIN, 0.106),
        "zh_newlines": Rule("newline_word_ratio", MAX, 0.178),
        "zh_duplicate_characters": Rule("duplicate_character_share", MAX, 0.1),
        "zh_min_word_length": Rule("mean_word_length", MIN, 1),
        "zh_max_word_length": Rule("mean_word_length", MAX, 5),
        "zh_alphabetic_words": Rule("alphabetic_word_share", MIN, 0.735),
        "zh_stop_words": Rule("stop_words", MIN, 2),
    },
    # MAP-NEO (Zhang et al. 2024), Chinese documents.
    "map_neo_zh": {
        "map_neo_brackets": Rule("bracket_share", MAX, 0.1),
        "map_neo_min_sentences": Rule("sentences", MIN, 2),
        "map_neo_min_characters": Rule("characters", MIN, 50),
        "map_neo_max_characters": Rule("characters", MAX, 10_000),
        "map_neo_min_word_length": Rule("mean_word_length", MIN, 1.3),
        "map_neo_max_word_length": Rule("mean_word_length", MAX, 10),
        "map_neo_hash_runs": Rule("hash_run_share", MAX, 0.1),
        "map_neo_ellipses": Rule("ellipsis_share", MAX, 0.1),
        "map_neo_digits": Rule("digit_share", MAX, 0.3),
        "map_neo_continuation_lines": Rule("continuation_line_share", MAX, 0.3),
        "map_neo_bullet_lines": Rule("bullet_line_share", MAX, 0.9),
        "map_neo_punctuation": Rule("punctuation_marks", MIN, 1),
        "map_neo_unique_characters": Rule("unique_character_share", MIN, 0.1),
        "map_neo_entropy": Rule("character_entropy", MIN, 3),
        **_repetition("map_neo", "character", (0.2, 0.18, 0.16), (0.6,) * 6),
    },
    # ChineseWebText (Chen et al. 2023). Its limit on sensitive words belongs to the stage `safety_filter`. It drops a
    # page that the conversion to simplified script changes; of 18,157 Chinese texts OpenCC changes two in phrases only,
    # which `traditional_share` does not see.
    "chinese_web_text": {
        "chinese_web_text_min_characters": Rule("characters", MIN, 201),
        "chinese_web_text_mean_line_length": Rule("mean_line_length", MIN, 10),
        "chinese_web_text_han": Rule("han_share", MIN, 0.3),
        "chinese_web_text_traditional": Rule("traditional_share", MAX, 0),
        "chinese_web_text_repetition": Rule("repeated_13gram_share", MAX, 0.5),
    },
    # RedPajama v1, GitHub part; StarCoder (Li et al. 2023) uses the first three. RedPajama counts a tokenizer's tokens:
    # on Python's library our lexical tokens give 0.97 times cl100k's ratio on the median (correlation 0.87).
    "code": {
        "code_max_line_length": Rule("max_line_length", MAX, 1000),
        "code_mean_line_length": Rule("mean_whole_line_length", MAX, 100),
        "code_alphanumeric": Rule("alphanumeric_share", MIN, 0.25),
        "code_letters_per_token": Rule("letters_per_token", MIN, 1.5),
    },
}

# Who published the rules of each set, in a word.
SOURCES: dict[str, str] = {
    "gopher_quality": "Gopher",
    "gopher_quality_dclm": "DCLM",
    "gopher_quality_dolma": "dolma",
    "gopher_repetition": "Gopher",
    "c4": "C4",
    "c4_paper": "C4",
    "mc4": "mC4",
    "fineweb": "FineWeb",
    "ccnet": "CCNet",
    "no_text": "datapipe",
    "unspaced": "datapipe",
    "fineweb2_zh": "FineWeb-2",
    "map_neo_zh": "MAP-NEO",
    "chinese_web_text": "ChineseWebText",
    "code": "RedPajama",
}

LANGUAGE_SETS: dict[str, list[str]] = {
    DEFAULT: ["gopher_quality", "gopher_repetition", "c4", "fineweb", "no_text"],
    "zh": ["fineweb2_zh", "map_neo_zh", "no_text"],
    "code": ["code"],
    **{language: ["unspaced", "no_text"] for language in ("ja", *sorted(words.UNSEGMENTED))},
}
# Fifty words are as much as a language says in fifty: see `sample_data/declarations.py`.
SCALED_BY_LANGUAGE = ("gopher_min_words", "gopher_min_word_length", "gopher_max_word_length")
_WORD_THRESHOLDS = pathlib.Path(__file__).with_name("word_thresholds.tsv")


def _scaled_thresholds() -> dict[str, dict[str, float | None]]:
    lines = _WORD_THRESHOLDS.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {language: dict(zip(SCALED_BY_LANGUAGE, map(float, own), strict=True)) for language, *own in rows}


# Departures from the published thresholds where those throw away good text, for languages that keep their sets.
# C4's "{" removes technical prose, and its three sentences a page that is one good paragraph; FineWeb-2 left C4 out.
# FineWeb's 0.01 removes pages whose headings return at the foot: FineWeb-2 took 0.1, and dropped the rule on short
# lines, which removes manuals (three in four of LibreOffice's help pages).
# The share of distinct characters falls with length: MAP-NEO's 0.1 removes a third of LCTT's translated articles. Its
# two sentences remove abstracts of one long sentence.
# FineWeb-2's 0.178 line breaks a word, fitted to encyclopaedias, remove manuals (four in ten of LibreOffice's help
# pages in Chinese): they may have as many as English pages, FineWeb's 0.3.
# C4's 190,000 characters and Gopher's 100,000 words are limits of web pages: a book in one file is longer.
# Thai, Lao, Tibetan and Dzongkha end a sentence by a space, or by a mark that ends a phrase too. Where there is a full
# stop, it tells prose from a menu, and spaces do not: Japanese manuals have them around foreign words.
_NO_FULL_STOP: dict[str, float | None] = {"unspaced_terminal_punctuation": None}
_FULL_STOP: dict[str, float | None] = {"unspaced_min_run_length": None}
LANGUAGE_THRESHOLDS: dict[str, dict[str, float | None]] = _scaled_thresholds() | {
    DEFAULT: {
        "c4_curly_brackets": None,
        "c4_max_characters": None,
        "c4_min_sentences": None,
        "gopher_max_words": None,
        "fineweb_duplicate_characters": 0.1,
        "fineweb_short_lines": None,
    },
    "zh": {
        "map_neo_unique_characters": None,
        "map_neo_max_characters": None,
        "map_neo_min_sentences": 1,
        "zh_newlines": 0.3,
    },
    **dict.fromkeys(("th", "lo", "bo", "dz"), _NO_FULL_STOP),
    **dict.fromkeys(("ja", "km", "my"), _FULL_STOP),
}
DOCUMENT_RULES = RulesByLanguage("rules", RULE_SETS, LANGUAGE_SETS, LANGUAGE_THRESHOLDS)
