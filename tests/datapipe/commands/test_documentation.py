"""Options are described by their own docstrings."""

import dataclasses

from datapipe.commands.documentation import attributes_section, documented_options
from tokenizer_training.options import TrainingOptions
from tokenizer_training.tokenizer import TrainTokenizer


def test_every_option_of_training_is_documented_in_one_line() -> None:
    documented = documented_options(TrainingOptions)
    assert list(documented) == [field.name for field in dataclasses.fields(TrainingOptions)]
    assert documented["chinese"].endswith("on top; they leave text without Han exactly as it was.")
    assert not any("\n" in text or "  " in text for text in documented.values())


def test_a_class_documents_what_it_adds() -> None:
    assert list(documented_options(TrainTokenizer)) == ["weight_column"]
    assert attributes_section(object) == ""
