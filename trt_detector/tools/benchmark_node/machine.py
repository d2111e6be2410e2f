# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Description of the machine of a measurement."""

from __future__ import annotations

from importlib import metadata
import os
from pathlib import Path
import platform
import re
from typing import Any

from ...errors import DetectorError

__all__ = ['describe_machine']

_PACKAGES = (
    'numpy', 'onnxruntime', 'onnxruntime-gpu', 'opencv-python-headless', 'ros-rclpy', 'tensorrt',
)  # fmt: skip


def describe_machine(device_id: int) -> dict[str, Any]:
    """
    Return processor, GPU, middleware and versions.

    :param device_id: number of the GPU.
    """
    # ARM has no such line.
    model = re.search(r'model name\s*:\s*(.*)', Path('/proc/cpuinfo').read_text(encoding='utf-8'))
    versions = {'python': platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        'platform': platform.platform(),
        'cpu': model[1] if model else platform.machine(),
        'processors': len(os.sched_getaffinity(0)),
        'gpu': _name_gpu(device_id),
        'load_average': os.getloadavg()[0],
        'rmw': os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp'),
        'fast_dds': {
            name: Path(value).name for name, value in os.environ.items() if name.startswith('FAST')
        },
        'versions': versions,
    }


def _name_gpu(device_id: int) -> str:
    """Return the name of the GPU, '' if there is none."""
    from ...gpu.device_info import read_device

    try:
        return read_device(device_id).name
    except DetectorError:
        return ''
