# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Create the root objects of TensorRT: a runtime or a builder."""

from __future__ import annotations

import ctypes
from typing import Any

from ..errors import BackendUnavailableError
from .library import TensorRTLibrary
from .logger import LogLines

__all__ = ['create_builder', 'create_runtime']

_REMEDY = 'check the NVIDIA driver with nvidia-smi and "ros2 run trt_detector doctor"'


def create_runtime(library: TensorRTLibrary, logger: Any, lines: LogLines) -> Any:
    """
    Create a Runtime.

    If CUDA cannot start, TensorRT 10 and 11 log an error and return an object whose use or
    deletion is a segmentation fault, and TensorRT 8 returns none, with the reason as a warning.

    :param library: the library.
    :param logger: its ILogger.
    :param lines: log lines of the logger.
    :raises BackendUnavailableError: with the lines of TensorRT.
    """
    return _create(library, library.trt.Runtime, logger, lines)


def create_builder(library: TensorRTLibrary, logger: Any, lines: LogLines) -> Any:
    """
    Create a Builder, see :func:`create_runtime`.

    :param library: the library.
    :param logger: its ILogger.
    :param lines: log lines of the logger.
    :raises BackendUnavailableError: with the lines of TensorRT.
    """
    return _create(library, library.trt.Builder, logger, lines)


def _create(library: TensorRTLibrary, factory: Any, logger: Any, lines: LogLines) -> Any:
    """
    Create a root object, and refuse one that TensorRT created with errors.

    :param factory: class of the object.
    :raises BackendUnavailableError: with the lines of TensorRT.
    """
    lines.clear()
    try:
        root = factory(logger)
    except (TypeError, RuntimeError) as error:
        raise _unavailable(library, lines) from error
    _check_started(library, root, lines)
    return root


def _check_started(library: TensorRTLibrary, root: Any, lines: LogLines) -> None:
    """
    Reject an object that TensorRT created with errors, and never delete it.

    :raises BackendUnavailableError: with the lines of TensorRT.
    """
    if not lines.errors_of_thread():
        return
    # A reference in a list would be dropped, and the object deleted, when Python ends.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(root))
    raise _unavailable(library, lines)


def _unavailable(library: TensorRTLibrary, lines: LogLines) -> BackendUnavailableError:
    """Make the error for a library that cannot start."""
    reasons = lines.errors_of_thread() or lines.warnings_of_thread()
    reason = ': ' + ' | '.join(reasons) if reasons else ''
    return BackendUnavailableError(f'{library.label} cannot start{reason}; {_REMEDY}')
