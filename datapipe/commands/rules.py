"""`datapipe rules`: what the rules measure and ask for, who published it, and in a run what each did."""

import dataclasses

from datapipe.commands.console import QUIET, say, say_json, say_table
from datapipe.commands.inspection import open_run
from datapipe.engine.rule_counts import RuleOf, count_rules_by_language, rules_of
from datapipe.engine.verdicts import RULES, number
from datapipe.filters.rule_sets import LANGUAGE_SETS, MIN
from datapipe.text.words import primary


def list_rules(output: str | None, *, language: str | None, as_json: bool = False) -> None:
    """Print the rules of a run with their counts, or those that judge a language by default.

    Args:
        output: the folder of a run; None: the rules as they are built in.
        language: only of this one.
        as_json: for programs.

    Raises:
        ValueError: if there is no such run, or it has judged no document in the language.
    """
    wanted = None if language is None else primary(language)
    if output is None:
        rules = rules_of(wanted or "en", {})
    else:
        corpus, record = open_run(output)
        rules = count_rules_by_language(corpus, record.options.get(RULES, {}))
        if wanted is not None:
            known = list(dict.fromkeys(rule.language for rule in rules))
            rules = [rule for rule in rules if rule.language == wanted]
            if not rules:
                raise ValueError(f"the rules have judged no document in {language!r}; there are {', '.join(known)}")
    if as_json:
        say_json([dataclasses.asdict(rule) for rule in rules])
        return
    if output is not None and wanted is None:  # all languages at once are a thousand lines
        rules = [rule for rule in rules if rule.fails]
    header = ["language", "rule", "measures", "needs", "source"]
    header += ["judged", "fails", "first", "only"] if output is not None else []
    say_table([header, *(_row(rule, counts=output is not None) for rule in rules)], left=range(5))
    if output is not None and wanted is None:
        say(("rules that no document fails are left out; --language LANGUAGE has all of one", QUIET))
    if output is None:
        others = ", ".join(LANGUAGE_SETS)
        say((f"as they judge {wanted or 'en'}; sets of their own have {others}", QUIET))


def _row(rule: RuleOf, *, counts: bool) -> list[str]:
    source = rule.source if rule.published is None else f"{rule.source} has {number(rule.published)}"
    needs = f"{'>=' if rule.side == MIN else '<='} {number(rule.threshold)}"
    row = [rule.language, rule.rule, rule.measurement, needs, source]
    return row + [f"{count:,}" for count in (rule.judged, rule.fails, rule.first, rule.only)] if counts else row
