"""The document stages in a Beam pipeline of your own: JSON lines in, clean JSON lines and the removed ones out.

    python -m pipelines.clean_jsonl --input 'raw/*.jsonl' --output clean/part

Reads what Beam's `ReadFromText` reads (plain, gz, bz2; `gs://` too). Deduplication needs the whole corpus and row ids,
and so a corpus on disk: use `datapipe run` for it.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from datapipe.filters.language import IdentifyLanguage
from datapipe.filters.measurements import MeasureText
from datapipe.filters.rules import ApplyRules

KEPT, REMOVED = "kept", "removed"


def as_batch(texts: list[str]) -> pa.RecordBatch:
    """Texts as the batch that document stages take."""
    return pa.record_batch({"text": pa.array(texts, pa.string())})


def decided(batch: pa.RecordBatch) -> Iterator[beam.pvalue.TaggedOutput]:
    """The rows of a judged batch, each as a JSON line under its fate."""
    for row in batch.select(["text", "language", "rules_reason"]).to_pylist():
        reason = row.pop("rules_reason")
        line = json.dumps(row if reason is None else {**row, "reason": reason}, ensure_ascii=False)
        yield beam.pvalue.TaggedOutput(KEPT if reason is None else REMOVED, line)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline; unknown flags go to Beam."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--input", required=True, help="a glob of JSON lines with a field `text`")
    parser.add_argument("--output", required=True, help="prefix of the files written")
    arguments, flags = parser.parse_known_args(argv)
    runner = None if any(flag.startswith("--runner") for flag in flags) else FnApiRunner()
    with beam.Pipeline(runner=runner, options=PipelineOptions(flags)) as pipeline:
        outputs = (
            pipeline
            | "Read" >> beam.io.ReadFromText(arguments.input)
            | "Parse" >> beam.Map(lambda line: json.loads(line)["text"]).with_output_types(str)
            | "Batch" >> beam.BatchElements(min_batch_size=1000, max_batch_size=4000)
            | "AsBatch" >> beam.Map(as_batch).with_output_types(pa.RecordBatch)
            | IdentifyLanguage()
            | MeasureText()
            | ApplyRules()
            | "Decide" >> beam.FlatMap(decided).with_outputs(KEPT, REMOVED)
        )
        for fate in (KEPT, REMOVED):
            path = f"{arguments.output}-{fate}"
            _ = outputs[fate] | f"Write {fate}" >> beam.io.WriteToText(path, file_name_suffix=".jsonl")
    return 0


if __name__ == "__main__":
    sys.exit(main())
