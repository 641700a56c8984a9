"""Beam's runner for Dask, with a graph of its own: what a step needs comes to it once, and work is dealt out evenly.

Beam's own (2.77) puts the graph of a side input into each task that reads it, which computes it anew, up to 128
elements into one task, no step between those that a reshuffle parts, and computes nothing but what the last step needs.
Graphs of the default recipe of 14.7 MiB were seen so, and of two workers one with 49 s of CPU time, the other with 19.
"""

import functools
import itertools
import math
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import dask.bag
import distributed
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import PipelineVisitor, PTransformOverride
from apache_beam.runners.common import DoFnContext, DoFnInvoker, DoFnSignature, _OutputHandler
from apache_beam.runners.dask import dask_runner, transform_evaluator
from apache_beam.runners.dask.overrides import _Create, _Flatten, _GroupByKeyOnly, _Reshuffle, dask_overrides
from apache_beam.runners.runner import PipelineResult
from apache_beam.transforms import core
from apache_beam.transforms.sideinputs import SideInputMap
from apache_beam.transforms.window import GlobalWindows
from dask._task_spec import Task, TaskRef
from dask.highlevelgraph import HighLevelGraph

# So many tasks a thread of a worker, if there are elements enough: the last one to end is then late by little.
TASKS_PER_THREAD = 4
# What a task has at most, so that a worker that is lost loses little.
ELEMENTS_PER_TASK = 8


class DaskRunner(dask_runner.DaskRunner):
    """Sends pipelines to the Dask cluster that the options name."""

    def run_pipeline(self, pipeline: Any, options: PipelineOptions) -> PipelineResult:
        """Send one; its result has the client, which the caller closes."""
        given: Any = options.view_as(dask_runner.DaskOptions)
        connection = given.get_all_options(drop_default=True, current_only=True)
        wanted = connection.pop("npartitions", None)
        at_most = connection.pop("partition_size", None)
        client = distributed.Client(**connection)
        wanted = wanted or TASKS_PER_THREAD * max(1, sum(client.nthreads().values()))
        pipeline.replace_all(overrides())
        graph = Graph(wanted, at_most or ELEMENTS_PER_TASK)
        pipeline.visit(graph)
        return dask_runner.DaskRunnerResult(client, client.compute(graph.ends()))


def overrides() -> list[PTransformOverride]:
    """Beam's, for what it has as primitives on Dask, but that a group needs no steps that look at windows."""
    beams: Any = dask_overrides
    return [_GroupOverride(), *beams()]


class _GroupOverride(PTransformOverride):
    def matches(self, applied_ptransform: Any) -> bool:
        return type(applied_ptransform.transform) is beam.GroupByKey

    def get_replacement_transform_for_applied_ptransform(self, applied_ptransform: Any) -> Any:  # noqa: ARG002
        return _GroupByKeyOnly()


class Graph(PipelineVisitor):
    """Makes Dask's graph of a pipeline: a bag for what each step gives.

    Args:
        tasks: how many to cut work into, where there is enough.
        elements: that a task has at most, of those that the pipeline begins with.
    """

    def __init__(self, tasks: int, elements: int) -> None:
        self._tasks = tasks
        self._elements = elements
        self._bags: dict[Any, Any] = {}
        self._read: set[Any] = set()
        self._whole: dict[Any, Any] = {}

    def visit_transform(self, transform_node: Any) -> None:
        """Add the bag of one step."""
        step = transform_node.transform
        inputs = [self._bag(value) for value in transform_node.inputs if value.producer in self._bags]
        self._bags[transform_node] = self._translate(transform_node, step, inputs)

    def ends(self) -> list[Any]:
        """What is to be computed: a task for each step whose output no other one reads, which gives None."""
        return [bag.reduction(_nothing, _nothing) for node, bag in self._bags.items() if node not in self._read]

    def _bag(self, value: Any) -> Any:
        self._read.add(value.producer)
        return self._bags[value.producer]

    def _all_of(self, value: Any) -> Any:
        """The elements of a bag as one value of the graph, the same for all who read them."""
        if value.producer not in self._whole:
            self._whole[value.producer] = self._bag(value).reduction(list, _together)
        return self._whole[value.producer]

    def _translate(self, node: Any, step: Any, inputs: list[Any]) -> Any:
        bags: Any = dask.bag
        if isinstance(step, _Create):
            values = list(step.values)
            size = max(1, min(self._elements, math.ceil(len(values) / self._tasks)))
            return bags.from_sequence(values, partition_size=size)
        if isinstance(step, beam.Impulse):
            return bags.from_sequence([b""])
        if isinstance(step, beam.ParDo):
            (bag,) = inputs
            sides = [self._all_of(side.pvalue) for side in node.side_inputs]
            return _mapped(bag, functools.partial(_run, _Step(node)), sides)
        if isinstance(step, _GroupByKeyOnly):
            # By tasks: Dask's other way is through a disk, which several hosts do not share.
            return inputs[0].groupby(_key, shuffle="tasks").map(_group)
        if isinstance(step, _Flatten):
            return bags.concat(inputs)
        (bag,) = inputs
        if isinstance(step, _Reshuffle) and bag.npartitions < self._tasks:
            return bag.repartition(npartitions=self._tasks)
        return bag


def _mapped(bag: Any, function: Any, sides: list[Any]) -> Any:
    """The bag that a function makes of each partition of another, given these values of the graph, too.

    Dask's own `map_partitions` computes them again for each bag that reads them.
    """
    name = f"step-{uuid.uuid4().hex}"
    values = [TaskRef(side.key) for side in sides]
    tasks = {(name, at): Task((name, at), function, TaskRef((bag.name, at)), *values) for at in range(bag.npartitions)}
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[bag, *sides])
    return dask.bag.Bag(graph, name, bag.npartitions)


class _Step:
    """A step as its tasks carry it. No dataclass: into these Dask looks for tasks of its own."""

    def __init__(self, node: Any) -> None:
        self.label = node.full_label
        self.function = node.transform.fn
        self.args, self.kwargs = node.transform.args, node.transform.kwargs
        self.views = [(type(side), side._view_options()) for side in node.side_inputs]


def _run(step: _Step, items: Iterable[Any], *sides: list[Any]) -> list[Any]:
    """What a step makes of a bundle.

    Args:
        step: the step.
        items: of the bundle.
        sides: the elements of each of its side inputs.
    """
    receivers = transform_evaluator.OneReceiver()
    windows = GlobalWindows()
    in_window = functools.partial(transform_evaluator.get_windowed_value, window_fn=windows)
    handler: Any = _OutputHandler
    context: Any = DoFnContext
    finalizer: Any = core.DoFn.BundleFinalizerParam
    invoker = DoFnInvoker.create_invoker(
        DoFnSignature(step.function),
        handler(
            window_fn=windows,
            main_receivers=receivers[None],
            tagged_receivers=receivers,
            per_element_output_counter=None,
            output_batch_converter=None,
            process_yields_batches=False,
            process_batch_yields_elements=False,
        ),
        context=context(step.label, state=None),
        side_inputs=[
            SideInputMap(kind, options, [in_window(item) for item in side])
            for (kind, options), side in zip(step.views, sides, strict=True)
        ],
        input_args=list(step.args),
        input_kwargs=step.kwargs,
        user_state_context=None,
        bundle_finalizer_param=finalizer(),
    )
    invoker.invoke_setup()
    try:
        invoker.invoke_start_bundle()
        for item in items:
            invoker.invoke_process(in_window(item))
        invoker.invoke_finish_bundle()
    except Exception as error:
        # As Beam's other runners say it.
        raise RuntimeError(f"{type(error).__name__}: {error} [while running '{step.label}']") from error
    finally:
        invoker.invoke_teardown()
    return [value.value for value in receivers.values]


def _key(item: Any) -> Any:
    return item[0]


def _group(grouped: tuple[Any, list[tuple[Any, Any]]]) -> tuple[Any, list[Any]]:
    """A key and its values, from a key and the pairs that have it."""
    return grouped[0], [value for _, value in grouped[1]]


def _together(lists: Iterable[list[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(lists))


def _nothing(items: Iterator[Any]) -> None:
    for _ in items:
        pass
