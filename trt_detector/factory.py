# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Make a detector from parameters: the one place that knows every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
import threading
from typing import Any

import numpy as np

from .config import DetectorConfig
from .decode import DecodeOptions, GraphFacts, Head, recognize, Recognized
from .engine import InferenceEngine, ProgressCallback
from .errors import BackendUnavailableError, ConfigError
from .model_info import ModelInfo, parse_names, prepare_model, read_model_info, read_sidecars
from .onnxruntime_engine import OnnxRuntimeEngine
from .pipeline import Detector, FitInput
from .preprocess import CpuPreprocessor, fit_input_size, Preprocessor, PreprocessSpec
from .tensor_spec import TensorSpec

__all__ = ['create_detector', 'decode_options']

_PLAN_SUFFIXES = ('.engine', '.plan')
# (height, width) and stride where neither a parameter nor the model says anything.
_DEFAULT_SIZE = (640, 640)
_DEFAULT_STRIDE = 32


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
            f'model_path {config.model_path!r} is a TensorRT plan, which backend onnxruntime '
            'cannot run; name the ONNX file, or set backend to auto'
        )
    source = _Source.of(config, path, model)
    if model is not None:
        config = _with_input_shape(config, model)
        # Before a build that takes minutes: is it a detector that can be decoded at all?
        early = source.recognize(model.outputs, _input_shape(config, model) or _DEFAULT_SIZE)
        class_names = source.class_names(early)
        decode_options(config, class_names)
        if early.single_image:
            config = config.with_changes(batch_size=1)
    with ExitStack() as undo:
        engine = _open_engine(config, model, on_progress, cancel)
        undo.callback(engine.close)
        found = source.recognize(engine.output_specs, engine.get_input_shape())
        class_names = source.class_names(found)
        detector = Detector(
            engine,
            source.preprocessor(engine, found),
            found.head,
            model_name=path.name,
            class_names=class_names,
            options=decode_options(config, class_names),
            fit=_fit_input(source, engine, model),
            warnings=found.warnings,
        )
        detector.warm_up(config.warmup_iterations)
        undo.pop_all()
    return detector


@dataclass(frozen=True, slots=True)
class _Source:
    """
    What parameters, model and the files beside it say, whichever runtime runs it.

    :param model: None for a plan.
    :param metadata: of the model, or of the files beside a plan.
    :param names: of the classes, empty where nobody gives any.
    :param names_source: where they come from, for people.
    """

    config: DetectorConfig
    model: ModelInfo | None
    metadata: Mapping[str, str]
    names: tuple[str, ...]
    names_source: str

    @classmethod
    def of(cls, config: DetectorConfig, path: Path, model: ModelInfo | None) -> _Source:
        """Gather it: the parameter class_names stands before everything else."""
        if model is not None:
            metadata, names, source = model.metadata, model.class_names, model.names_source
        else:
            beside = read_sidecars(path)
            source = f'{beside.sources.get("names", "")} of {path.name}'
            metadata, names = beside.metadata, parse_names(beside.metadata, source)
        if config.class_names:
            names, source = config.class_names, 'class_names'
        return cls(config, model, metadata, names or (), source)

    def recognize(self, outputs: Sequence[TensorSpec], input_size: tuple[int, int]) -> Recognized:
        """
        Return the decoder for a network.

        :param input_size: (height, width) in pixels that it runs at.
        :raises ModelError: if it is not known, or not the one that parameter head names.
        """
        facts = GraphFacts(
            outputs=tuple(outputs),
            metadata=self.metadata,
            input_size=input_size,
            operators=frozenset() if self.model is None else self.model.operators,
            tails={} if self.model is None else self.model.tails,
            num_names=len(self.names) or None,
        )
        return recognize(facts, self.config.head)

    def class_names(self, found: Recognized) -> tuple[str, ...]:
        """Return the class names, checked for their count."""
        count = found.head.num_classes
        if self.names and count is not None and len(self.names) != count:
            raise ConfigError(
                f'{self.names_source} has {len(self.names)} names and the model has {count} '
                f'classes ({found.head.layout}); give one name a class in class_names'
            )
        if not self.names and count is not None:
            return tuple(str(number) for number in range(count))
        return self.names

    def preprocessor(self, engine: InferenceEngine, found: Recognized) -> Preprocessor:
        """Return what prepares pictures for an engine at its present input size."""
        spec = PreprocessSpec.from_config(self.config, found.preset)
        config = self.config
        if engine.input_spec.dtype == np.uint8 and (
            config.input_scale or config.input_mean or config.input_std
        ):
            raise ConfigError(
                f'the input is {engine.input_spec}: the network scales its pixels itself; remove '
                'input_scale, input_mean and input_std'
            )
        return CpuPreprocessor(spec, engine.input_spec, engine.get_input_shape())


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
    """Open the model with ONNX Runtime: in its own precision, or INT8 by a calibration cache."""
    warnings = []
    quantize = config.precision == 'int8' and model.precision == 'fp32' and config.calib_cache_path
    if config.precision not in ('auto', model.precision) and not quantize:
        warnings.append(
            f'precision is {config.precision!r}, but ONNX Runtime runs {model.path.name} as it '
            f'is: {model.precision}'
        )
    if config.calib_cache_path and not quantize and not Path(config.calib_cache_path).expanduser().is_file():
        warnings.append(f'calib_cache_path {config.calib_cache_path!r} names no file')
    fixed_batch = model.image_input.shape[0] if model.image_input.shape else None
    if fixed_batch is not None and 0 < config.batch_size != fixed_batch:
        raise ConfigError(
            f'batch_size is {config.batch_size}, but {model.path.name} has a fixed batch of '
            f'{fixed_batch}; set batch_size to 0, or export with a dynamic batch'
        )
    size = _input_shape(config, model)
    data, folder = prepare_model(model, size or _DEFAULT_SIZE), model.path.resolve().parent
    if quantize:
        from .quantize.onnx_int8 import quantize_onnx

        cache_path = Path(config.calib_cache_path).expanduser()
        data, facts = quantize_onnx(data, folder, cache_path, config.quantize_exclude)
        details += facts
    return OnnxRuntimeEngine(
        data,
        batch_size,
        input_shape=size,
        threads=config.inference_threads,
        model_dir=folder if model.external_data and not quantize else None,
        exact=bool(quantize),
        precision='int8' if quantize else model.precision,
        warnings=tuple(warnings),
        details=details,
    )


def _input_shape(config: DetectorConfig, model: ModelInfo) -> tuple[int, int] | None:
    """Return (height, width) to run at: the parameter before the model's metadata."""
    if config.opt_shape:
        return _height_width(config.opt_shape, model.image_input)
    return model.input_size


def _with_input_shape(config: DetectorConfig, model: ModelInfo) -> DetectorConfig:
    """
    Return the parameters with input_shape written as opt_shape, which every engine follows.

    :raises ConfigError: if the model fixes another size, or opt_shape contradicts.
    """
    size, image = config.input_size, model.image_input
    if size is None or len(image.shape) != 4:
        return config
    own = _height_width(image.shape, image)
    if any(dim not in (None, wanted) for dim, wanted in zip(own, size, strict=True)):
        raise ConfigError(
            f'input_shape is {config.input_shape!r}, but {model.path.name} has the input {image}; '
            'set input_shape to auto, or export with a dynamic size'
        )
    if config.opt_shape:
        if _height_width(config.opt_shape, image) != size:
            raise ConfigError(
                f'input_shape is {config.input_shape!r} and opt_shape is '
                f'{list(config.opt_shape)}; give one of them'
            )
        return config
    batch = image.shape[0] or config.batch_size or len(config.image_topics)
    if _channels_last(image):
        return config.with_changes(opt_shape=(batch, *size, image.shape[3] or 3))
    return config.with_changes(opt_shape=(batch, image.shape[1] or 3, *size))


def _fit_input(
    source: _Source, engine: InferenceEngine, model: ModelInfo | None
) -> FitInput | None:
    """Return what sets an open input size by the first image, None where the size is settled."""
    config = source.config
    smallest, largest = engine.get_input_shape_range()
    settled = config.input_shape != 'auto' or bool(config.opt_shape) or smallest == largest
    if settled or model is None or model.target_sizes_input is not None:
        return None
    if config.min_shape:
        low = _height_width(config.min_shape, engine.input_spec)
        smallest = (max(smallest[0], low[0]), max(smallest[1], low[1]))
    if config.max_shape:
        high = _height_width(config.max_shape, engine.input_spec)
        largest = (min(largest[0], high[0]), min(largest[1], high[1]))
    limit = model.input_size or _DEFAULT_SIZE
    stride = model.stride or _DEFAULT_STRIDE

    def fit(image_size: tuple[int, int]) -> tuple[Preprocessor, Head] | None:
        size = fit_input_size(image_size, limit, stride, smallest, largest)
        if size == engine.get_input_shape():
            return None
        engine.set_input_shape(size)
        found = source.recognize(engine.output_specs, size)
        return source.preprocessor(engine, found), found.head

    return fit


def _channels_last(spec: TensorSpec) -> bool:
    """Return whether an image input is [N, H, W, C]."""
    return spec.shape[3] in (1, 3) and spec.shape[1] not in (1, 3)


def _height_width(shape: Sequence[int | None], spec: TensorSpec) -> tuple[Any, Any]:
    """Return height and width of a shape in the layout of an image input."""
    height, width = shape[1:3] if _channels_last(spec) else shape[2:4]
    return height, width
