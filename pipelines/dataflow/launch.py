"""What a Flex template's launcher runs: the driver of a run, which sends the run's jobs itself.

A template stands for one job, and the launcher passes `--template_location`, where that job is to be described; a run
is several, each made from what those before it wrote. So the run comes first, with the flags of the launcher but that
one, and the template's own job is a last, small one that looks whether the run is there.
"""

import sys
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from datapipe.cli import main as datapipe
from datapipe.engine.output import open_corpus

TEMPLATE = "--template_location"
OWN = ("--recipe", "--input", "--output")


def main(argv: Sequence[str]) -> int:
    """Run a recipe, and describe the template's own job; the exit status is that of `datapipe run`."""
    status = datapipe(arguments(argv))
    if status == 0 and any(_name(flag) == TEMPLATE for flag in argv):
        output = next(flag.partition("=")[2] for flag in argv if _name(flag) == "--output")
        flags = [flag for flag in argv if _name(flag) not in OWN]
        with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
            _ = pipeline | "Output" >> beam.Create([output]) | "Look" >> beam.Map(look)
    return status


def arguments(argv: Sequence[str]) -> list[str]:
    """The launcher's flags, each `--name=value`, as arguments of `datapipe`.

    >>> arguments(["--recipe=qwen", "--input=gs://b/in", "--output=gs://b/out", "--region=r", "--template_location=t"])
    ['run', 'qwen', '--input', 'gs://b/in', '--output', 'gs://b/out', '--region=r']
    """
    given = dict.fromkeys(OWN, "") | {_name(flag): flag.partition("=")[2] for flag in argv}
    paths = [word for name in OWN[1:] for word in (name, given[name])]
    rest = [flag for flag in argv if _name(flag) not in (*OWN, TEMPLATE)]
    return ["run", given["--recipe"] or "default", *paths, *rest]


def look(output: str) -> int:
    """How many documents a finished run holds.

    Raises:
        RunError: if there is none.
    """
    return sum(part.rows for part in open_corpus(output)[0].parts)


def _name(flag: str) -> str:
    return flag.partition("=")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
