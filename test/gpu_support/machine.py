# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A whole machine of doubles: driver, pycuda and one TensorRT, put where imports find them."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import sys
from types import ModuleType
from typing import Any
from unittest import mock

from trt_detector.gpu import cuda as gpu_cuda
from trt_detector.gpu import device_info, plugins

from .cuda_double import CudaDouble, DriverDouble
from .records import load_record
from .trt_double import make_tensorrt, World

GPU = {
    'name': 'Double 0', 'cc': (8, 6), 'sm_count': 82, 'memory': 24 << 30, 'bus': '0000:01:00.0'
}  # fmt: skip


@contextlib.contextmanager
def machine(
    personality: str | None,
    *,
    gpus: list[dict[str, Any]] | None = None,
    limit_bytes: int = 1 << 34,
    **behaviour: Any,
) -> Iterator[World]:
    """
    Make this process believe that it has a GPU and a TensorRT.

    :param personality: one of records.PERSONALITIES, None for a machine with pycuda alone.
    :param gpus: its GPUs, [] for none; each a dict like GPU.
    :param behaviour: fields of World.
    """
    gpus = [GPU] if gpus is None else gpus
    cuda = CudaDouble(devices=len(gpus), limit_bytes=limit_bytes)
    modules: dict[str, Any] = {'tensorrt': None, 'tensorrt_rtx': None, 'pynvml': None}
    pycuda: Any = ModuleType('pycuda')
    pycuda.driver = cuda.module()
    modules |= {'pycuda': pycuda, 'pycuda.driver': pycuda.driver}
    record = load_record(personality or 'tensorrt-10.3')
    capability = gpus[0]['cc'] if gpus else (8, 6)
    world = World(record, cuda, **{'compute_capability': capability, **behaviour})
    if personality is not None:
        modules[record.module] = make_tensorrt(world)
    driver = DriverDouble(gpus)
    with (
        mock.patch.dict(sys.modules, modules),
        mock.patch.object(device_info, '_load_driver', return_value=driver),
        mock.patch.dict(gpu_cuda._PRIMARY, clear=True),
        mock.patch.object(plugins, '_LOADED', set()),
    ):
        yield world
