# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Make a detector from parameters: model, engine, head, preprocessing, warm-up."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
import math
from pathlib import Path
import threading

import numpy as np

from ..config import DetectorConfig
from ..decode import DecodeOptions, Head
from ..engine import InferenceEngine
from ..errors import BuildCancelledError, ConfigError, EngineError, ModelError
from ..int8_gate.gate import open_accepted
from ..model_info import describe_misnamed, is_plan, ModelInfo, read_model_info
from ..model_setup import (
    decode_options,
    describe_detector,
    given_metadata,
    map_classes,
    ModelSetup,
)
from ..model_setup.input_size import (
    apply_input_shape,
    apply_trained_size,
    find_input_size,
    input_size_chooser,
    set_trained_size,
)
from ..pipeline import Detector
from ..pipeline.tiled_detector import TiledDetector
from ..values.cancellation import interrupt_on
from ..values.device_state import DeviceWatch
from ..values.engine_info import EngineInfo
from ..values.progress import ProgressCallback
from ..values.tensor_spec import DEFAULT_INPUT_SIZE
from ..values.user_path import expand_user
from .backend import open_engine, SingleImageError

__all__ = ['create_detector', 'watch_device']

# Larger batches take much memory and are hardly faster per image.
_MAX_TILE_BATCH = 32


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
        batch_size = _find_batch_size(values, default_batch_size)
        try:
            return _open_detector(values, batch_size, on_progress, cancel)
        except SingleImageError as error:
            warning = (
                f'{Path(values.model_path).name} declares an open batch, but fails with two '
                f'images ({error}): it runs one image at a time instead of {batch_size}; export '
                'it with a batch that is really dynamic'
            )
        values = values.with_changes(batch_size=1)
        return _open_detector(values, 1, on_progress, cancel, (warning,))

    return open_accepted(config, open_detector)


def _find_batch_size(config: DetectorConfig, default: int) -> int:
    """
    Find the maximum batch size: the parameter, or with tiles those of one image.

    :param default: if neither gives it.
    """
    grid = config.tile_grid
    if config.batch_size or grid is None:
        return config.batch_size or default
    # As few runs as possible, all with nearly the same number of parts.
    runs = math.ceil(grid.max_parts / _MAX_TILE_BATCH)
    return math.ceil(grid.max_parts / runs)


def _open_detector(
    config: DetectorConfig,
    batch_size: int,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
    warnings: tuple[str, ...] = (),
) -> Detector:
    """
    Open a detector with a batch size, without the check of an INT8 engine.

    :raises SingleImageError: if the network runs one image only and batch_size is larger.
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
        config, batch_size = _check_before_load(config, setup, model, batch_size)
    with ExitStack() as undo:
        engine = open_engine(config, model, batch_size, on_progress, cancel)
        undo.callback(engine.close)
        if model is not None:
            model.content.release()
        detector = _make_detector(config, setup, engine, batch_size, warnings)
        # It closes the engine, after its slots, which lie in the engine's context.
        undo.pop_all()
        undo.callback(detector.close)
        _warm_up(detector, config.warmup_iterations, cancel)
        undo.pop_all()
    return detector


def _check_before_load(
    config: DetectorConfig, setup: ModelSetup, model: ModelInfo, batch_size: int
) -> tuple[DetectorConfig, int]:
    """
    Refuse a model that cannot be decoded now, not after a build that takes minutes.

    :return: parameters and batch size to open it with.
    """
    config = apply_input_shape(config, model, batch_size)
    found = setup.recognize_before_load(find_input_size(config, model) or DEFAULT_INPUT_SIZE)
    if found is not None:
        decode_options(config, map_classes(config.class_map, setup.class_names(found)).names)
        preprocessing = setup.preprocessing(found, model.outputs)
        config = apply_trained_size(config, model, preprocessing, batch_size)
        if found.single_image:
            fixed_batch = model.image_input.shape[0] if model.image_input.shape else None
            if fixed_batch not in (None, 1):
                raise ModelError(
                    f'head {found.name} has the outputs of one image, but {model.path.name} has a '
                    f'fixed batch of {fixed_batch}; export it with a batch of 1'
                )
            config, batch_size = config.with_changes(batch_size=1), 1
    return config, batch_size


def _make_detector(
    config: DetectorConfig,
    setup: ModelSetup,
    engine: InferenceEngine,
    batch_size: int,
    warnings: tuple[str, ...],
) -> Detector:
    """Make the detector of an open engine, which stays the caller's if this fails."""
    found = setup.recognize_engine(engine)
    if setup.model is not None and batch_size > 1:
        _check_two_images(engine, found.head)
    preprocessing = setup.preprocessing(found, engine.output_specs)
    if set_trained_size(config, engine, preprocessing):
        found = setup.recognize_engine(engine)
    classes = map_classes(config.class_map, setup.class_names(found))
    chooser = input_size_chooser(setup, engine, preprocessing)
    description = describe_detector(
        setup, engine, found, preprocessing, follows_images=chooser is not None
    )
    grid = config.tile_grid
    make = Detector if grid is None else partial(TiledDetector, grid=grid)
    return make(
        engine,
        setup.preprocessor(engine, preprocessing),
        found.head,
        model_name=setup.path.name,
        class_names=classes.names,
        options=decode_options(config, classes.names),
        choose_input_size=chooser,
        warnings=(*warnings, *setup.warnings, *found.warnings, *preprocessing.warnings),
        description=description,
        sanity=setup.sanity_check(found, engine.info.precision),
        choose_batch=(
            not config.batch_size
            and engine.input_spec.shape[0] is None
            and config.warmup_iterations > 0
        ),
        class_map=classes.ids,
    )


def _check_two_images(engine: InferenceEngine, head: Head) -> None:
    """
    Run two black images through a network with an open batch.

    :raises SingleImageError: if it fails, or has not one result per image.
    """
    if engine.input_spec.shape[0] is not None or engine.get_batch_size() < 2:
        return
    blank = np.zeros(engine.batch_shape(2), engine.input_spec.dtype)
    try:
        with engine.device_lock():
            outputs = engine.run(blank)
        count = len(head.decode(outputs, DecodeOptions()))
    except (EngineError, IndexError, ValueError) as error:
        raise SingleImageError(str(error).splitlines()[0]) from error
    if count != 2:
        shapes = '; '.join(str(list(output.shape)) for output in outputs)
        raise SingleImageError(f'outputs {shapes}')


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
    from ..gpu.device_monitor import DeviceMonitor

    return DeviceMonitor(info.device_id)
