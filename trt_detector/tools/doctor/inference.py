# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the GPU and the runtimes of neural networks."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib

from ...errors import DetectorError
from ...onnxruntime_engine import has_provider
from ..finding import Finding, NOTE, OK, PROBLEM
from .modules import import_module

__all__ = ['check_inference']


def check_inference(device_id: int) -> list[Finding]:
    """Check the GPU and the runtimes; one that works is enough."""
    findings = [_device(device_id)]
    if findings[0].status == OK:
        findings += [_memory(device_id), *_state(device_id)]
    backends = {name: _tensorrt(name, device_id) for name in ('tensorrt', 'tensorrt_rtx')}
    lean = _tensorrt('tensorrt_lean', device_id)
    findings += [*backends.values(), lean, _cuda_bindings(device_id)]
    version, reason = import_module('onnxruntime')
    kind = 'for CUDA' if has_provider('CUDA') else 'for the CPU'
    kind += ', with OpenVINO' if has_provider('OpenVINO') else ''
    findings.append(
        Finding('onnxruntime', OK, f'{version} {kind}')
        if version
        else Finding('onnxruntime', NOTE, reason, 'pip install onnxruntime')
    )
    cuda_works = findings[-2].status == OK
    usable = [name for name, f in backends.items() if f.status == OK and cuda_works]
    usable += ['onnxruntime'] if version else []
    if usable:
        findings.append(Finding('backend auto', OK, f'takes {usable[0]}'))
    else:
        remedy = (
            'install TensorRT and pycuda (or cuda-bindings) on a machine with a GPU, or: pip '
            'install onnxruntime'
        )
        findings.append(Finding('backend auto', PROBLEM, 'no backend is usable', remedy))
    return findings


def _device(device_id: int) -> Finding:
    """Check the driver and the GPU."""
    from ...gpu.device_info import is_jetson, read_device

    try:
        device = read_device(device_id)
    except DetectorError as error:
        return Finding('gpu', NOTE, 'no usable GPU', str(error))
    major, minor = device.compute_capability
    cuda = '.'.join(str(number) for number in device.cuda_driver)
    kind = 'Jetson' if is_jetson() else 'integrated' if device.integrated else 'discrete'
    return Finding(
        'gpu',
        OK,
        f'{device.name}: compute capability {major}.{minor}, {device.sm_count} multiprocessors, '
        f'{kind}, driver for CUDA {cuda}',
    )


def _memory(device_id: int) -> Finding:
    """Check the memory that builds and engines share."""
    from ...gpu.device_info import get_gpu_memory_bytes, LAST_RESORT_BYTES

    size = get_gpu_memory_bytes(device_id)
    guess = ' (a guess: it cannot be read)' if size == LAST_RESORT_BYTES else ''
    return Finding('gpu memory', NOTE if guess else OK, f'{size / 2**30:.1f} GiB{guess}')


def _state(device_id: int) -> Iterator[Finding]:
    """Read temperature, load, clocks and power of the GPU if they are available."""
    from ...gpu.device_monitor import read_device_state

    state = read_device_state(device_id)
    known = state.describe()
    for key in ('name', 'compute capability', 'memory total MiB', 'memory shared with the CPU'):
        known.pop(key, None)  # reported above
    if not known:
        return
    text = '; '.join(f'{key} {value}' for key, value in known.items())
    if state.slowdowns:
        remedy = f'it is slowed down: {", ".join(state.slowdowns)}; check cooling and power'
        yield Finding('gpu state', NOTE, text, remedy)
    else:
        yield Finding('gpu state', OK, text)


def _tensorrt(name: str, device_id: int) -> Finding:
    """Check that a TensorRT library imports, is new enough, and supports the GPU."""
    from ...gpu.device_info import read_device
    from ...trt.library import find_library, load_library

    try:
        library = load_library(name)
    except DetectorError as error:
        return Finding(name, NOTE, 'not usable', str(error))
    if not library.has_builder:
        modes = 'prebuilt plans of "build_engine --portable" only, without builds on this machine'
    elif library.has_precision_flags:
        modes = 'precision flags'
    else:
        modes = 'strongly typed networks'
    try:
        find_library(name, read_device(device_id))
    except DetectorError as error:
        return Finding(name, NOTE, f'{library.label} ({modes}), does not run here', str(error))
    return Finding(name, OK, f'{library.label} ({modes})')


def _cuda_bindings(device_id: int) -> Finding:
    """Check the CUDA bindings by creating a context."""
    from ...gpu.context import ContextScope, describe_bindings, load_cuda

    try:
        cuda = load_cuda()
        with contextlib.closing(ContextScope(cuda, device_id)):
            return Finding('cuda bindings', OK, f'{describe_bindings(cuda)}, its context works')
    except DetectorError as error:
        return Finding('cuda bindings', NOTE, 'not usable', str(error))
