# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Make a detector from parameters: the one place that knows every backend."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
import threading

from .config import DetectorConfig
from .decode import DecodeOptions, Head, recognize_head
from .engine import InferenceEngine, ProgressCallback
from .errors import BackendUnavailableError, ConfigError
from .model_info import ModelInfo, read_model_info
from .onnxruntime_engine import OnnxRuntimeEngine
from .pipeline import Detector
from .preprocess import CpuPreprocessor, PreprocessSpec

__all__ = ['create_detector', 'decode_options']

_PLAN_SUFFIXES = ('.engine', '.plan')


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
    """
    path = Path(config.model_path).expanduser()
    model = None if path.suffix in _PLAN_SUFFIXES else read_model_info(path)
    if model is None and config.backend == 'onnxruntime':
        raise ConfigError(
            f'model_path {config.model_path!r} is a TensorRT plan, which backend onnxruntime cannot '
            'run; name the ONNX file, or set backend to auto'
        )
    with ExitStack() as undo:
        engine = _open_engine(config, model, on_progress, cancel)
        undo.callback(engine.close)
        metadata = {} if model is None else model.metadata
        head = recognize_head(engine.output_specs, metadata)
        class_names = _class_names(config, model, head)
        detector = Detector(
            engine,
            CpuPreprocessor(PreprocessSpec(), engine.input_spec, engine.get_input_shape()),
            head,
            model_name=path.name,
            class_names=class_names,
            options=decode_options(config, class_names),
        )
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
    )


def _class_id(text: str, class_names: Sequence[str]) -> int:
    """Return the id of a class given by name or number."""
    if text in class_names:
        return class_names.index(text)
    if text.isdecimal() and (not class_names or int(text) < len(class_names)):
        return int(text)
    known = ', '.join(class_names) if class_names else 'any number from 0'
    raise ConfigError(f'classes holds {text!r}; expected names or numbers of: {known}')


def _class_names(config: DetectorConfig, model: ModelInfo | None, head: Head) -> tuple[str, ...]:
    """Return the class names, the parameter before the model's own, checked for their count."""
    source, names = 'class_names', config.class_names
    if not names and model is not None and model.class_names:
        source, names = model.names_source, model.class_names
    count = head.num_classes
    if names and count is not None and len(names) != count:
        raise ConfigError(
            f'{source} has {len(names)} names and the model has {count} classes '
            f'({head.layout}); give one name a class in class_names'
        )
    if not names and count is not None:
        return tuple(str(number) for number in range(count))
    return tuple(names)


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
    from .gpu.tensorrt_backend import open_engine

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
    details: tuple[tuple[str, str], ...],
) -> OnnxRuntimeEngine:
    """Open the model with ONNX Runtime, which runs it in its own precision."""
    warnings = []
    if config.precision not in ('auto', model.precision):
        warnings.append(
            f'precision is {config.precision!r}, but ONNX Runtime runs {model.path.name} as it '
            f'is: {model.precision}'
        )
    if config.calib_cache_path and not Path(config.calib_cache_path).expanduser().is_file():
        warnings.append(f'calib_cache_path {config.calib_cache_path!r} names no file')
    fixed_batch = model.image_input.shape[0] if model.image_input.shape else None
    if fixed_batch is not None and 0 < config.batch_size != fixed_batch:
        raise ConfigError(
            f'batch_size is {config.batch_size}, but {model.path.name} has a fixed batch of '
            f'{fixed_batch}; set batch_size to 0, or export with a dynamic batch'
        )
    return OnnxRuntimeEngine(
        model.path.read_bytes(),
        batch_size,
        input_shape=_input_shape(config, model),
        threads=config.inference_threads,
        model_dir=model.path.resolve().parent if model.external_data else None,
        precision=model.precision,
        warnings=tuple(warnings),
        details=details,
    )


def _input_shape(config: DetectorConfig, model: ModelInfo) -> tuple[int, int] | None:
    """Return (height, width) for a dynamic input: the parameter before the model's metadata."""
    if config.opt_shape:
        return (config.opt_shape[2], config.opt_shape[3])
    return model.input_size
