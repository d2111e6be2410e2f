# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Open the engine of a model: TensorRT's, or ONNX Runtime's on a machine without it."""

from __future__ import annotations

from dataclasses import replace
import hashlib
import logging
from pathlib import Path
import threading

import numpy as np

from ..config import DetectorConfig
from ..engine import InferenceEngine
from ..errors import (
    BackendUnavailableError,
    BuildCancelledError,
    BuildError,
    ConfigError,
    EngineError,
    ModelError,
)
from ..model_info import ModelInfo, prepare_model, resolve_external_data
from ..model_info.onnx_session import SessionOptions
from ..model_setup.input_size import find_input_size
from ..onnxruntime_engine import has_provider, OnnxRuntimeEngine, OnnxRuntimeOptions
from ..openvino.engine import OpenVinoEngine
from ..process.usable_cores import count_usable_cores
from ..values.progress import ProgressCallback
from ..values.tensor_spec import DEFAULT_INPUT_SIZE
from ..values.user_path import expand_user

__all__ = ['SingleImageError', 'open_engine']

_LOG = logging.getLogger(__name__)

# Operators whose number of output rows is known only after a run.
_COUNTING_OPERATORS = frozenset({'NonMaxSuppression', 'NonZero'})


class SingleImageError(EngineError):
    """A network declares an open batch and runs one image only."""


def open_engine(
    config: DetectorConfig,
    model: ModelInfo | None,
    batch_size: int,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
) -> InferenceEngine:
    """
    Open the model with the requested backend, or the first one that works.

    :param model: None for a plan.
    :raises SingleImageError: if the network runs one image only and batch_size is larger.
    """
    if model is not None and config.backend == 'onnxruntime':
        return _open_onnxruntime(config, model, batch_size, cancel=cancel)
    from ..trt.backend import open_engine as open_tensorrt

    try:
        return open_tensorrt(
            config, model, batch_size=batch_size, on_progress=on_progress, cancel=cancel
        )
    except BuildCancelledError:
        raise
    except BuildError as error:
        # TensorRT cannot build a batch over a graph that holds a 1.
        if model is not None and batch_size > 1 and not _can_run_two(config, model, cancel):
            raise SingleImageError(str(error).splitlines()[0]) from error
        raise
    except BackendUnavailableError as error:
        if config.backend != 'auto' or model is None:
            raise
        _LOG.info('TensorRT is not used: %s', error)
        entries = (('tensorrt', f'not used: {error}'),)
        return _open_onnxruntime(config, model, batch_size, cancel=cancel, entries=entries)


def _can_run_two(config: DetectorConfig, model: ModelInfo, cancel: threading.Event | None) -> bool:
    """Return whether ONNX Runtime runs two images; True if it cannot tell."""
    if model.image_input.shape[0] is not None:
        return True
    plain = config.with_changes(precision='auto', calib_cache_path='', onnxruntime_provider='cpu')
    try:
        with _open_onnxruntime(plain, model, 2, cancel=cancel) as engine:
            blank = np.zeros(engine.batch_shape(1), engine.input_spec.dtype)
            engine.run(blank)
            try:
                engine.run(np.concatenate((blank, blank)))
            except EngineError:
                return False
    except (BackendUnavailableError, ConfigError, EngineError, ModelError):
        return True
    return True


def _open_onnxruntime(
    config: DetectorConfig,
    model: ModelInfo,
    batch_size: int,
    *,
    cancel: threading.Event | None,
    entries: tuple[tuple[str, str], ...] = (),
) -> OnnxRuntimeEngine:
    """
    Open the model with ONNX Runtime, in its own precision or INT8 by a calibration cache.

    :param entries: further entries of the engine's report.
    """
    fixed_batch = model.image_input.shape[0] if model.image_input.shape else None
    if fixed_batch is not None and 0 < config.batch_size != fixed_batch:
        raise ConfigError(
            f'batch_size is {config.batch_size}, but {model.path.name} has a fixed batch of '
            f'{fixed_batch}; set batch_size to 0, or export with a dynamic batch'
        )
    data, options = _prepare(config, model, cancel)
    options = replace(options, entries=entries + options.entries)
    wanted = config.onnxruntime_provider
    if wanted == 'cuda' or (wanted == 'auto' and has_provider('CUDA')):
        from ..gpu.onnxruntime_cuda import CudaOnnxRuntimeEngine

        try:
            return CudaOnnxRuntimeEngine(
                data,
                batch_size,
                options,
                device_id=config.device_id,
                counts_rows=bool(model.operators & _COUNTING_OPERATORS),
                cuda_graph=config.cuda_graph,
                tf32=config.precision != 'fp32',
            )
        except (BackendUnavailableError, EngineError, ModelError) as error:
            if wanted == 'cuda':
                raise
            warning = f'ONNX Runtime runs on the CPU, not on the GPU: {error}'
            options = replace(options, warnings=(*options.warnings, warning))
    if config.tile_grid is not None and not config.batch_size:
        # Several runs at once gain more than batches, which take much memory on the CPU.
        batch_size = 1
    options = replace(options, parallel_runs=_count_parallel_runs(config))
    if wanted == 'openvino':
        return OpenVinoEngine(
            data, batch_size, options, reduced_precision=config.precision == 'fp16'
        )
    return OnnxRuntimeEngine(data, batch_size, options)


def _prepare(
    config: DetectorConfig, model: ModelInfo, cancel: threading.Event | None
) -> tuple[bytes, OnnxRuntimeOptions]:
    """Make the ONNX file to run, quantized if the parameters ask for it, and its options."""
    cache, warnings = _choose_cache(config, model)
    size = find_input_size(config, model)
    data, folder = prepare_model(model, size or DEFAULT_INPUT_SIZE), model.path.parent
    if model.external_data:
        data, folder = resolve_external_data(data, folder)
    options = OnnxRuntimeOptions(
        input_shape=size,
        session=SessionOptions(
            threads=config.inference_threads,
            spinning=config.inference_spinning,
            model_dir=folder if model.external_data and cache is None else None,
            exact=cache is not None,
            cancel=cancel,
        ),
        precision=model.precision,
        warnings=tuple(warnings),
    )
    if cache is None:
        return data, options
    # Imported here because it imports onnx, which full precision does not need.
    from ..quantize.qdq import quantize_onnx

    quantized = quantize_onnx(data, folder, cache, config.quantize_exclude)
    return quantized.data, replace(
        options,
        precision='int8',
        warnings=(*warnings, *quantized.warnings),
        entries=quantized.entries,
        digest=hashlib.sha256(quantized.data).hexdigest(),
        engine_bytes=len(quantized.data),
    )


def _choose_cache(config: DetectorConfig, model: ModelInfo) -> tuple[Path | None, list[str]]:
    """Return the calibration cache to quantize with, and warnings; None to run the model as is."""
    cache = expand_user(config.calib_cache_path) if config.calib_cache_path else None
    openvino = config.onnxruntime_provider == 'openvino'
    # Only with OpenVINO INT8 is faster.
    wanted = config.precision == 'int8'
    if openvino and config.precision == 'auto':
        wanted = cache is not None and cache.is_file()
    if wanted and model.precision == 'fp32' and cache is not None:
        return cache, []
    warnings = []
    if cache is not None and not cache.is_file():
        warnings.append(
            f'calib_cache_path {config.calib_cache_path!r} is not a file and is not used: make it '
            'with calibrate'
        )
    chosen = ('auto', 'fp32', 'fp16') if openvino else ('auto', model.precision)
    if config.precision not in chosen:
        remedy = '' if cache or config.precision != 'int8' else '; INT8 needs calib_cache_path'
        warnings.append(
            f'precision is {config.precision!r}, but ONNX Runtime runs {model.path.name} as it '
            f'is: {model.precision}{remedy}'
        )
    return None, warnings


def _count_parallel_runs(config: DetectorConfig) -> int:
    """
    Count the runs of ONNX Runtime on the CPU that may be in progress at once.

    The threads of one run are idle between two runs, and while a layer is not shared among them.
    Images of other cameras and tiles fill these gaps: two runs per core, so that a core which
    waits for the host has another one. Parameter inference_threads limits the runs, too.
    """
    limit = config.inference_threads or 2 * count_usable_cores()
    grid = config.tile_grid
    return min(len(config.image_topics) if grid is None else grid.max_parts, limit)
