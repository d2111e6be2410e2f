# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sessions of ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError, ModelError

__all__ = ['SessionOptions', 'open_session']


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """
    Options of a session.

    :param threads: threads of one run; 0 is one per physical core.
    :param spinning: let them spin between two runs.
    :param providers: ONNX Runtime's execution providers, best first: names, or (name, options).
    :param model_dir: folder of the model's external data.
    :param exact: compute Q/DQ nodes one by one. Fused into INT8 kernels, ONNX Runtime adds pairs
        of products in 16 bits on CPUs without VNNI, which overflow.
    :param disabled_optimizers: names of ONNX Runtime's graph optimizers to leave out.
    :param memory_arena: keep the memory of the CPU between runs.
    """

    threads: int = 0
    spinning: bool = False
    providers: tuple[Any, ...] = ('CPUExecutionProvider',)
    model_dir: Path | None = None
    exact: bool = False
    disabled_optimizers: tuple[str, ...] = ()
    memory_arena: bool = True


def open_session(model_bytes: bytes, wanted: SessionOptions) -> Any:
    """
    Open an InferenceSession on an ONNX file in memory.

    :raises BackendUnavailableError: if onnxruntime is not installed.
    :raises ModelError: if it refuses the model.
    """
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            f'ONNX Runtime cannot be imported ({error}); install it: pip install onnxruntime'
        ) from error
    if len(wanted.providers) > 1 and hasattr(onnxruntime, 'preload_dlls'):
        # Finds cuDNN and the CUDA libraries that pip installed.
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = wanted.threads
    options.enable_cpu_mem_arena = wanted.memory_arena
    # Frames come at a camera's pace: threads that spin between them burn a core.
    options.add_session_config_entry('session.intra_op.allow_spinning', str(int(wanted.spinning)))
    if wanted.exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if wanted.model_dir is not None:
        options.add_session_config_entry(
            'session.model_external_initializers_file_folder_path', os.fspath(wanted.model_dir)
        )
    try:
        return onnxruntime.InferenceSession(
            model_bytes,
            options,
            providers=list(wanted.providers),
            disabled_optimizers=list(wanted.disabled_optimizers),
        )
    except Exception as error:  # ONNX Runtime's own classes share no base but this one
        raise ModelError(f'ONNX Runtime refuses the model: {error}') from error
