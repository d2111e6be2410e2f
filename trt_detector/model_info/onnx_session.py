# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sessions of ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import threading
from typing import Any

from ..errors import BackendUnavailableError, BuildCancelledError, ModelError
from ..process.usable_cores import count_usable_cores
from ..values.cancellation import interrupt_on

__all__ = ['SessionOptions', 'load_onnxruntime', 'open_session']


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """
    Options of a session.

    :param threads: threads of one run; 0 is one per physical core that this process may use.
    :param spinning: let them spin between two runs.
    :param providers: ONNX Runtime's execution providers, best first: names, or (name, options).
    :param model_dir: folder of the model's external data.
    :param exact: compute Q/DQ nodes one by one. Fused into INT8 kernels, ONNX Runtime adds pairs
        of products in 16 bits on CPUs without VNNI, which overflow.
    :param disabled_optimizers: names of ONNX Runtime's graph optimizers to leave out.
    :param memory_arena: keep the memory of the CPU between runs.
    :param required: fail if the first provider raises, instead of running on the CPU, and record
        the provider of each node if ONNX Runtime can (1.24).
    :param cancel: cancels opening the session, and the warm-up.
    """

    threads: int = 0
    spinning: bool = False
    providers: tuple[Any, ...] = ('CPUExecutionProvider',)
    model_dir: Path | None = None
    exact: bool = False
    disabled_optimizers: tuple[str, ...] = ()
    memory_arena: bool = True
    required: bool = False
    cancel: threading.Event | None = None

    def count_threads(self) -> int:
        """
        Count the threads of one run; 0 leaves it to the runtime, one per physical core.

        ONNX Runtime would count the cores of the machine and bind a thread to each of them,
        whatever this process may use.
        """
        cores = count_usable_cores()
        return self.threads or (cores if cores < (os.cpu_count() or 1) else 0)


def load_onnxruntime() -> Any:
    """
    Import ONNX Runtime, and turn its telemetry off for this process.

    Every module imports it here: a wheel can be built to send events of sessions.

    :raises BackendUnavailableError: if onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            f'ONNX Runtime cannot be imported ({error}); install it: pip install onnxruntime'
        ) from error
    if hasattr(onnxruntime, 'disable_telemetry_events'):
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(model_bytes: bytes, wanted: SessionOptions) -> Any:
    """
    Open an InferenceSession on an ONNX file in memory.

    :raises BackendUnavailableError: if onnxruntime is not installed.
    :raises ModelError: if it refuses the model.
    :raises BuildCancelledError: if it was cancelled.
    """
    onnxruntime = load_onnxruntime()
    is_cuda = any('CUDAExecutionProvider' in provider for provider in wanted.providers)
    if is_cuda and hasattr(onnxruntime, 'preload_dlls'):
        # Finds cuDNN and the CUDA libraries that pip installed.
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = wanted.count_threads()
    options.enable_cpu_mem_arena = wanted.memory_arena
    # Frames come at a camera's pace: threads that spin between them burn a core.
    options.add_session_config_entry('session.intra_op.allow_spinning', str(int(wanted.spinning)))
    if wanted.required:
        options.add_session_config_entry('session.record_ep_graph_assignment_info', '1')
    if wanted.exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if wanted.model_dir is not None:
        options.add_session_config_entry(
            'session.model_external_initializers_file_folder_path', os.fspath(wanted.model_dir)
        )

    def interrupt() -> None:
        # Not in ONNX Runtime before 1.21, which opens the session to the end.
        if hasattr(options, 'set_load_cancellation_flag'):
            options.set_load_cancellation_flag(True)

    try:
        with interrupt_on(wanted.cancel, interrupt):
            session = onnxruntime.InferenceSession(
                model_bytes,
                options,
                providers=list(wanted.providers),
                disabled_optimizers=list(wanted.disabled_optimizers),
                enable_fallback=int(not wanted.required),
            )
    except Exception as error:  # ONNX Runtime's own classes share no base but this one
        _check_cancelled(wanted.cancel, error)
        raise ModelError(
            f'ONNX Runtime refuses the model: {error}; update onnxruntime, or export the model '
            'again'
        ) from error
    _check_cancelled(wanted.cancel, None)
    return session


def _check_cancelled(cancel: threading.Event | None, error: Exception | None) -> None:
    """
    Stop if the event is set.

    :raises BuildCancelledError: if it is.
    """
    if cancel is not None and cancel.is_set():
        raise BuildCancelledError('opening the ONNX Runtime session was cancelled') from error
