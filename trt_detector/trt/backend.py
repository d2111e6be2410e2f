# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""From parameters to a running TensorRT engine: library, device, plan, engine."""

from __future__ import annotations

import logging
from pathlib import Path
import threading

from ..config import DetectorConfig
from ..engine import InferenceEngine
from ..errors import BackendUnavailableError, EngineError
from ..gpu.device_info import DeviceInfo, read_device
from ..model_info import ModelInfo
from ..plan import read_prebuilt_plan, StoredPlan
from ..trusted_files import set_aside
from ..values.progress import ProgressCallback
from .builder.make_plan import find_library, prepare_plan
from .builder.precision import choose_precision
from .engine import TensorRTEngine
from .inspector import LAYER_PRECISION
from .library import LIBRARIES, TensorRTLibrary
from .runtime import PlanRefusedError

__all__ = ['open_engine']

_LOG = logging.getLogger(__name__)


def open_engine(
    config: DetectorConfig,
    model: ModelInfo | None,
    *,
    batch_size: int,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> InferenceEngine:
    """
    Return an engine for a model: its plan loaded where there is one, else built and kept.

    The engine belongs to the thread that calls this, and so does the CUDA context until close().

    :param model: the ONNX file; None if model_path names a ready plan.
    :param batch_size: images in one run, where the model leaves it open.
    :param on_progress: told how far a build has come, from this or another thread.
    :param cancel: set it to give up a build.
    :raises BackendUnavailableError: if no TensorRT, driver or GPU can be used, with each reason.
    :raises ConfigError: if a parameter contradicts the model or the device.
    :raises CalibrationCacheError: if the calibration cache cannot be used.
    :raises BuildError: if TensorRT cannot build it; BuildCancelledError if it was given up.
    :raises EngineError: if TensorRT refuses the plan.
    :raises PlanError: if a ready plan cannot be read.
    """
    if model is None:
        return _open_ready_plan(config, batch_size)
    device = read_device(config.device_id)
    library = find_library(config.backend, device)
    stored = prepare_plan(
        config, model, device, library,
        batch_size=batch_size, on_progress=on_progress, cancel=cancel,
    )  # fmt: skip
    try:
        return _load(config, model, device, library, stored, batch_size)
    except PlanRefusedError as error:
        if not stored.from_cache or stored.path is None:
            raise
        # Its key is right, and yet this machine refuses it (a driver that changed, say).
        _LOG.warning('rebuilding %s: %s', stored.path.name, error)
        set_aside(stored.path)
    stored = prepare_plan(
        config, model, device, library,
        batch_size=batch_size, on_progress=on_progress, cancel=cancel,
    )  # fmt: skip
    return _load(config, model, device, library, stored, batch_size)


def _load(
    config: DetectorConfig,
    model: ModelInfo,
    device: DeviceInfo,
    library: TensorRTLibrary,
    stored: StoredPlan,
    batch_size: int,
) -> TensorRTEngine:
    """Return the engine of a stored plan."""
    choice = choose_precision(config, model, fast_fp16=device.has_fast_fp16)
    manifest = stored.manifest
    warnings = [*choice.notes, *stored.notes]
    precision, entries, digest = choice.precision, dict[str, str](), ''
    if manifest is not None:
        precision, entries = manifest.built_precision, dict(manifest.details)
        # The key knows of plugins, whose code is not in the plan.
        digest = f'{manifest.plan_sha256} {manifest.key.digest}'
    if precision != choice.precision:
        warnings.append(
            f'precision {choice.precision} was wanted; TensorRT built {precision}, since it found '
            'no faster way to run a layer'
        )
    major, minor = device.compute_capability
    layer_precision = entries.pop(LAYER_PRECISION, '')
    entries['compute capability'] = f'{major}.{minor}'
    if stored.path is None:
        entries['plan'] = 'in memory only'
    return TensorRTEngine(
        stored.data,
        batch_size,
        backend=library.name,
        device_id=config.device_id,
        input_shape=config.input_size,
        tensor_names=[spec.name for spec in (model.image_input, *model.outputs)],
        precision=precision,
        plugin_libraries=config.plugin_libraries,
        dla_core=config.dla_core,
        warnings=tuple(warnings),
        entries=tuple(entries.items()),
        digest=digest,
        plan_path=stored.path,
        layer_precision=layer_precision,
    )


def _open_ready_plan(config: DetectorConfig, batch_size: int) -> TensorRTEngine:
    """Return the engine of a plan that the user brought."""
    stored = read_prebuilt_plan(Path(config.model_path).expanduser())
    device = read_device(config.device_id)
    reasons = []
    for name in LIBRARIES if config.backend == 'auto' else (config.backend,):
        try:
            library = find_library(name, device)
            return TensorRTEngine(
                stored.data,
                batch_size,
                backend=library.name,
                device_id=config.device_id,
                input_shape=config.input_size,
                plugin_libraries=config.plugin_libraries,
                dla_core=config.dla_core,
                warnings=stored.notes,
                plan_path=stored.path,
            )
        except (BackendUnavailableError, PlanRefusedError) as error:
            reasons.append(error)
    if all(isinstance(error, BackendUnavailableError) for error in reasons):
        raise BackendUnavailableError('; '.join(str(error) for error in reasons))
    raise EngineError('; '.join(str(error) for error in reasons))
