"""What numba compiles is the same; it only does less for it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

from datapipe import kernels

kernels.place()  # from here on numba compiles so


def test_what_other_functions_call_is_no_machine_code_of_its_own_until_python_calls_it() -> None:
    @numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
    def inner(x: int) -> int:
        return x * x

    @numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
    def middle(x: int) -> int:
        return inner(x) + inner(x + 1)

    @numba.njit
    def outer(x: int) -> int:
        return middle(x) - inner(x)

    assert outer(3) == 16
    libraries = [function.overloads[(numba.int64,)].library for function in (inner, middle, outer)]
    assert [library._finalized for library in libraries] == [False, False, True]

    @numba.njit
    def another(x: int) -> int:
        return middle(x)

    assert (another(3), outer(4)) == (25, 25)


def test_a_function_that_python_and_others_call() -> None:
    @numba.njit
    def inner(x: int) -> int:
        return x + 1

    @numba.njit
    def outer(x: int) -> int:
        return inner(x) * 2

    assert (outer(1), inner(1)) == (4, 2)


def test_what_only_a_call_that_llvm_leaves_out_has_linked_so_far_is_there_for_others() -> None:
    @numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
    def first(items: Any) -> int:
        return max(items[0], int(items[1]))

    @numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
    def second(items: Any) -> int:
        return max(items[1], int(items[0]))

    @numba.njit
    def outer(items: Any, times: int) -> int:
        total = 0
        for _ in range(times):
            total += first(items) if 0 * times > 1 else second(items)  # never the first
        return total

    assert outer(np.arange(8, 10), 2) == 18


@pytest.mark.parametrize(
    ("left", "right"), [(1, 2), (1, 2.5), (True, 3), ("a", "b"), ((1, 2), (3,)), (np.arange(3), 2)]
)
def test_a_call_means_what_it_means_for_its_types(left: Any, right: Any) -> None:
    @numba.njit
    def twice(a: Any, b: Any) -> Any:
        return a + b, a + b

    assert all(np.array_equal(found, left + right) for found in twice(left, right))


def test_an_array_that_a_call_returns_outlives_it() -> None:
    @numba.njit(_nrt=False, no_cpython_wrapper=True)
    def first(items: Any) -> Any:
        return items[0]

    @numba.njit
    def rows(size: int) -> Any:
        made = np.full((2, size), first(np.array([7, 8])))
        return made[1]

    row = rows(1000)
    assert row.tolist() == [7] * 1000


def test_a_kept_kernel_runs_without_what_numba_compiles_with_and_none_needs_scipy(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("""
import sys
import numpy as np
from datapipe.kernels import kernel

@kernel
def doubled(values):
    made = np.zeros(len(values))
    for i in range(len(values)):
        made[i] = values[i] * 2
    return made

assert doubled(np.ones(2)).tolist() == [2, 2]
print(*(name in sys.modules for name in ("numba.np.arraymath", "numba.np.arrayobj", "scipy.linalg")))
import numba
assert numba.njit(lambda x: np.dot(x, x))(np.ones(2)) == 2
""")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    said = [
        subprocess.run([sys.executable, program], check=True, env=environment, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert said == ["True True False\n", "False False False\n"]


def test_a_helper_is_compiled_once_for_a_kernel_and_for_a_helper_that_call_it(tmp_path: Path) -> None:
    source = """
import numpy as np
from numba.core import event
from datapipe.kernels import helper, kernel, place

place()

@helper
def twice(pair):
    return 2 * pair[0]

@helper
def more(pair):
    return twice(pair) + 1

@kernel
def both(pair):
    return np.full(2, twice(pair) + more(pair))

class Listener(event.Listener):
    def on_start(self, event):
        print(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event):
        pass

event.register("numba:compile", Listener())
print(both((3, 4)).tolist())
"""
    (tmp_path / "script.py").write_text(source)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    command = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split().count("twice") == 1
    assert done.stdout.endswith("[13, 13]\n")


@kernels.kernel
def _items(values: npt.NDArray[Any], table: npt.NDArray[Any], at: int) -> tuple[Any, Any, Any, Any, bool, bool]:
    values[at] = 7
    table[at, 1] = values[at] + 1
    return values[-1], values[at], table[at, 1], table[-1, 1], values[at] in (3, 7), table[0, 0] in (1, 2)


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.float64])
@pytest.mark.parametrize("at", [np.int64(1), np.uint32(1), np.int8(1)])
@pytest.mark.parametrize("step", [1, 2])
def test_items_are_found_by_any_number_in_any_array(kind: type, at: Any, step: int) -> None:
    values: npt.NDArray[Any] = np.arange(8).astype(kind)
    table: npt.NDArray[Any] = np.arange(10, 26).reshape(8, 2).astype(kind)
    assert _items(values[::step], table[::step], at) == (values[::step][-1], 7, 8, table[::step][-1, 1], True, False)


def test_an_index_that_counts_from_the_end_without_being_written_so_is_an_error_where_bounds_are_checked(
    tmp_path: Path,
) -> None:
    (tmp_path / "script.py").write_text("""
import numpy as np
from datapipe.kernels import kernel

@kernel
def item(values, at):
    return values[at]

print(item(np.arange(3), 2), flush=True)
item(np.arange(3), -1)
""")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept"), "NUMBA_BOUNDSCHECK": "1"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.stdout, done.returncode) == ("2\n", 1)
    assert "IndexError: index is out of bounds" in done.stderr
