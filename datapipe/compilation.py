"""Has numba take a third as long to compile what datapipe calls.

numba is made for one function at a time, and ours are hundreds of small ones that call each other. Some of its steps
are then done again and again, and are done once here; and what it does for what our kernels have none of, such as
closures and indices that count from the end, is left out. `IdentifyLanguage` and `MeasureText` on one text, which
compile 190 functions, took 23 s of CPU as numba has it, and 8 so.

This reaches into numba (as of 0.68), for all its functions in this process, so it lies apart from the kernels.
"""

import functools
import importlib.util
import operator
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import binding, ir
from llvmlite.binding import ffi
from numba.core import (
    base,
    cgutils,
    codegen,
    environment,
    ir_utils,
    postproc,
    transforms,
    typed_passes,
    types,
    untyped_passes,
)
from numba.core import ir as numba_ir
from numba.core.base import BaseContext as TargetContext
from numba.core.caching import FunctionCache
from numba.core.compiler import CompilerBase
from numba.core.imputils import lower_builtin
from numba.core.lowering import Lower
from numba.core.runtime import _nrt_python
from numba.core.ssa import reconstruct_ssa
from numba.core.targetconfig import ConfigStack, TargetConfig
from numba.core.types.containers import UniTuple
from numba.core.typing import BaseContext, Signature
from numba.core.typing.templates import _OverloadFunctionTemplate

_SCALARS = (types.Number, types.Boolean, types.IntegerLiteral, types.BooleanLiteral, type(types.none))


def speed_up() -> None:
    """Have numba do so from now on."""
    codegen.JITCPUCodegen._library_class = _Library
    codegen.JITCPUCodegen.set_env = _set_env
    TargetConfig.__eq__ = _same_options
    TargetConfig.__hash__ = lambda self: hash(type(self))
    BaseContext.resolve_function_type = _resolve_call
    environment._rebuild_env = _rebuild_env
    numba_ir.Inst._rec_list_vars = _variables
    _OverloadFunctionTemplate._get_impl = _get_helper
    BaseContext.refresh = _refresh_types
    TargetContext.refresh = _refresh_target
    for told in [told for told in ffi.lib._lock._cblist if told[0].__module__ == base.__name__]:
        ffi.unregister_lock_callback(*told)  # each call of LLVM is told to numba's events, before it and after
    base._has_loc = functools.cache(base._has_loc)
    lower_builtin(operator.getitem, types.Array, types.Integer)(_get_item)
    for kind in (types.Number, types.Boolean):
        lower_builtin(operator.setitem, types.Array, types.Integer, kind)(_set_item)
    lower_builtin(operator.contains, UniTuple, types.Number)(_is_in)


class _Lower(Lower):  # type: ignore[misc]
    """What writes LLVM's code, without what a debugger would ask for."""

    _disable_sroa_like_opt = False

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:  # noqa: ARG002
        """Room for a variable; numba asks LLVM how large it is, for the debugger."""
        return cgutils.alloca_once(self.builder, lltype, name=name, zfill=False)


class _Lowering(typed_passes.BaseNativeLowering):  # type: ignore[misc]
    @property
    def lowering_class(self) -> type[Lower]:
        return _Lower


class _Passes:
    """numba's own passes that change anything in our functions, and no more.

    Left out are those for closures, objects of Python, functions and branches that are taken in by numba, `with` and
    literals: a dozen of two dozen. After each numba finds out anew where each variable is alive, which is only asked
    to count references.
    """

    pipeline_name = "kernel"
    running = 0  # one within the other

    def __init__(self) -> None:
        self.exec_times: dict[str, Any] = {}

    def run(self, state: Any) -> None:
        """Compile the function that a state describes."""
        _Passes.running += 1
        try:
            untyped_passes.TranslateByteCode().run_pass(state)
            untyped_passes.FixupArgs().run_pass(state)
            state.func_ir.blocks = transforms.canonicalize_cfg(state.func_ir.blocks)
            state.func_ir.generator_info = None
            state.func_ir = reconstruct_ssa(state.func_ir)
            _define(state)
            typed_passes.NopythonTypeInference().run_pass(state)
            state.func_ir = typed_passes.PreLowerStripPhis()._strip_phi_nodes(state.func_ir)
            _define(state)
            if state.flags.nrt:
                postproc.PostProcessor(state.func_ir).run(emit_dels=True)
            _Lowering().run_pass(state)
            typed_passes.NoPythonBackend().run_pass(state)
        finally:
            _Passes.running -= 1


def _define(state: Any) -> None:
    state.func_ir._definitions = ir_utils.build_definitions(state.func_ir.blocks)


class KernelCompiler(CompilerBase):  # type: ignore[misc]
    """What turns our functions into machine code."""

    is_fresh = False  # nothing has been declared that numba does not know

    def __init__(self, *arguments: Any) -> None:
        KernelCompiler.is_fresh = _Passes.running > 0
        try:
            super().__init__(*arguments)
        finally:
            KernelCompiler.is_fresh = False

    def define_pipelines(self) -> list[_Passes]:
        """The one pipeline."""
        return [_Passes()]


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Where a kernel is kept, and loaded from without all that numba must know to compile one.

    numba would first import all it can do with arrays, strings, sets and dates: .2 s, for what is compiled already.
    What has to be compiled after all has numba do so then.
    """

    def __init__(self, function: Callable[..., Any], declare_helpers: Callable[[], None]) -> None:
        """A cache of a function; before that is compiled, numba is told of what it may call."""
        super().__init__(function)
        self._declare_helpers = declare_helpers

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel for a signature, or None if it is not there."""
        _name_counters()
        with self._guard_against_spurious_io_errors():
            found = self._load_overload(sig, target_context)
        if found is None:
            _load_arrays()
            self._declare_helpers()
        return found


@functools.cache
def _name_counters() -> None:
    """Tell LLVM where the functions are that count references to arrays.

    numba would also compile what calls them; a kernel that is kept has that in it.
    """
    for name, address in _nrt_python.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


@functools.cache
def _load_arrays() -> None:
    """Import all that numba knows of arrays.

    It is to find out whether there is scipy without importing it, which takes as long as all of numba: no kernel of
    ours multiplies matrices, and where one of the user's does, numba imports it then.
    """
    from numba.core.typing import npydecl

    generic = npydecl.NumpyRulesArrayOperator.generic

    def of_arrays(self: Any, arguments: Any, keywords: Any) -> Any:
        # numba tries all loops of numpy before it sees that an operator has no array.
        return generic(self, arguments, keywords) if any(map(_is_array, arguments)) else None

    npydecl.NumpyRulesArrayOperator.generic = of_arrays
    if importlib.util.find_spec("scipy") is None:
        return
    from numba.np import linalg

    ensure_blas, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = ensure_blas


def _is_array(kind: Any) -> bool:
    return isinstance(kind, types.ArrayCompatible)


class _Library(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The code of one function, with that of all that it calls once it is asked for as a function of Python.

    numba optimizes each function with all that it calls, and makes machine code of it. Of one that others alone call,
    nobody sees that: it is linked into each caller, and optimized there again.
    """

    _linkable: Any = None

    def _optimize_functions(self, module: Any) -> None:
        """Leave each function as it is: what it is linked into is optimized in earnest."""
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        """Optimize once: numba does so twice, for kernels that count references."""
        for function in self._final_module.functions:
            if function.linkage == binding.Linkage.linkonce_odr and not function.is_declaration:
                function.linkage = "internal"  # nobody else calls it here: LLVM may pass it less, or take it in
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)

    def get_pointer_to_function(self, name: str) -> int:
        """Where the machine code of a function is; 0 if it is in no library of its own."""
        if not self._finalized:
            try:
                self._final_module.get_function(name)
            except NameError:
                return 0
        return int(super().get_pointer_to_function(name))

    def add_linking_library(self, library: Any) -> None:
        """Have the code of a function that this one calls linked, when it is time."""
        self._linking_libraries.append(library)

    def finalize(self) -> None:
        """Link all that is called, optimize it together, and make machine code."""
        # LLVM passes over what nothing calls yet, so each comes after all that call it.
        self._linking_libraries = list(_reach(self, set()))[::-1]
        super().finalize()

    def serialize_using_object_code(self) -> Any:
        """What is kept of a kernel: its machine code, and the names of its functions and their surroundings.

        numba would keep all of it once more, for others to link, which takes longer to read than the machine code. But
        only Python calls a kernel, and what is linked into one asks nothing of its surroundings, which are for objects.
        """
        self._ensure_finalized()
        names = ir.Module()
        functions = [
            function.name
            for function in self._final_module.functions
            if not function.is_declaration and function.linkage != binding.Linkage.internal
        ]
        surroundings = {name.replace("_ZN", "_ZN08NumbaEnv", 1) for name in functions}
        variables = (variable.name for variable in self._final_module.global_variables)
        for name in (*functions, *surroundings.intersection(variables)):
            ir.GlobalVariable(names, ir.IntType(8), name).initializer = ir.Constant(ir.IntType(8), 0)
        return self.name, "object", (self._get_compiled_object(), binding.parse_assembly(str(names)).as_bitcode())

    def _get_module_for_linking(self) -> Any:
        if self._finalized:
            return super()._get_module_for_linking()
        if self._linkable is None:
            self._linkable = self._final_module.clone()
            for function in self._linkable.functions:
                if not function.is_declaration and function.linkage == binding.Linkage.external:
                    function.linkage = "linkonce_odr"  # as numba has it: several callers bring it along
        return self._linkable


def _reach(library: Any, seen: set[Any]) -> Iterator[Any]:
    """The libraries that one calls, each after those that it calls; what is finalized has its own in itself."""
    for called in library._linking_libraries:
        if called not in seen:
            seen.add(called)
            if not called._finalized:
                yield from _reach(called, seen)
            yield called


_numba_set_env = codegen.JITCPUCodegen.set_env


def _set_env(self: Any, name: str, env: Any) -> None:
    # What is not machine code has no place for it, as a function that comes with a kernel from the cache.
    if self._engine.is_symbol_defined(name):
        _numba_set_env(self, name, env)


def _rebuild_env(module: str, constants: list[Any], name: str) -> environment.Environment:
    """What numba's own says of a function from the cache, without importing the function's module: all about arrays.

    Code that handles no objects of Python reads none of the module's globals.
    """
    if (known := environment.lookup_environment(name)) is not None:
        return known
    rebuilt = environment.Environment({"__name__": module})
    rebuilt.consts[:] = constants
    rebuilt.env_name = name
    environment.Environment._memo[name] = rebuilt
    return rebuilt


_numba_refresh = BaseContext.refresh, TargetContext.refresh


def _refresh_types(self: Any) -> None:
    if not KernelCompiler.is_fresh:
        _numba_refresh[0](self)


def _refresh_target(self: Any) -> None:
    if not KernelCompiler.is_fresh:
        _numba_refresh[1](self)


def _is_in(context: Any, builder: Any, signature: Signature, values: Any) -> Any:
    """Whether a tuple holds a value, without a function of its own that a loop over the tuple would be."""
    kind, sought = signature.args
    equal = context.typing_context.resolve_function_type(operator.eq, (kind.dtype, sought), {})
    compare = context.get_function(operator.eq, equal)
    right = context.cast(builder, values[1], sought, equal.args[1])
    found = context.get_constant(types.boolean, False)
    for item in cgutils.unpack_tuple(builder, values[0], len(kind)):
        left = context.cast(builder, item, kind.dtype, equal.args[0])
        found = builder.or_(found, compare(builder, (left, right)))
    return found


def _address(context: Any, builder: Any, kind: Any, array: Any, index_kind: Any, index: Any) -> Any:
    """Where an item of an array stands whose index is no less than 0, unless it is written as such a number.

    numba looks at each index whether it counts from the end. NUMBA_BOUNDSCHECK=1 has a kernel fail where one does.
    """
    at = context.cast(builder, index, index_kind, types.intp if index_kind.signed else types.uintp)
    struct = context.make_array(kind)(context, builder, array)
    from_end = isinstance(index, ir.Constant) and index.constant < 0
    if kind.layout == "C" and not from_end and not context.enable_boundscheck:
        return builder.gep(struct.data, [at])
    return cgutils.get_item_pointer(context, builder, kind, struct, [at], from_end, context.enable_boundscheck)


def _is_ours(kind: Any) -> bool:
    """Whether one of our functions asks for a number of a row of them."""
    return _Passes.running > 0 and kind.ndim == 1 and isinstance(kind.dtype, _SCALARS)


def _get_item(context: Any, builder: Any, signature: Signature, values: Any) -> Any:
    from numba.np import arrayobj

    kind, index_kind = signature.args
    if not _is_ours(kind):
        return arrayobj.getitem_arraynd_intp(context, builder, signature, values)
    return arrayobj.load_item(
        context, builder, kind, _address(context, builder, kind, values[0], index_kind, values[1])
    )


def _set_item(context: Any, builder: Any, signature: Signature, values: Any) -> Any:
    from numba.np import arrayobj

    kind, index_kind, value_kind = signature.args
    if not _is_ours(kind):
        return arrayobj.setitem_array(context, builder, signature, values)
    at = _address(context, builder, kind, values[0], index_kind, values[1])
    value = context.cast(builder, values[2], value_kind, kind.dtype)
    arrayobj.store_item(context, builder, kind, value, at)
    return None


# Functions of numba's own that need no other passes than ours.
_PLAIN = {"ol_np_empty", "ol_np_zeros", "impl_np_full", "ol_array_zero_fill", "_ol_array_allocate"}
_PLAIN |= {"ol_max", "ol_min", "ol_int"}
_numba_get_impl = _OverloadFunctionTemplate._get_impl
_INHERITED = ("fastmath", "error_model", "boundscheck", "debuginfo")  # what a helper is compiled by as its caller is


def _get_helper(self: Any, arguments: Any, keywords: Any) -> Any:
    """The helper that is compiled for some types: one for all callers.

    numba has another for callers with other options, such as a kernel, which may allocate memory, and a helper.
    """
    if self._jit_options.get("pipeline_class") is not KernelCompiler:
        if _Passes.running and self._overload_func.__name__ in _PLAIN:
            self._jit_options = self._jit_options | {"pipeline_class": KernelCompiler, "no_cfunc_wrapper": True}
        return _numba_get_impl(self, arguments, keywords)
    caller = ConfigStack.top_or_none()
    inherited = tuple(str(getattr(caller, option)) for option in _INHERITED) if caller else ()
    key = self.context, tuple(arguments), tuple(keywords.items()), inherited
    if key in self._impl_cache:
        return self._impl_cache[key]
    return self._build_impl(key, arguments, keywords)


_VARIABLE, _INSTRUCTION, _SEVERAL, _NAMED, _NONE = range(5)


_ways: dict[type[Any], int] = {}


def _holds(value: object) -> int:
    """In what way a value holds variables."""
    kind = type(value)
    if kind not in _ways:
        ways = {_VARIABLE: numba_ir.Var, _INSTRUCTION: numba_ir.Inst, _SEVERAL: (list, tuple), _NAMED: dict}
        _ways[kind] = next((way for way, of in ways.items() if issubclass(kind, of)), _NONE)
    return _ways[kind]


def _variables(self: Any, value: Any) -> list[numba_ir.Var]:
    """What numba's own says of the variables in a part of an instruction; it asks for the type five times over."""
    held = _holds(value)
    if held == _VARIABLE:
        return [value]
    if held == _INSTRUCTION:
        found: list[numba_ir.Var] = value.list_vars()
        return found
    if held == _NONE:
        return []
    found = []
    for part in value if held == _SEVERAL else value.values():
        held = _holds(part)
        if held == _VARIABLE:
            found.append(part)
        elif held != _NONE:
            found += _variables(self, part)
    return found


def _same_options(self: TargetConfig, other: object) -> bool:
    """What numba's own says, which reads thirty options of both: at each look for what has been compiled."""
    if not isinstance(other, TargetConfig):
        return NotImplemented
    return self is other or self._values == other._values or self.values() == other.values()


_numba_resolve = BaseContext.resolve_function_type
_known_calls: dict[Any, Signature] = {}


def _resolve_call(self: Any, function: Any, arguments: Any, keywords: Any) -> Signature | None:
    """What a call of these types means: found once for numbers, and items of arrays of them.

    numba tries all that `+` or `[]` can mean, from strings to sets, at each place where one stands. What else an
    argument can be is left to it: references to memory are counted by one function and not by another.
    """
    if keywords or not all(map(_plain, arguments)):
        return _numba_resolve(self, function, arguments, keywords)
    key = self, function, tuple(arguments)
    if key not in _known_calls:
        found = _numba_resolve(self, function, arguments, keywords)
        if found is None or type(found) is not Signature or not isinstance(found.return_type, _SCALARS):
            return found
        _known_calls[key] = found
    return _known_calls[key]


def _plain(kind: Any) -> bool:
    return isinstance(kind, _SCALARS) or (isinstance(kind, types.Array) and isinstance(kind.dtype, _SCALARS))
