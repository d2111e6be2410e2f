# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Kernels that TensorRT for RTX compiles at run time, kept in a file beside the plan."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..errors import EngineError, PlanError
from ..trusted_files import read_trusted, write_atomic
from .library import TensorRTLibrary
from .logger import LogLines

__all__ = ['RuntimeCache']

_LOG = logging.getLogger(__name__)


def _runtime_cache_path(plan_path: Path) -> Path:
    """Return the path of the runtime cache of a plan."""
    return plan_path.with_name(f'{plan_path.name}.kernels')


class RuntimeCache:
    """
    Runtime cache of an engine, and the configuration of its execution contexts.

    All kernels are compiled before the first run of a shape: a captured CUDA graph would not use
    those that are compiled later.

    :param library: TensorRT for RTX.
    :param cuda_engine: ICudaEngine.
    :param plan_path: file of the plan, None for a plan in memory, whose kernels are not kept.
    :param lines: log lines of TensorRT for RTX.
    :raises EngineError: if TensorRT for RTX cannot create the configuration.
    """

    def __init__(
        self,
        library: TensorRTLibrary,
        cuda_engine: Any,
        plan_path: Path | None,
        lines: LogLines,
    ) -> None:
        self._path = None if plan_path is None else _runtime_cache_path(plan_path)
        self._stored = self._read()
        runtime_config = cuda_engine.create_runtime_config()
        if runtime_config is None:
            raise EngineError(
                f'{library.label} cannot create a runtime configuration{lines.explain()}'
            )
        runtime_config.dynamic_shapes_kernel_specialization_strategy = library.enum(
            'DynamicShapesKernelSpecializationStrategy', 'EAGER'
        )
        runtime_cache = runtime_config.create_runtime_cache()
        if self._stored and not runtime_cache.deserialize(self._stored):
            _LOG.info('%s is of another version or device; kernels are compiled again', self._path)
            runtime_cache.reset()
        if not runtime_config.set_runtime_cache(runtime_cache):
            _LOG.warning('%s takes no runtime cache: kernels are not kept', library.label)
            self._path = None
        self._runtime_config = runtime_config
        self._runtime_cache = runtime_cache

    @property
    def runtime_config(self) -> Any:
        """Return the IRuntimeConfig for the execution contexts."""
        return self._runtime_config

    def close(self) -> None:
        """Write the kernels to the file if there are new ones, and release the objects."""
        serialized = self._runtime_cache.serialize()
        data = b'' if serialized is None else bytes(serialized)
        self._runtime_config = None
        self._runtime_cache = None
        if self._path is None or data in (b'', self._stored):
            return
        try:
            write_atomic(self._path, data)
        except OSError as error:
            _LOG.info('kernels are not kept: %s cannot be written: %s', self._path, error)

    def _read(self) -> bytes:
        """Read the file, b'' if there is none that can be trusted."""
        if self._path is None:
            return b''
        try:
            return read_trusted(self._path)
        except FileNotFoundError:
            return b''
        except (OSError, PlanError) as error:
            _LOG.warning('the kernels in %s are not used: %s', self._path, error)
            return b''
