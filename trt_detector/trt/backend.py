# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Open a TensorRT engine from the parameters: library, device, plan, engine."""

from __future__ import annotations

import logging
import threading

from ..config import DetectorConfig
from ..engine import InferenceEngine
from ..errors import BackendUnavailableError, ConfigError, EngineError
from ..gpu.device_info import DeviceInfo, read_device
from ..model_info import ModelInfo
from ..plan import read_plan_key, read_prebuilt_plan, StoredPlan
from ..trusted_files import set_aside
from ..values.progress import ProgressCallback
from ..values.user_path import expand_user
from .builder.built_precision import explain_built_precision
from .builder.make_plan import prepare_plan
from .builder.prepared_model import split_build_warnings
from .builder.request import BuildRequest, make_request
from .engine import TensorRTEngine
from .library import BUILDERS, find_library, LIBRARIES, TensorRTLibrary
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
    Open the engine of a model: load its plan from the store, or build and store it.

    The engine belongs to the calling thread, and so does the CUDA context until close().

    :param config: the parameters.
    :param model: the ONNX file; None if model_path names a prebuilt plan.
    :param batch_size: images per run, if the model has a dynamic batch.
    :param on_progress: receives the progress of a build, from this or another thread.
    :param cancel: event that cancels a build.
    :raises BackendUnavailableError: if no TensorRT, driver or GPU can be used, with each reason.
    :raises ConfigError: if a parameter contradicts the model or the device.
    :raises CalibrationCacheError: if the calibration cache cannot be used.
    :raises BuildError: if TensorRT cannot build the plan; BuildCancelledError if cancelled.
    :raises EngineError: if TensorRT rejects the plan.
    :raises PlanError: if a prebuilt plan cannot be read.
    """
    if model is None:
        return _open_prebuilt_plan(config, batch_size)
    if config.backend == 'tensorrt_lean':
        raise ConfigError(
            f'backend is tensorrt_lean, which runs prebuilt plans only, and model_path '
            f'{config.model_path!r} is not one; build a plan with "ros2 run trt_detector '
            'build_engine --portable --output FILE" on a machine with TensorRT, and set '
            'model_path to that file'
        )
    device = read_device(config.device_id)
    reasons = []
    for name in BUILDERS if config.backend == 'auto' else (config.backend,):
        try:
            library = find_library(name, device)
            return _open_model(config, model, device, library, batch_size, on_progress, cancel)
        except BackendUnavailableError as error:
            reasons.append(str(error))
    raise BackendUnavailableError('; '.join(reasons))


def _open_model(
    config: DetectorConfig,
    model: ModelInfo,
    device: DeviceInfo,
    library: TensorRTLibrary,
    batch_size: int,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
) -> TensorRTEngine:
    """Open the engine of a model with one library."""
    request = make_request(config, model, fast_fp16=device.has_fast_fp16, batch_size=batch_size)
    plan_hmac = read_plan_key(config.plan_key_path)

    def prepare() -> StoredPlan:
        return prepare_plan(
            config,
            device,
            library,
            request,
            plan_hmac=plan_hmac,
            on_progress=on_progress,
            cancel=cancel,
        )

    stored = prepare()
    # The plan is enough from here on.
    model.content.release()
    try:
        return _load(config, device, library, request, stored, batch_size)
    except PlanRefusedError as error:
        if not stored.from_cache or stored.path is None:
            raise
        # The key is equal, but this machine rejects the plan, e.g. after a driver update.
        _LOG.warning('rebuilding %s: %s', stored.path.name, error)
        set_aside(stored.path)
    return _load(config, device, library, request, prepare(), batch_size)


def _load(
    config: DetectorConfig,
    device: DeviceInfo,
    library: TensorRTLibrary,
    request: BuildRequest,
    stored: StoredPlan,
    batch_size: int,
) -> TensorRTEngine:
    """Create the engine of a stored plan."""
    choice, manifest = request.choice, stored.manifest
    warnings = [*choice.notes, *stored.notes]
    precision, layer_precision, digest = choice.precision, '', ''
    entries: dict[str, str] = {}
    if manifest is not None:
        precision, layer_precision = manifest.built_precision, manifest.layer_precision
        entries, build_warnings = split_build_warnings(manifest.details)
        warnings += build_warnings
        # The code of plugins is part of the key, but not of the plan.
        digest = f'{manifest.plan_sha256} {manifest.key.digest}'
    warnings += explain_built_precision(choice.precision, precision)
    major, minor = device.compute_capability
    entries['compute capability'] = f'{major}.{minor}'
    if stored.path is None:
        entries['plan'] = 'in memory only'
    model = request.model
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


def _open_prebuilt_plan(config: DetectorConfig, batch_size: int) -> TensorRTEngine:
    """Create the engine of a prebuilt plan."""
    stored = read_prebuilt_plan(
        expand_user(config.model_path), read_plan_key(config.plan_key_path)
    )
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
