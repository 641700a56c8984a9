"""Names that recipes had before lead to names that they have now."""

from datapipe.checks import option_types
from datapipe.engine.renamed import LISTS, MOVED_OPTIONS, RENAMED_OPTIONS, RENAMED_STAGES
from datapipe.engine.stages import NAMES, stage_class
from datapipe.mix.selection import PART_KIND


def test_every_new_name_exists_and_no_old_one_does() -> None:
    for old, new in RENAMED_STAGES.items():
        assert new in NAMES
        assert old not in NAMES
    for (stage, old), (new_stage, new) in MOVED_OPTIONS.items():
        assert new in option_types(stage_class(new_stage))
        assert old not in option_types(stage_class(stage))
    for (stage, option), names in LISTS.items():
        assert option in option_types(stage_class(stage))
        assert PART_KIND in names.values()
    for (stage, old), new in RENAMED_OPTIONS.items():
        options = option_types(stage_class(stage))
        assert new in options, (stage, new)
        assert old not in options, (stage, old)
