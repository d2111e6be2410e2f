# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Make a detector from parameters: the one place that knows every backend."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
import hashlib
from pathlib import Path
import threading

from .config import DetectorConfig
from .decode import DecodeOptions
from .engine import InferenceEngine
from .errors import BackendUnavailableError, ConfigError, EngineError, ModelError
from .int8_gate.gate import accept_int8
from .model_info import ModelInfo, prepare_model, read_model_info
from .model_info.onnx_session import SessionOptions
from .model_setup import DEFAULT_SIZE, ModelSource
from .onnxruntime_engine import has_cuda_provider, OnnxRuntimeEngine, OnnxRuntimeOptions
from .pipeline import Detector
from .values.device_state import DeviceWatch
from .values.engine_info import EngineInfo
from .values.progress import ProgressCallback

__all__ = ['create_detector', 'decode_options', 'watch_device']

_PLAN_SUFFIXES = ('.engine', '.plan')
# How many rows such a network returns is known only when it has run.
_COUNTING_OPERATORS = frozenset({'NonMaxSuppression', 'NonZero'})


def create_detector(
    config: DetectorConfig,
    *,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> Detector:
    """
    Open the model, build what has to be built, and warm up.

    The detector belongs to the thread that calls this.

    :param on_progress: told how far a build has come; called from this or another thread.
    :param cancel: set it to give up a build.
    :raises ConfigError: if parameters contradict the model.
    :raises ModelError: if the model cannot be read or is not a detector that is known.
    :raises BackendUnavailableError: if the backend that was asked for is not on this machine.
    :raises BuildError: if the plan cannot be built; BuildCancelledError if it was given up.
    :raises AccuracyError: if the INT8 engine is refused and int8_gate_action is fail.
    """
    detector = _open_detector(config, on_progress, cancel)
    return accept_int8(config, detector, lambda other: _open_detector(other, on_progress, cancel))


def _open_detector(
    config: DetectorConfig,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
) -> Detector:
    """Return a detector as the parameters ask for it, INT8 unchecked."""
    path = Path(config.model_path).expanduser()
    model = None if path.suffix in _PLAN_SUFFIXES else read_model_info(path)
    if model is None and config.backend == 'onnxruntime':
        raise ConfigError(
            f'model_path {config.model_path!r} is a TensorRT plan, which backend onnxruntime '
            'cannot run; name the ONNX file, or set backend to auto'
        )
    source = ModelSource.of(config, path, model)
    if model is not None:
        config = _with_input_shape(config, model)
        # Before a build that takes minutes: is it a detector that can be decoded at all?
        early = source.recognize_early(_input_shape(config, model) or DEFAULT_SIZE)
        if early is not None:
            decode_options(config, source.class_names(early))
        if early is not None and early.single_image:
            config = config.with_changes(batch_size=1)
    with ExitStack() as undo:
        engine = _open_engine(config, model, on_progress, cancel)
        undo.callback(engine.close)
        found = source.recognize_engine(engine)
        class_names = source.class_names(found)
        detector = Detector(
            engine,
            source.preprocessor(engine, found),
            found.head,
            model_name=path.name,
            class_names=class_names,
            options=decode_options(config, class_names),
            fit=source.fit_input(engine),
            warnings=found.warnings,
        )
        # It closes the engine, after what lies in the engine's context.
        undo.pop_all()
        undo.callback(detector.close)
        detector.warm_up(config.warmup_iterations)
        undo.pop_all()
    return detector


def decode_options(config: DetectorConfig, class_names: Sequence[str]) -> DecodeOptions:
    """
    Return which detections the parameters ask for.

    :param class_names: names by class id; empty where nobody knows them.
    :raises ConfigError: if 'classes' holds what is neither a name nor a number of a class.
    """
    wanted = {_class_id(text, class_names) for text in config.classes}
    return DecodeOptions(
        score_threshold=config.score_threshold,
        iou_threshold=config.iou_threshold,
        max_detections=config.max_detections,
        classes=frozenset(wanted) if wanted else None,
        class_agnostic=config.class_agnostic_nms,
        class_score_thresholds=tuple(
            _class_threshold(text, class_names) for text in config.class_score_thresholds
        ),
    )


def watch_device(info: EngineInfo) -> DeviceWatch | None:
    """
    Begin to read the device that an engine runs on; the caller closes the watch.

    :return: None where it runs on no GPU.
    """
    if info.device_id is None:
        return None
    from .gpu.device_monitor import DeviceMonitor

    return DeviceMonitor(info.device_id)


def _class_threshold(text: str, class_names: Sequence[str]) -> tuple[int, float]:
    """Return class id and score of 'name:score'; the name may hold colons."""
    name, _, number = text.rpartition(':')
    try:
        score = float(number)
    except ValueError:
        score = -1.0
    if not name or not 0 <= score <= 1:
        raise ConfigError(
            f'class_score_thresholds holds {text!r}; expected name:score with a score of 0 to 1'
        )
    return _class_id(name, class_names, 'class_score_thresholds'), score


def _class_id(text: str, class_names: Sequence[str], parameter: str = 'classes') -> int:
    """Return the id of a class given by name or number."""
    if text in class_names:
        return class_names.index(text)
    if text.isdecimal() and (not class_names or int(text) < len(class_names)):
        return int(text)
    known = ', '.join(class_names) if class_names else 'any number from 0'
    raise ConfigError(f'{parameter} holds {text!r}; expected names or numbers of: {known}')


def _open_engine(
    config: DetectorConfig,
    model: ModelInfo | None,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
) -> InferenceEngine:
    """Open the model with the backend that was asked for, or the first that works."""
    batch_size = config.batch_size or len(config.image_topics)
    if model is not None and config.backend == 'onnxruntime':
        return _open_onnxruntime(config, model, batch_size, ())
    from .trt.backend import open_engine

    try:
        return open_engine(
            config, model, batch_size=batch_size, on_progress=on_progress, cancel=cancel
        )
    except BackendUnavailableError as error:
        if config.backend != 'auto' or model is None:
            raise
        return _open_onnxruntime(config, model, batch_size, (('tensorrt', f'not used: {error}'),))


def _open_onnxruntime(
    config: DetectorConfig,
    model: ModelInfo,
    batch_size: int,
    entries: tuple[tuple[str, str], ...],
) -> OnnxRuntimeEngine:
    """Open the model with ONNX Runtime: in its own precision, or INT8 by a calibration cache."""
    warnings = []
    cache = Path(config.calib_cache_path).expanduser() if config.calib_cache_path else None
    if config.precision != 'int8' or model.precision != 'fp32':
        warnings += _cache_warnings(config, cache)
        cache = None
    if config.precision not in ('auto', model.precision) and cache is None:
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
    data, folder = prepare_model(model, size or DEFAULT_SIZE), model.path.resolve().parent
    if cache is not None:
        # Here, because it imports onnx, which a start in full precision does without.
        from .quantize.qdq import quantize_onnx

        data, counts = quantize_onnx(data, folder, cache, config.quantize_exclude)
        entries += counts
    options = OnnxRuntimeOptions(
        input_shape=size,
        session=SessionOptions(
            threads=config.inference_threads,
            spinning=config.inference_spinning,
            model_dir=folder if model.external_data and cache is None else None,
            exact=cache is not None,
        ),
        precision=model.precision if cache is None else 'int8',
        warnings=tuple(warnings),
        entries=entries,
        digest='' if cache is None else hashlib.sha256(data).hexdigest(),
        engine_bytes=None if cache is None else len(data),
    )
    wanted = config.onnxruntime_provider
    if wanted == 'cuda' or (wanted == 'auto' and has_cuda_provider()):
        from .gpu.onnxruntime_cuda import CudaOnnxRuntimeEngine

        try:
            return CudaOnnxRuntimeEngine(
                data,
                batch_size,
                options,
                device_id=config.device_id,
                counts_rows=bool(model.operators & _COUNTING_OPERATORS),
                cuda_graph=config.cuda_graph,
            )
        except (BackendUnavailableError, EngineError, ModelError) as error:
            if wanted == 'cuda':
                raise
            warning = f'ONNX Runtime runs on the CPU, not on the GPU: {error}'
            options = replace(options, warnings=(*options.warnings, warning))
    return OnnxRuntimeEngine(data, batch_size, options)


def _cache_warnings(config: DetectorConfig, cache: Path | None) -> list[str]:
    """Return what to say of a calibration cache that ONNX Runtime does not use."""
    if cache is None or cache.is_file():
        return []
    return [f'calib_cache_path {config.calib_cache_path!r} names no file']


def _input_shape(config: DetectorConfig, model: ModelInfo) -> tuple[int, int] | None:
    """Return (height, width) to run at: the parameter before the model's metadata."""
    if config.opt_shape:
        return model.image_input.height_width(config.opt_shape)
    return model.input_size


def _with_input_shape(config: DetectorConfig, model: ModelInfo) -> DetectorConfig:
    """
    Return the parameters with input_shape written as opt_shape, which every engine follows.

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
    batch = image.shape[0] or config.batch_size or len(config.image_topics)
    if image.channels_last:
        return config.with_changes(opt_shape=(batch, *size, image.shape[3] or 3))
    return config.with_changes(opt_shape=(batch, image.shape[1] or 3, *size))
