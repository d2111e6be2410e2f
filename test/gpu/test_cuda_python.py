# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA Python in place of pycuda: on its double, and compared with the real cuda.bindings."""

from __future__ import annotations

import ast
import gc
import importlib
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

from doubles.cuda_bindings_double import make_bindings
from doubles.cuda_double import CudaDouble
from doubles.machine import machine
import numpy as np
import pytest
from trt_detector.gpu import cuda_python
from trt_detector.gpu.context import ContextScope, load_cuda
from trt_detector.gpu.cuda_python import CudaPython
from trt_detector.gpu.kernels.source import LETTERBOX

ROOT = Path(__file__).resolve().parents[2]
GPU_FOLDER = Path(cuda_python.__file__).parent


@pytest.fixture(scope='module')
def real() -> Any:
    """Return the real cuda.bindings.driver."""
    try:
        return importlib.import_module('cuda.bindings.driver')
    except ImportError as error:
        pytest.skip(f'{error}: pip install cuda-bindings')


def called_functions() -> set[str]:
    """Return the names of the driver's functions that cuda_python.py calls."""
    text = Path(cuda_python.__file__).read_text(encoding='utf-8')
    return set(re.findall(r"(?:'|driver\.)(cu[A-Z]\w+)", text))


def used_attributes() -> set[str]:
    """Return the attributes of the CUDA bindings that the package uses."""
    used = set()
    for path in [*GPU_FOLDER.rglob('*.py'), *(GPU_FOLDER.parent / 'trt').rglob('*.py')]:
        if path.name == 'cuda_python.py':
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Attribute) and re.fullmatch(
                r'(self\.|engine\.|self\._engine\.)?_?cuda', ast.unparse(node.value)
            ):
                used.add(node.attr)
    return used


def test_it_has_all_that_the_package_uses_of_pycuda() -> None:
    used = used_attributes()
    assert {'Error', 'Stream', 'Event', 'mem_alloc', 'Memcpy2D', 'pagelocked_empty'} <= used
    cuda = CudaPython(make_bindings(CudaDouble()))
    assert {name for name in used if not hasattr(cuda, name)} == set()


def test_streams_and_events_are_destroyed_with_their_last_reference() -> None:
    with machine(None, cuda_bindings='cuda_python') as world:
        cuda = load_cuda()
        scope = ContextScope(cuda, 0)
        stream, event = cuda.Stream(1), cuda.Event()
        event.record(stream)
        event.synchronize()
        assert len(world.cuda.bindings_handles) == 2
        del stream, event
        gc.collect()
        scope.close()
        world.cuda.assert_clean()


def test_a_function_keeps_its_module_loaded() -> None:
    with machine(None, cuda_bindings='cuda_python') as world:
        cuda = load_cuda()
        scope = ContextScope(cuda, 0)
        function: Any = LETTERBOX.load(cuda, (8, 6)).get_function('letterbox')
        gc.collect()
        assert len(world.cuda.bindings_handles) == 1
        del function
        gc.collect()
        scope.close()
        world.cuda.assert_clean()


def test_errors_have_the_description_of_the_driver() -> None:
    with machine(None, cuda_bindings='cuda_python', limit_bytes=100):
        cuda = load_cuda()
        with pytest.raises(cuda.Error, match='cuMemAlloc failed: invalid device context'):
            cuda.mem_alloc(10)
        scope = ContextScope(cuda, 0)
        with pytest.raises(cuda.Error, match=r'cuMemAlloc failed: out of memory \(CUDA error 2\)'):
            cuda.mem_alloc(200)
        scope.close()


def test_memory_is_not_used_after_free() -> None:
    with machine(None, cuda_bindings='cuda_python') as world:
        cuda = load_cuda()
        scope = ContextScope(cuda, 0)
        memory, array = cuda.mem_alloc(16), cuda.pagelocked_empty((4,), np.float32)
        assert (array.shape, array.dtype, array.nbytes) == ((4,), np.float32, 16)
        memory.free()
        array.base.free()
        for use in (lambda: int(memory), memory.free, array.base.free):
            with pytest.raises(cuda.Error, match='free'):
                use()
        scope.close()
        world.cuda.assert_clean()


def test_strided_arrays_are_not_copied() -> None:
    with machine(None, cuda_bindings='cuda_python'):
        cuda = load_cuda()
        scope = ContextScope(cuda, 0)
        memory, array = cuda.mem_alloc(16), cuda.pagelocked_empty((4, 4), np.uint8)
        stream = cuda.Stream(1)
        with pytest.raises(ValueError, match='not contiguous'):
            cuda.memcpy_htod_async(memory, array[:, 1], stream)
        memory.free()
        array.base.free()
        del stream
        scope.close()


def test_the_double_has_the_functions_of_the_real_bindings(real: Any) -> None:
    double: Any = make_bindings(CudaDouble())
    functions = called_functions()
    assert len(functions) > 20
    assert functions <= set(dir(double))
    for name in functions:
        # 'cuMemAlloc(size_t bytesize)'
        signature = getattr(real, name).__doc__.splitlines()[0]
        parameters = re.fullmatch(rf'{name}\((.*)\)', signature)
        assert parameters is not None, signature
        expected = len([text for text in parameters[1].split(',') if text.strip()])
        function = getattr(double, name).__wrapped__
        assert function.__code__.co_argcount - 1 == expected, signature


def test_the_double_has_the_flags_of_the_real_bindings(real: Any) -> None:
    double: Any = make_bindings(CudaDouble())
    for enum in ('CUevent_flags', 'CUmemorytype'):
        for name, value in vars(getattr(double, enum)).items():
            assert int(getattr(getattr(real, enum), name)) == value
    assert real.CU_MEMHOSTALLOC_DEVICEMAP == double.CU_MEMHOSTALLOC_DEVICEMAP
    for status in double.CUresult:
        assert int(getattr(real.CUresult, status.name)) == status


def test_the_real_bindings_accept_the_arguments(real: Any) -> None:
    """Without a driver every call fails, but only after its arguments were converted."""
    cuda: Any = CudaPython(real)
    copy = cuda.Memcpy2D()
    copy.set_src_host(np.zeros(8, np.uint8))
    copy.set_dst_device(4096)
    assert (int(copy._copy.dstDevice), copy._copy.srcMemoryType) == (4096, 1)
    try:
        real.cuInit(0)
    except RuntimeError as error:
        no_driver = type(error)
    else:
        pytest.skip('this machine has a GPU driver: pytest -m gpu tests the calls themselves')
    call = copy._call
    for name, arguments in {
        'cuStreamSynchronize': (1,),
        'cuStreamWaitEvent': (1, 2, 0),
        'cuEventRecord': (1, 2),
        'cuEventElapsedTime': (1, 2),
        'cuMemFree': (1,),
        'cuMemFreeHost': (1,),
        'cuMemHostGetDevicePointer': (1, 0),
        'cuMemcpyHtoDAsync': (1, 2, 3, 4),
        'cuMemcpyDtoHAsync': (1, 2, 3, 4),
        'cuMemcpy2DAsync': (copy._copy, 1),
        'cuMemsetD8Async': (1, 2, 3, 4),
        'cuModuleLoadData': (1,),
        'cuModuleGetFunction': (real.CUmodule(1), b'letterbox'),
        'cuLaunchKernel': (real.CUfunction(1), 1, 1, 1, 32, 8, 1, 0, 1, 4096, 0),
    }.items():
        with pytest.raises(no_driver):
            call(name, *arguments)


def test_the_real_bindings_run_on_a_stub_of_the_driver(real: Any, tmp_path: Path) -> None:
    compiler = shutil.which('gcc') or shutil.which('cc')
    if compiler is None:
        pytest.skip('no C compiler for the stub of libcuda: apt install gcc')
    source = ROOT / 'test' / 'doubles' / 'libcuda_stub.c'
    subprocess.run(
        [compiler, '-shared', '-fPIC', '-Wall', '-Werror', '-Wl,-soname,libcuda.so.1', '-o',
         tmp_path / 'libcuda.so.1', source, '-ldl'],
        check=True,
    )  # fmt: skip
    # pycuda, which would be used first, cannot be imported.
    (tmp_path / 'pycuda.py').write_text("raise ImportError('hidden by the test')\n")
    paths = [str(tmp_path), str(ROOT), *sys.path]
    done = subprocess.run(
        [sys.executable, ROOT / 'test' / 'support' / 'cuda_bindings_program.py'],
        env={**os.environ, 'LD_LIBRARY_PATH': str(tmp_path),
             'PYTHONPATH': os.pathsep.join(filter(None, paths))},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r'cuda-bindings \S+ passed\n', done.stdout)
