# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Composition root: make a detector from parameters."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
import hashlib
import logging
import math
import os
from pathlib import Path
import threading

import numpy as np

from .config import DetectorConfig
from .decode import DecodeOptions, Head
from .engine import InferenceEngine
from .errors import (
    BackendUnavailableError,
    BuildCancelledError,
    BuildError,
    ConfigError,
    EngineError,
    ModelError,
)
from .int8_gate.gate import open_accepted
from .model_info import (
    describe_misnamed,
    is_plan,
    ModelInfo,
    prepare_model,
    read_model_info,
    resolve_external_data,
)
from .model_info.onnx_session import SessionOptions
from .model_setup import (
    decode_options,
    describe_detector,
    given_metadata,
    input_size_chooser,
    map_classes,
    ModelSetup,
    Preprocessing,
)
from .onnxruntime_engine import has_provider, OnnxRuntimeEngine, OnnxRuntimeOptions
from .openvino.engine import OpenVinoEngine
from .pipeline import Detector
from .process.usable_cores import count_usable_cores
from .tiling.tiled_detector import TiledDetector
from .values.cancellation import interrupt_on
from .values.device_state import DeviceWatch
from .values.engine_info import EngineInfo
from .values.progress import ProgressCallback
from .values.tensor_spec import DEFAULT_INPUT_SIZE
from .values.user_path import expand_user

__all__ = ['create_detector', 'decode_options', 'watch_device']

_LOG = logging.getLogger(__name__)

# Larger batches take much memory and are hardly faster per image.
_MAX_TILE_BATCH = 32

# Operators whose number of output rows is known only after a run.
_COUNTING_OPERATORS = frozenset({'NonMaxSuppression', 'NonZero'})


def create_detector(
    config: DetectorConfig,
    *,
    default_batch_size: int = 1,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> Detector:
    """
    Open the model, build its engine if there is none, and warm up.

    The detector belongs to the thread that calls this.

    :param default_batch_size: maximum number of images per inference if parameter batch_size is 0;
        the warm-up measures whether that many or one are used. With tiles, it is the number of
        parts of one image instead.
    :param on_progress: receives the progress of a build, in this or another thread.
    :param cancel: set it to cancel a build.
    :raises ConfigError: if parameters contradict the model.
    :raises ModelError: if the model cannot be read, or its head is not recognized.
    :raises BackendUnavailableError: if the requested backend is not on this machine.
    :raises BuildError: if the plan cannot be built; BuildCancelledError if it was cancelled.
    :raises AccuracyError: if the INT8 engine is refused and int8_gate_action is fail.
    """

    def open_detector(values: DetectorConfig) -> Detector:
        return _open_detector(values, default_batch_size, on_progress, cancel)

    return open_accepted(config, open_detector)


class _SingleImageError(EngineError):
    """A network declares an open batch and runs one image only."""


def _open_detector(
    config: DetectorConfig,
    default_batch_size: int,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
) -> Detector:
    """Open a detector without the check of an INT8 engine."""
    batch_size = config.batch_size or _choose_batch_size(config, default_batch_size)
    try:
        return _open_with_batch(config, batch_size, on_progress, cancel)
    except _SingleImageError as error:
        warning = (
            f'{Path(config.model_path).name} declares an open batch, but fails with two images '
            f'({error}): it runs one image at a time instead of {batch_size}; export it with a '
            'batch that is really dynamic'
        )
    config = config.with_changes(batch_size=1)
    return _open_with_batch(config, 1, on_progress, cancel, (warning,))


def _choose_batch_size(config: DetectorConfig, default: int) -> int:
    """Choose the largest batch if the parameter leaves it open: with tiles, those of one image."""
    grid = config.tile_grid
    if grid is None:
        return default
    # As few runs as possible, all with nearly the same number of parts.
    runs = math.ceil(grid.max_parts / _MAX_TILE_BATCH)
    return math.ceil(grid.max_parts / runs)


def _open_with_batch(
    config: DetectorConfig,
    batch_size: int,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
    warnings: tuple[str, ...] = (),
) -> Detector:
    """
    Open a detector with a batch size.

    :raises _SingleImageError: if the network runs one image only and batch_size is larger.
    """
    path = expand_user(config.model_path)
    model = None if is_plan(path) else read_model_info(path, given_metadata(config))
    if model is None and config.backend == 'onnxruntime':
        raise ConfigError(
            f'model_path {config.model_path!r} is a TensorRT plan, which backend onnxruntime '
            'cannot run; name the ONNX file, or set backend to auto'
        )
    warnings += describe_misnamed(path, is_a_plan=model is None)
    setup = ModelSetup.read(config, path, model)
    if model is not None:
        config = _with_input_shape(config, model, batch_size)
        # A model that cannot be decoded fails here, not after a build that takes minutes.
        early = setup.recognize_before_load(_input_shape(config, model) or DEFAULT_INPUT_SIZE)
        if early is not None:
            decode_options(config, map_classes(config.class_map, setup.class_names(early)).names)
            preprocessing = setup.preprocessing(early, model.outputs)
            config = _with_trained_size(config, model, preprocessing, batch_size)
            if early.single_image:
                _refuse_fixed_batch(model, early.name)
                config, batch_size = config.with_changes(batch_size=1), 1
    with ExitStack() as undo:
        engine = _open_engine(config, model, batch_size, on_progress, cancel)
        undo.callback(engine.close)
        if model is not None:
            model.content.release()
        found = setup.recognize_engine(engine)
        if model is not None and batch_size > 1:
            _check_two_images(engine, found.head)
        preprocessing = setup.preprocessing(found, engine.output_specs)
        if _set_trained_size(config, engine, preprocessing):
            found = setup.recognize_engine(engine)
        classes = map_classes(config.class_map, setup.class_names(found))
        chooser = input_size_chooser(setup, engine, preprocessing)
        description = describe_detector(
            setup, engine, found, preprocessing, follows_images=chooser is not None
        )
        grid = config.tile_grid
        make = Detector if grid is None else partial(TiledDetector, grid=grid)
        detector = make(
            engine,
            setup.preprocessor(engine, preprocessing),
            found.head,
            model_name=path.name,
            class_names=classes.names,
            options=decode_options(config, classes.names),
            choose_input_size=chooser,
            warnings=(*warnings, *setup.warnings, *found.warnings, *preprocessing.warnings),
            description=description,
            sanity=setup.sanity_check(found, engine.info.precision),
            choose_batch=_is_batch_open(config, engine),
            class_map=classes.ids,
        )
        # It closes the engine, after its slots, which lie in the engine's context.
        undo.pop_all()
        undo.callback(detector.close)
        _warm_up(detector, config.warmup_iterations, cancel)
        undo.pop_all()
    return detector


def _is_batch_open(config: DetectorConfig, engine: InferenceEngine) -> bool:
    """Return whether the warm-up chooses the batch size."""
    is_given = config.batch_size > 0 or engine.input_spec.shape[0] is not None
    return not is_given and config.warmup_iterations > 0


def _check_two_images(engine: InferenceEngine, head: Head) -> None:
    """
    Run two black images through a network with an open batch.

    :raises _SingleImageError: if it fails, or has not one result per image.
    """
    if engine.input_spec.shape[0] is not None or engine.get_batch_size() < 2:
        return
    blank = np.zeros(engine.batch_shape(2), engine.input_spec.dtype)
    try:
        with engine.device_lock():
            outputs = engine.run(blank)
        count = len(head.decode(outputs, DecodeOptions()))
    except (EngineError, IndexError, ValueError) as error:
        raise _SingleImageError(str(error).splitlines()[0]) from error
    if count != 2:
        shapes = '; '.join(str(list(output.shape)) for output in outputs)
        raise _SingleImageError(f'outputs {shapes}')


def _warm_up(detector: Detector, iterations: int, cancel: threading.Event | None) -> None:
    """
    Warm a detector up.

    :raises BuildCancelledError: if it is cancelled.
    """
    try:
        with interrupt_on(cancel, detector.engine.interrupt):
            detector.warm_up(iterations)
    except EngineError as error:
        if cancel is not None and cancel.is_set():
            raise BuildCancelledError('the warm-up was cancelled') from error
        raise


def watch_device(info: EngineInfo) -> DeviceWatch | None:
    """
    Start to monitor the device that an engine runs on; the caller closes the watch.

    :return: None if it does not run on a GPU.
    """
    if info.device_id is None:
        return None
    from .gpu.device_monitor import DeviceMonitor

    return DeviceMonitor(info.device_id)


def _open_engine(
    config: DetectorConfig,
    model: ModelInfo | None,
    batch_size: int,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
) -> InferenceEngine:
    """Open the model with the requested backend, or the first one that works."""
    if model is not None and config.backend == 'onnxruntime':
        return _open_onnxruntime(config, model, batch_size, (), cancel)
    from .trt.backend import open_engine

    try:
        return open_engine(
            config, model, batch_size=batch_size, on_progress=on_progress, cancel=cancel
        )
    except BuildCancelledError:
        raise
    except BuildError as error:
        # TensorRT cannot build a batch over a graph that holds a 1.
        if model is not None and batch_size > 1 and not _can_run_two(config, model, cancel):
            raise _SingleImageError(str(error).splitlines()[0]) from error
        raise
    except BackendUnavailableError as error:
        if config.backend != 'auto' or model is None:
            raise
        _LOG.info('TensorRT is not used: %s', error)
        entries = (('tensorrt', f'not used: {error}'),)
        return _open_onnxruntime(config, model, batch_size, entries, cancel)


def _can_run_two(config: DetectorConfig, model: ModelInfo, cancel: threading.Event | None) -> bool:
    """Return whether ONNX Runtime runs two images; True if it cannot tell."""
    if model.image_input.shape[0] is not None:
        return True
    plain = config.with_changes(precision='auto', calib_cache_path='', onnxruntime_provider='cpu')
    try:
        with _open_onnxruntime(plain, model, 2, (), cancel) as engine:
            blank = np.zeros(engine.batch_shape(1), engine.input_spec.dtype)
            engine.run(blank)
            try:
                engine.run(np.concatenate((blank, blank)))
            except EngineError:
                return False
    except (BackendUnavailableError, ConfigError, EngineError, ModelError):
        return True
    return True


def _refuse_fixed_batch(model: ModelInfo, head: str) -> None:
    """
    Refuse a fixed batch of several images for a head with the outputs of one.

    :raises ModelError: if the model has such a batch.
    """
    fixed = model.image_input.shape[0] if model.image_input.shape else None
    if fixed not in (None, 1):
        raise ModelError(
            f'head {head} has the outputs of one image, but {model.path.name} has a fixed batch '
            f'of {fixed}; export it with a batch of 1'
        )


def _open_onnxruntime(
    config: DetectorConfig,
    model: ModelInfo,
    batch_size: int,
    entries: tuple[tuple[str, str], ...],
    cancel: threading.Event | None,
) -> OnnxRuntimeEngine:
    """Open the model with ONNX Runtime, in its own precision or INT8 by a calibration cache."""
    warnings = []
    cache = expand_user(config.calib_cache_path) if config.calib_cache_path else None
    openvino = config.onnxruntime_provider == 'openvino'
    if not _uses_cache(config, cache) or model.precision != 'fp32':
        warnings += _cache_warnings(config, cache)
        cache = None
    chosen = ('auto', 'fp32', 'fp16') if openvino else ('auto', model.precision)
    if config.precision not in chosen and cache is None:
        warnings.append(
            f'precision is {config.precision!r}, but ONNX Runtime runs {model.path.name} as it '
            f'is: {model.precision}'
        )
    fixed_batch = model.image_input.shape[0] if model.image_input.shape else None
    if fixed_batch is not None and 0 < config.batch_size != fixed_batch:
        raise ConfigError(
            f'batch_size is {config.batch_size}, but {model.path.name} has a fixed batch of '
            f'{fixed_batch}; set batch_size to 0, or export with a dynamic batch'
        )
    size = _input_shape(config, model)
    data, folder = prepare_model(model, size or DEFAULT_INPUT_SIZE), model.path.parent
    if model.external_data:
        data, folder = resolve_external_data(data, folder)
    if cache is not None:
        # Imported here because it imports onnx, which full precision does not need.
        from .quantize.qdq import quantize_onnx

        quantized = quantize_onnx(data, folder, cache, config.quantize_exclude)
        data = quantized.data
        entries += quantized.entries
        warnings += quantized.warnings
    options = OnnxRuntimeOptions(
        input_shape=size,
        session=SessionOptions(
            threads=config.inference_threads or _count_threads(),
            spinning=config.inference_spinning,
            model_dir=folder if model.external_data and cache is None else None,
            exact=cache is not None,
            cancel=cancel,
        ),
        precision=model.precision if cache is None else 'int8',
        warnings=tuple(warnings),
        entries=entries,
        digest='' if cache is None else hashlib.sha256(data).hexdigest(),
        engine_bytes=None if cache is None else len(data),
    )
    wanted = config.onnxruntime_provider
    if wanted == 'cuda' or (wanted == 'auto' and has_provider('CUDA')):
        from .gpu.onnxruntime_cuda import CudaOnnxRuntimeEngine

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
    if openvino:
        return OpenVinoEngine(
            data, batch_size, options, reduced_precision=config.precision == 'fp16'
        )
    return OnnxRuntimeEngine(data, batch_size, options)


def _uses_cache(config: DetectorConfig, cache: Path | None) -> bool:
    """Return whether ONNX Runtime quantizes: only with OpenVINO INT8 is the faster one."""
    if config.precision == 'auto' and config.onnxruntime_provider == 'openvino':
        return cache is not None and cache.is_file()
    return config.precision == 'int8'


def _count_threads() -> int:
    """
    Count the threads of ONNX Runtime; 0 leaves it to ONNX Runtime, one per physical core.

    It counts the cores of the machine and binds a thread to each of them, whatever this process
    may use.
    """
    cores = count_usable_cores()
    return cores if cores < (os.cpu_count() or 1) else 0


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


def _cache_warnings(config: DetectorConfig, cache: Path | None) -> list[str]:
    """Return the warnings about a calibration cache that ONNX Runtime does not use."""
    if cache is None or cache.is_file():
        return []
    return [f'calib_cache_path {config.calib_cache_path!r} is not a file']


def _input_shape(config: DetectorConfig, model: ModelInfo) -> tuple[int, int] | None:
    """Return (height, width) to run at: the parameter outranks the model's metadata."""
    if config.opt_shape:
        return model.image_input.height_width(config.opt_shape)
    return model.input_size


def _with_input_shape(config: DetectorConfig, model: ModelInfo, batch_size: int) -> DetectorConfig:
    """
    Write parameter input_shape as opt_shape, which every engine follows.

    :raises ConfigError: if the model fixes another size, or opt_shape contradicts.
    """
    size, image = config.input_size, model.image_input
    if size is None or len(image.shape) != 4:
        return config
    own = image.height_width(image.shape)
    if any(dim not in (None, wanted) for dim, wanted in zip(own, size, strict=True)):
        raise ConfigError(
            f'input_shape is {config.input_shape!r}, but {model.path.name} has the input {image}; '
            'set input_shape to auto, or export with a dynamic size'
        )
    if config.opt_shape:
        if image.height_width(config.opt_shape) != size:
            raise ConfigError(
                f'input_shape is {config.input_shape!r} and opt_shape is '
                f'{list(config.opt_shape)}; give one of them'
            )
        return config
    batch = image.shape[0] or batch_size
    if image.channels_last:
        return config.with_changes(opt_shape=(batch, *size, image.shape[3] or 3))
    return config.with_changes(opt_shape=(batch, image.shape[1] or 3, *size))


def _with_trained_size(
    config: DetectorConfig, model: ModelInfo, preprocessing: Preprocessing, batch_size: int
) -> DetectorConfig:
    """Set the input size of a network that leaves it open and runs at one size only."""
    shape = model.image_input.shape
    given = config.opt_shape or config.min_shape or config.max_shape
    if not preprocessing.square or given or len(shape) != 4:
        return config
    if None not in model.image_input.height_width(shape):
        return config
    own = model.image_input.height_width(shape)
    trained = preprocessing.size or model.input_size or DEFAULT_INPUT_SIZE
    height, width = own[0] or trained[0], own[1] or trained[1]
    return _with_input_shape(
        config.with_changes(input_shape=f'{height}x{width}'), model, batch_size
    )


def _set_trained_size(
    config: DetectorConfig, engine: InferenceEngine, preprocessing: Preprocessing
) -> bool:
    """Set the size that an open engine was trained at; return whether it changed."""
    if preprocessing.size is None or config.input_shape != 'auto' or config.opt_shape:
        return False
    smallest, largest = engine.get_input_shape_range()
    size = tuple(
        min(max(wanted, low), high)
        for wanted, low, high in zip(preprocessing.size, smallest, largest, strict=True)
    )
    if size == engine.get_input_shape():
        return False
    engine.set_input_shape((size[0], size[1]))
    return True
