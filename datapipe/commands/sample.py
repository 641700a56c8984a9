"""`datapipe sample`: a few documents to read, of those that a reason removed or that are kept."""

from collections.abc import Sequence

from datapipe.commands.console import BAD, GOOD, QUIET, STRONG, plain, say, say_json
from datapipe.commands.inspection import open_run
from datapipe.engine.explain import explain, look_up, place_of
from datapipe.engine.marks import excerpt, mark
from datapipe.engine.sampling import Sampled, count_fates, pick
from datapipe.engine.verdicts import document_id

CHARACTERS = 400


def sample(
    output: str,
    *,
    reason: str | None,
    count: int,
    borderline: bool,
    where: Sequence[str],
    seed: int,
    as_json: bool = False,
) -> None:
    """Print a few documents of a run, or, where no reason is given, how many there are of each.

    Args:
        output: the folder of the run.
        reason: "kept", a stage, or a reason.
        count: how many.
        borderline: those nearest to the threshold that decided.
        where: `column=value` that they must have.
        seed: another choice.
        as_json: for programs.

    Raises:
        ValueError: if there is no such run, reason or column.
    """
    corpus, record = open_run(output)
    if reason is None:
        counts = count_fates(corpus)
        if as_json:
            say_json(counts)
            return
        for fate, number in counts.items():
            say(f"{number:9,}  {fate}")
        say((f"to read some: datapipe sample {output} --reason {next(iter(counts))}", QUIET))
        return
    wanted = dict(_pair(each) for each in where)
    known = {name for part in corpus.parts for name in part.columns}
    for name in wanted:
        if name not in known:
            raise ValueError(f"--where: no document has a column {name!r}; there are {', '.join(sorted(known))}")
    found = pick(corpus, record.options, reason, count, borderline=borderline, where=wanted, seed=seed)
    said = []
    for each in found:
        place = place_of(corpus, each.id)
        if place is None:
            raise RuntimeError(f"{document_id(each.id)} is in no part")
        explained, columns = explain(corpus, record.options, place), look_up(corpus, place)
        if as_json:
            about = {"document": explained.document, "verdict": str(explained.verdict), "margin": each.margin}
            said.append(about | {"columns": columns})
            continue
        _say(each, str(explained.verdict), columns["path"], *excerpt(explained.text, explained.spans, CHARACTERS))
    if as_json:
        say_json(said)
    elif not found:
        say("there is none")


def _say(each: Sampled, verdict: str, path: str, text: str, spans: list[tuple[int, int]]) -> None:
    margin = "" if each.margin is None else f", {each.margin:.1%} from the threshold of {each.nearest}"
    say((f"{document_id(each.id)}  ", STRONG), (plain(verdict), GOOD if each.fate == "kept" else BAD), (margin, QUIET))
    say((f"{plain(path)}", QUIET))
    say(plain(mark(text, spans)))
    say()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--where must be column=value, such as source=web, got {text!r}")
    return name, value
