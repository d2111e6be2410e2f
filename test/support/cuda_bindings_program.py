# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Program that drives the real cuda.bindings through CudaPython, on the stub of libcuda."""

from __future__ import annotations

import ctypes
import gc
import struct
from typing import Any

import numpy as np
import pytest
from trt_detector.errors import EngineError
from trt_detector.gpu.buffers import TensorBuffer
from trt_detector.gpu.context import ContextScope, describe_bindings, load_cuda, make_stream

LIMIT_BYTES = 1 << 20


def copy_buffers(cuda: Any, stream: Any) -> None:
    """Copy to the device and back, fill, and allocate mapped memory and too much."""
    buffer = TensorBuffer(cuda, 'x', np.dtype(np.float32), (2, 3))
    view = buffer.view((2, 3))
    view[:] = [[1, 2, 3], [4, 5, 6]]
    buffer.upload(view, stream)
    view[:] = 0
    buffer.download(view, stream)
    assert view.tolist() == [[1, 2, 3], [4, 5, 6]]
    buffer.clear(stream, value=0xFF)
    buffer.download(view, stream)
    assert np.isnan(view).all()
    mapped = buffer.twin(mapped=True)
    host = mapped.view((2, 3)).__array_interface__['data'][0]
    assert mapped.address == mapped.host_address == host
    mapped.free()
    buffer.free()
    with pytest.raises(
        EngineError, match=r'cuMemHostAlloc failed: out of memory \(CUDA error 2\)'
    ):
        TensorBuffer(cuda, 'x', np.dtype(np.uint8), (LIMIT_BYTES + 1,))


def copy_rows(cuda: Any, stream: Any) -> None:
    """Copy two bytes of every second row of four bytes."""
    source, result = (cuda.pagelocked_empty((size,), np.uint8) for size in (16, 4))
    source[:] = range(16)
    target = cuda.mem_alloc(4)
    copy = cuda.Memcpy2D()
    copy.set_src_host(source)
    copy.set_dst_device(int(target))
    copy.src_x_in_bytes, copy.src_pitch, copy.dst_pitch = 1, 8, 2
    copy.width_in_bytes, copy.height = 2, 2
    copy(stream)
    cuda.memcpy_dtoh_async(result, target, stream)
    assert result.tolist() == [1, 2, 9, 10], result
    target.free()
    source.base.free()
    result.base.free()


def record_events(cuda: Any, stream: Any) -> None:
    """Order and time work by events."""
    begin, end = (cuda.Event(cuda.event_flags.BLOCKING_SYNC) for _ in range(2))
    begin.record(stream)
    stream.wait_for_event(begin)
    end.record(stream)
    end.synchronize()
    stream.synchronize()
    assert 0 <= begin.time_till(end) < 60_000


def launch_kernels(cuda: Any, stream: Any) -> None:
    """Launch a kernel of two parameters: an int times the number of threads."""
    function = cuda.module_from_buffer(b'.entry scale(').get_function('scale')
    function.prepare(['8s', '4s'])
    target, result = cuda.mem_alloc(4), cuda.pagelocked_empty((1,), np.int32)
    for value in (7, 8):
        arguments = struct.pack('=Q', int(target)), struct.pack('=i', value)
        function.prepared_async_call((2, 3, 1), (4, 1, 1), stream, *arguments)
        cuda.memcpy_dtoh_async(result, target, stream)
        assert result.tolist() == [2 * 3 * 4 * value], result
    target.free()
    result.base.free()
    with pytest.raises(cuda.Error, match=r'cuModuleGetFunction failed: .* \(CUDA error 500\)'):
        cuda.module_from_buffer(b'.entry other(').get_function('scale')


def main() -> None:
    """Run all, and check that nothing is left."""
    cuda = load_cuda()
    stub = ctypes.CDLL('libcuda.so.1')
    live, depth = (ctypes.c_int.in_dll(stub, name) for name in ('stub_live', 'stub_depth'))
    assert cuda.Device(0).name() == 'Stub'
    scope = ContextScope(cuda, 0)
    assert depth.value == 1
    stream = make_stream(cuda)
    for work in (copy_buffers, copy_rows, record_events, launch_kernels):
        work(cuda, stream)
        gc.collect()
        assert live.value == 1, f'{work.__name__} leaves {live.value - 1} objects'
    del stream
    gc.collect()
    scope.close()
    assert (live.value, depth.value) == (0, 0)
    print(describe_bindings(cuda), 'passed')


if __name__ == '__main__':
    main()
