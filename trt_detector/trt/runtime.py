# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Deserialize a plan."""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError, EngineError
from .interrupts import deferred_interrupt
from .library import TensorRTLibrary
from .logger import LogLines
from .start import create_runtime

__all__ = ['PlanRefusedError', 'load_cuda_engine']


_REMEDY = 'a plan runs only on the TensorRT version and GPU model that it was built for'
_LEAN_REMEDY = (
    'the lean runtime runs portable plans of its own TensorRT version only; build the plan with '
    '"ros2 run trt_detector build_engine --portable" on a machine with this kind of GPU and '
    'TensorRT of this version, or install the lean runtime of the version that built it'
)


class PlanRefusedError(EngineError):
    """TensorRT rejects a plan: it is of another version or device, or damaged."""


def load_cuda_engine(
    library: TensorRTLibrary, plan: bytes, logger: Any, lines: LogLines, dla_core: int = -1
) -> tuple[Any, Any]:
    """
    Deserialize a plan.

    :param library: the library that built it.
    :param plan: the serialized engine.
    :param logger: ILogger of the library.
    :param lines: log lines of the logger.
    :param dla_core: DLA core that runs it, -1 for the GPU.
    :return: (IRuntime, ICudaEngine); the runtime has to outlive the engine.
    :raises BackendUnavailableError: if the library cannot start.
    :raises ConfigError: if there is no such DLA core.
    :raises PlanRefusedError: with the error lines of TensorRT.
    """
    runtime = create_runtime(library, logger, lines)
    lines.clear()
    # engine_host_code_allowed stays False: a plan may not bring a library to execute.
    if dla_core >= 0:
        _set_dla_core(library, runtime, dla_core)
    interrupts: list[BaseException] = []
    with deferred_interrupt(interrupts.append):
        cuda_engine = runtime.deserialize_cuda_engine(plan)
    for interrupt in interrupts:
        raise interrupt
    if cuda_engine is None:
        raise PlanRefusedError(
            f'{library.label} rejects the plan of {len(plan)} bytes{lines.explain()}; '
            f'{_REMEDY if library.has_builder else _LEAN_REMEDY}'
        )
    return runtime, cuda_engine


def _set_dla_core(library: TensorRTLibrary, runtime: Any, dla_core: int) -> None:
    """
    Choose the DLA core of a runtime.

    TensorRT ignores a core that does not exist, without an exception.

    :raises ConfigError: with the DLA cores of this machine.
    """
    runtime.DLA_core = dla_core
    if runtime.DLA_core != dla_core:
        raise ConfigError(
            f'dla_core is {dla_core}, but {library.label} finds {runtime.num_DLA_cores} DLA '
            'core(s) on this machine; set it to -1 for the GPU'
        )
