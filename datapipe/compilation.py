"""Has numba take half as long to compile what datapipe calls: the same code comes out.

numba is made for one function at a time, and ours are hundreds of small ones that call each other. Three of its steps
are then done again and again, and are done once here; and what it does for what our kernels have none of, such as
closures, is left out. `IdentifyLanguage` and `MeasureText` on one text, which compile 190 functions, took 23 s of CPU
as numba has it, and 14 so.

This reaches into numba (as of 0.68), for all its functions in this process, so it lies apart from the kernels.
"""

import functools
import importlib.util
from collections.abc import Iterator
from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, codegen, environment, typed_passes, types, untyped_passes
from numba.core import ir as numba_ir
from numba.core.caching import FunctionCache
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.runtime import _nrt_python
from numba.core.targetconfig import ConfigStack, TargetConfig
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


class _Lower(Lower):  # type: ignore[misc]
    """What writes LLVM's code, without what a debugger would ask for."""

    _disable_sroa_like_opt = False

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:  # noqa: ARG002
        """Room for a variable; numba asks LLVM how large it is, for the debugger."""
        return cgutils.alloca_once(self.builder, lltype, name=name, zfill=False)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(typed_passes.BaseNativeLowering):  # type: ignore[misc]
    _name = "kernel_lowering"

    @property
    def lowering_class(self) -> type[Lower]:
        return _Lower


class KernelCompiler(CompilerBase):  # type: ignore[misc]
    """What turns our functions into machine code: the passes of numba's own that change anything in them.

    Left out are those for closures, objects of Python, functions and branches that are taken in by numba, `with` and
    literals: a dozen of two dozen, and after each numba finds out anew where each variable is alive.
    """

    def define_pipelines(self) -> list[PassManager]:
        """The one pipeline."""
        passes = PassManager("kernel")
        for made in (
            untyped_passes.TranslateByteCode,
            untyped_passes.FixupArgs,
            untyped_passes.IRProcessing,
            untyped_passes.ReconstructSSA,
            typed_passes.NopythonTypeInference,
            typed_passes.PreLowerStripPhis,
            typed_passes.IRLegalization,
            typed_passes.AnnotateTypes,
            _Lowering,
            typed_passes.NoPythonBackend,
        ):
            passes.add_pass(made, made.__name__)
        passes.finalize()
        return [passes]


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Where a kernel is kept, and loaded from without all that numba must know to compile one.

    numba would first import all it can do with arrays, strings, sets and dates: .2 s, for what is compiled already.
    What has to be compiled after all has numba do so then.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel for a signature, or None if it is not there."""
        _name_counters()
        with self._guard_against_spurious_io_errors():
            found = self._load_overload(sig, target_context)
        if found is None:
            _import_without_scipy()
        return found


@functools.cache
def _name_counters() -> None:
    """Tell LLVM where the functions are that count references to arrays.

    numba would also compile what calls them; a kernel that is kept has that in it.
    """
    for name, address in _nrt_python.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


@functools.cache
def _import_without_scipy() -> None:
    """Have numba find out whether there is scipy without importing it, which takes as long as all of numba.

    No kernel of ours multiplies matrices; where one of the user's does, numba imports it then.
    """
    if importlib.util.find_spec("scipy") is None:
        return
    from numba.np import linalg  # it imports all about arrays

    ensure_blas, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = ensure_blas


class _Library(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The code of one function, with that of all that it calls once it is asked for as a function of Python.

    numba optimizes each function with all that it calls, and makes machine code of it. Of one that others alone call,
    nobody sees that: it is linked into each caller, and optimized there again.
    """

    _linkable: Any = None

    def _optimize_functions(self, module: Any) -> None:
        """Make each function small enough to be linked: what it is linked into is optimized in earnest."""
        module.data_layout = self._codegen._data_layout
        builder = self._codegen._pass_builder(opt=1, loop_vectorize=False, slp_vectorize=False)
        for function in module.functions:
            if not function.is_declaration:
                builder.getFunctionPassManager().run(function, builder)

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
        """What is kept of a kernel: its machine code, and the names of all that it defines.

        numba would keep all of it once more, for others to link, which takes longer to read than the machine code. But
        only Python calls a kernel.
        """
        self._ensure_finalized()
        names = ir.Module()
        for defined in (*self._final_module.functions, *self._final_module.global_variables):
            if not defined.is_declaration:
                ir.GlobalVariable(names, ir.IntType(8), defined.name).initializer = ir.Constant(ir.IntType(8), 0)
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


_numba_get_impl = _OverloadFunctionTemplate._get_impl
_INHERITED = ("fastmath", "error_model", "boundscheck", "debuginfo")  # what a helper is compiled by as its caller is


def _get_helper(self: Any, arguments: Any, keywords: Any) -> Any:
    """The helper that is compiled for some types: one for all callers.

    numba has another for callers with other options, such as a kernel, which may allocate memory, and a helper.
    """
    if self._jit_options.get("pipeline_class") is not KernelCompiler:
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
