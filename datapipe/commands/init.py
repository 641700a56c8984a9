"""`datapipe init`: a recipe to begin with, for the data that one has: the default one, with how they are read."""

import os
import pathlib
import re
from collections.abc import Sequence

import yaml

from datapipe.commands.console import STRONG, say
from datapipe.commands.recipes import recipe_path

_HINTS = """\
      # What else can be said of how inputs are read; `datapipe stages documents` has it all.
      # text_unit: line              # of plain text, a line is a document, not a file
      # encodings: [gb18030, big5]   # of bytes that are no UTF-8
      # main_content: false          # of web pages, all visible text
      # max_reject_share: 0.01       # more rejects than this fail the run
"""


def init(inputs: Sequence[str], output: str) -> None:
    """Write a recipe.

    Args:
        inputs: the data that it is for, looked at; none: the default recipe with what can be said of inputs.
        output: the file.

    Raises:
        ValueError: if the file is there already, or there is nothing in the inputs.
    """
    path = pathlib.Path(output)
    if path.exists():
        raise ValueError(f"{output} is there already: choose another name by --output")
    begin, found = "", ["", "  - documents:"]
    if inputs:
        # Imported here: to look at data brings Beam along.
        from datapipe.commands.inspect import count_languages, look_twice

        seen, options = look_twice(inputs)
        files = sum(of.files for of in seen.formats.values())
        formats = ", ".join(f"{of.files:,} {name}" for name, of in sorted(seen.formats.items()))
        languages = ", ".join(f"{name} {count:,}" for name, count in count_languages(seen.documents).items())
        begin = f"# For {' '.join(inputs)}: {files:,} files ({formats}).\n"
        begin += f"# Of {len(seen.documents):,} documents looked at, by language: {languages}.\n" if languages else ""
        if options:
            said = yaml.safe_dump(options, allow_unicode=True, sort_keys=False, default_flow_style=None)
            found += [f"      {line}" for line in said.splitlines()]
    default = pathlib.Path(recipe_path("default")).read_text(encoding="utf-8")
    documents = "\n".join(found[1:]) + "\n" + _HINTS
    recipe, count = re.subn(r"^  - documents$\n", lambda _: documents, default, count=1, flags=re.MULTILINE)
    if count != 1:
        raise RuntimeError("the default recipe has no stage `documents` of its own line")
    path.write_text(begin + recipe, encoding="utf-8")
    say((output, STRONG), ": the default recipe", " for these data" if inputs else "", "; it says what each stage does")
    data = " ".join(inputs) or "DATA"
    say(f"try it:  datapipe run {output} --input {data} --output out/try --sample 200")
    say(f"run it:  datapipe run {output} --input {data} --output out/{os.path.splitext(path.name)[0]}")  # noqa: PTH122
