# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA version that an installed TensorRT was built with."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
import subprocess
from typing import Any

__all__ = ['read_cuda_major']

_DEBIAN_FOLDER = 'dist-packages'


def read_cuda_major(name: str, module: Any) -> int | None:
    """
    Read the major version of CUDA from the package that a TensorRT module belongs to.

    Wheels have it in their name ('tensorrt_cu13'), Debian packages in their version
    ('10.3.0.30-1+cuda12.5').

    :param name: name of the module, e.g. 'tensorrt'.
    :param module: the imported module.
    :return: the version, None if the package does not tell it.
    """
    file = getattr(module, '__file__', None)
    if file is None:
        return None
    folder = Path(file).parent.parent
    wheels = (path.name for path in folder.glob(f'{name}_cu*.dist-info'))
    versions = {match[1] for wheel in wheels if (match := re.match(rf'{name}_cu(\d+)', wheel))}
    if not versions and folder.name == _DEBIAN_FOLDER:
        versions = set(re.findall(r'\+cuda(\d+)', _debian_version()))
    return int(versions.pop()) if len(versions) == 1 else None


def _debian_version() -> str:
    """Return the version of the Debian package of TensorRT, '' if there is none."""
    program = shutil.which('dpkg-query')
    if program is None:
        return ''
    command = [program, '--show', '--showformat=${Version}', 'python3-libnvinfer']
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout if result.returncode == 0 else ''
