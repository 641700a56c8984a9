"""The stages that a recipe can name, in the order in which data flows. To add one, see CONTRIBUTING.md."""

from datapipe.dedup.cross_run_duplicates import FindCrossRunDuplicates
from datapipe.dedup.cut_repeated_text import CutRepeatedText
from datapipe.dedup.duplicate_ids import FindDuplicateIds
from datapipe.dedup.embeddings import EmbedDocuments
from datapipe.dedup.exact_duplicates import FindExactDuplicates
from datapipe.dedup.held_out import HoldOut
from datapipe.dedup.near_duplicates import FindNearDuplicates
from datapipe.dedup.repeated_text import FindRepeatedText
from datapipe.dedup.semantic_duplicates import FindSemanticDuplicates
from datapipe.dedup.signatures import ComputeSignatures
from datapipe.filters.column_filter import FilterColumns
from datapipe.filters.control_tokens import CheckControlTokens
from datapipe.filters.language import IdentifyLanguage
from datapipe.filters.language_filter import FilterLanguage
from datapipe.filters.lines import RemoveLines
from datapipe.filters.measurements import MeasureText
from datapipe.filters.passage_filter import CutSentences
from datapipe.filters.passages import ScorePassages
from datapipe.filters.perplexity import ScorePerplexity
from datapipe.filters.perplexity_filter import FilterPerplexity
from datapipe.filters.personal_data import MaskPersonalData
from datapipe.filters.quality import ScoreQuality
from datapipe.filters.quality_filter import FilterQuality
from datapipe.filters.rules import ApplyRules
from datapipe.filters.safety import ScoreSafety
from datapipe.filters.safety_filter import FilterSafety
from datapipe.filters.url_filter import FilterAddresses
from datapipe.mix.caps import CapGroups
from datapipe.mix.chat import RenderDialogues
from datapipe.mix.chat_tokens import EncodeDialogues
from datapipe.mix.contaminated_tokens import FindContaminatedTokens
from datapipe.mix.decontamination import Decontaminate
from datapipe.mix.evaluation_questions import FindEvaluationQuestions
from datapipe.mix.glm_samples import WriteGLMSamples
from datapipe.mix.held_out_shards import WriteHeldOutShards
from datapipe.mix.mixture import MixSources
from datapipe.mix.packing import PackDialogues
from datapipe.mix.shards import WriteShards
from datapipe.mix.tokens import CountTokens
from datapipe.mix.topics import FindTopics
from datapipe.mix.upsampling import WeighDocuments
from datapipe.read.documents import ReadDocuments
from datapipe.read.instructions import ReadInstructions
from datapipe.stage import Stage
from tokenizer_training.extended_tokenizer import ExtendTokenizer
from tokenizer_training.pruned_tokenizer import PruneTokenizer
from tokenizer_training.train import TrainTokenizer

# Every stage a recipe can name, in the order in which data flows.
STAGES: tuple[type[Stage], ...] = (
    ReadDocuments,
    ReadInstructions,
    FilterColumns,
    FilterAddresses,
    FindDuplicateIds,
    IdentifyLanguage,
    FilterLanguage,
    RemoveLines,
    MeasureText,
    ApplyRules,
    ScoreQuality,
    ScorePerplexity,
    FilterPerplexity,
    ScoreSafety,
    FilterSafety,
    FilterQuality,
    ScorePassages,
    CutSentences,
    HoldOut,
    FindExactDuplicates,
    ComputeSignatures,
    FindCrossRunDuplicates,
    FindNearDuplicates,
    FindRepeatedText,
    CutRepeatedText,
    EmbedDocuments,
    Decontaminate,
    FindEvaluationQuestions,
    FindContaminatedTokens,
    FindSemanticDuplicates,
    FindTopics,
    WeighDocuments,
    CheckControlTokens,
    MaskPersonalData,
    TrainTokenizer,
    ExtendTokenizer,
    PruneTokenizer,
    RenderDialogues,
    EncodeDialogues,
    CountTokens,
    CapGroups,
    MixSources,
    WriteShards,
    WriteHeldOutShards,
    PackDialogues,
    WriteGLMSamples,
)

BY_NAME: dict[str, type[Stage]] = {stage.name: stage for stage in STAGES}
# The last stage of all that writes a column, but for `text`, which several write again.
WRITERS: dict[str, str] = {column: stage.name for stage in reversed(STAGES) for column in stage.writes.names}
