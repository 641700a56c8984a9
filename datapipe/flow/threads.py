"""Beam's local runner, in threads of this process."""

import bz2
import collections
import functools
import inspect
import itertools
import pickle
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam import pipeline
from apache_beam.internal import cloudpickle_pickler, pickler
from apache_beam.metrics import monitoring_infos
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_fn_api_pb2, beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import BundleManager
from apache_beam.runners.runner import PipelineResult
from apache_beam.runners.worker import bundle_processor, operations, statesampler
from apache_beam.transforms import core, userstate
from apache_beam.typehints import decorators
from apache_beam.utils import interactive_utils, thread_pool_executor

# Of each step, for each thread: so many that the last to end is late by little; each costs a millisecond.
BUNDLES = 4
# Of a part. A few parts of 32 MiB would be 2 : 1 for two workers; a piece costs a look at the footers of its files.
PIECES = 8


class ThreadsRunner(FnApiRunner):
    """Beam's own local runner, with the bundles of each step in so many threads of this process.

    Beam's choices are one thread, threads that are served over the network, and processes. The kernels hold no lock,
    and threads share what models and tables take: two threads took 840 MiB where two processes took 1,605. Nothing
    listens on a port.
    """

    def __init__(self, threads: int, pieces: int = PIECES) -> None:
        """A runner.

        Args:
            threads: how many.
            pieces: into how many each part is cut at most where a step works piece by piece.
        """
        super().__init__()
        self.threads = threads
        self.pieces = pieces
        _lighten_beam()

    def run_pipeline(self, pipeline: beam.Pipeline, options: PipelineOptions) -> PipelineResult:
        _here.stays = True
        try:
            return super().run_pipeline(pipeline, options)
        finally:
            _here.stays = False

    def run_via_runner_api(
        self, pipeline_proto: beam_runner_api_pb2.Pipeline, options: PipelineOptions
    ) -> PipelineResult:
        self._num_workers = self.threads
        return super().run_via_runner_api(pipeline_proto, options)

    def _get_bundle_manager(self, bundle_context_manager: Any) -> Any:
        beams = super()._get_bundle_manager(bundle_context_manager)
        return beams if type(beams) is BundleManager else _Dealer(bundle_context_manager, beams)


class _Dealer(BundleManager):
    """A step's elements in more bundles than there are threads, which take one after the other.

    Beam's own gives each thread half, or whatever its share is, at once: some are then done long before others.
    """

    def __init__(self, context: Any, beams: BundleManager) -> None:
        super().__init__(context, beams._progress_frequency, cache_token_generator=beams._cache_token_generator)

    def process_bundle(self, inputs: Any, expected_outputs: Any, fired_timers: Any, *rest: Any) -> Any:
        threads = self.bundle_context_manager.num_workers
        bundles: list[dict[str, list[bytes]]] = [{} for _ in range(BUNDLES * threads)]
        for name, elements in inputs.items():
            for bundle, some in zip(bundles, elements.partition(len(bundles)), strict=True):
                bundle[name] = some
        full = [bundle for bundle in bundles if any(map(any, bundle.values()))] or bundles[:1]
        waiting = collections.deque(zip(full, [fired_timers, *[{}] * (len(full) - 1)], strict=True))

        def take(number: int) -> list[Any]:
            context = _Handled(self.bundle_context_manager, number)
            done = []
            while waiting:
                try:
                    bundle, timers = waiting.popleft()
                except IndexError:  # another thread was faster
                    break
                manager = BundleManager(
                    context, self._progress_frequency, cache_token_generator=self._cache_token_generator
                )
                try:
                    done.append(manager.process_bundle(bundle, expected_outputs, timers, *rest))
                except BaseException:
                    waiting.clear()
                    raise
            return done

        with thread_pool_executor.shared_unbounded_instance() as executor:
            results = [result for some in executor.map(take, range(min(threads, len(full)))) for result in some]
        answers = [answer for answer, _ in results]
        merged = beam_fn_api_pb2.InstructionResponse(
            process_bundle=beam_fn_api_pb2.ProcessBundleResponse(
                monitoring_infos=monitoring_infos.consolidate(
                    itertools.chain.from_iterable(answer.process_bundle.monitoring_infos for answer in answers)
                )
            ),
            error=next((answer.error for answer in answers if answer.error), ""),
        )
        return merged, [split for _, splits in results for split in splits]


_here = threading.local()


class _Packing:
    """bz2 for Beam's pickles, but that what stays in this process is left as it is: to pack a step took longer than to
    pickle it."""

    @staticmethod
    def compress(content: bytes, compresslevel: int) -> bytes:
        return content if getattr(_here, "stays", False) else bz2.compress(content, compresslevel)

    @staticmethod
    def decompress(content: bytes) -> bytes:
        return content if content.startswith(pickle.PROTO) else bz2.decompress(content)


class _Steps:
    """Beam's pickler for workers, but that a worker gives its operations the steps that it has unpickled, as they are.

    Beam pickles and packs each anew, and unpickles it twice: as long as the rest of ten documents' smallest pipeline.
    """

    @staticmethod
    def dumps(step: tuple[Any, ...]) -> tuple[Any, ...]:
        return step

    @staticmethod
    def loads(step: Any) -> Any:
        return step if isinstance(step, tuple) else pickler.loads(step)  # type: ignore[no-untyped-call]


class _Unsampled(statesampler.StateSampler):
    """Does without the thread that looks every 2 to 200 ms at which step a bundle is, for a figure that nobody reads.

    At its end each bundle would wait until that thread wakes: 1 s of the main job on 100 MB of text.
    """

    def start(self) -> None:
        self.tracked_thread = threading.current_thread()
        statesampler.set_current_tracker(self)
        self.started = True

    def stop(self) -> None:
        statesampler.set_current_tracker(None)
        self.finished = True


class _Handled:
    """The context of a step, with what runs it for one of the threads alone."""

    def __init__(self, context: Any, number: int) -> None:
        self._context = context
        self.worker_handlers = [context.worker_handlers[number]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


_beam_signature: Callable[[Any], inspect.Signature] = decorators.get_signature
# Of functions, and of methods without their first parameter.
_signatures: weakref.WeakKeyDictionary[types.FunctionType, inspect.Signature] = weakref.WeakKeyDictionary()
_bound_signatures: weakref.WeakKeyDictionary[types.FunctionType, inspect.Signature] = weakref.WeakKeyDictionary()


def _signature(function: Any) -> inspect.Signature:
    """What Beam's own says of a function: its parameters and their types.

    Beam asks two dozen times for each step, for its types and for how it is called, which was a tenth of ten documents.
    """
    bare, known = function, _signatures
    if isinstance(function, types.MethodType):
        bare, known = function.__func__, _bound_signatures
    if not isinstance(bare, types.FunctionType):
        return _beam_signature(function)
    if bare not in known:
        known[bare] = _beam_signature(function)
    return known[bare]


_beam_state_and_timers = userstate.get_dofn_specs
_of_methods: dict[tuple[Any, ...], Any] = {}


def _state_and_timers(function: Any) -> Any:
    """What Beam's own says of a step: which state and timers its methods name.

    Beam looks through all methods of each step eight times, which was a sixth of what ten documents took.
    """
    # Those of its class, and methods of others that it was given.
    given = (attribute.__func__ for attribute in vars(function).values() if isinstance(attribute, types.MethodType))
    key = type(function), *given
    if key not in _of_methods:
        _of_methods[key] = _beam_state_and_timers(function)
    return _of_methods[key]


@functools.cache
def _lighten_beam() -> None:
    """Leave out, or do once, what took Beam half of ten documents' time, for all pipelines of this process.

    This reaches into Beam (as of 2.77). Results are the same; what goes is a warning of a step that both yields and
    returns, the stack in the error on a type hint, and how long a bundle was at which step.
    """
    userstate.get_dofn_specs = _state_and_timers  # type: ignore[assignment]
    core.get_signature = decorators.get_signature = _signature  # type: ignore[attr-defined]
    # At each transform Beam looks for IPython through all folders, reads the step's source for a warning, and keeps
    # what its stack was.
    interactive_utils.is_in_ipython = pipeline.is_in_ipython = bool  # type: ignore[attr-defined]
    core._check_fn_use_yield_and_return = lambda _: False
    decorators.IOTypeHints._make_origin = lambda *_, **__: []
    statesampler.StateSampler = _Unsampled  # type: ignore[misc]
    cloudpickle_pickler.bz2 = _Packing
    bundle_processor.pickler = operations.pickler = _Steps  # type: ignore[attr-defined,assignment]
    # A cache of side inputs, besides that of each step: to measure one, Beam walks through all modules there are.
    worker_handlers.STATE_CACHE_SIZE_MB = 0
