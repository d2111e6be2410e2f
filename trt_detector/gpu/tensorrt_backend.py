# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""From parameters to a running TensorRT engine: library, device, plan, engine."""

from __future__ import annotations

from contextlib import closing
import logging
from pathlib import Path
import tempfile
import threading
import time

from ..config import DetectorConfig
from ..engine import InferenceEngine, Progress, ProgressCallback
from ..errors import BackendUnavailableError, BuildError, ConfigError, EngineError
from ..model_info import ModelInfo, read_model_info
from ..plan import default_cache_dir, PlanStore, read_ready_plan, StoredPlan
from ..plan.files import set_aside
from .build import build_plan, BuildOutcome
from .cuda import ContextScope, load_pycuda
from .device_info import DeviceInfo, has_fast_fp16, read_device
from .flavour import Flavour, FLAVOURS, load_flavour
from .load import PlanRefusedError
from .plan_job import PlanJob
from .precision import choose_precision
from .progress import BuildProgress
from .request import make_request
from .tensorrt_engine import TensorRTEngine
from .turns import building

__all__ = ['build_once', 'convert_source', 'find_flavour', 'open_engine', 'prepare_plan']

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
    flavour = find_flavour(config.backend, device)
    stored = prepare_plan(
        config, model, device, flavour,
        batch_size=batch_size, on_progress=on_progress, cancel=cancel,
    )  # fmt: skip
    try:
        return _load(config, model, device, flavour, stored, batch_size)
    except PlanRefusedError as error:
        if not stored.from_cache or stored.path is None:
            raise
        # Its key is right, and yet this machine refuses it (a driver that changed, say).
        _LOG.warning('rebuilding %s: %s', stored.path.name, error)
        set_aside(stored.path)
    stored = prepare_plan(
        config, model, device, flavour,
        batch_size=batch_size, on_progress=on_progress, cancel=cancel,
    )  # fmt: skip
    return _load(config, model, device, flavour, stored, batch_size)


def find_flavour(backend: str, device: DeviceInfo | None) -> Flavour:
    """
    Return the TensorRT library to use.

    :param backend: 'tensorrt', 'tensorrt_rtx', or 'auto' for the first that works.
    :param device: the GPU it has to support; None for any.
    :raises BackendUnavailableError: with the reason why each cannot be used.
    """
    reasons = []
    for name in FLAVOURS if backend == 'auto' else (backend,):
        try:
            flavour = load_flavour(name)
            if device is not None:
                _check_support(flavour, device)
        except BackendUnavailableError as error:
            reasons.append(str(error))
        else:
            return flavour
    raise BackendUnavailableError('; '.join(reasons))


def prepare_plan(
    config: DetectorConfig,
    model: ModelInfo,
    device: DeviceInfo,
    flavour: Flavour,
    *,
    batch_size: int,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> StoredPlan:
    """
    Return the plan of a model for this device from the store, built first where there is none.

    For the errors see :func:`open_engine`.
    """
    start = time.monotonic()
    request = make_request(config, model, fast_fp16=device.has_fast_fp16, batch_size=batch_size)
    folder = Path(config.engine_cache_dir) if config.engine_cache_dir else default_cache_dir()
    job = PlanJob(config, device, flavour, request, PlanStore(folder))

    def log(sentence: str) -> None:
        _LOG.info('%s', sentence)
        if on_progress is not None:
            on_progress(Progress(sentence, None, time.monotonic() - start))

    with closing(ContextScope(load_pycuda(), config.device_id)):
        return job.store.load_or_build(
            job.key(), lambda: job.build(on_progress, cancel), log=log, cancel=cancel
        )


def build_once(
    config: DetectorConfig,
    model: ModelInfo,
    *,
    batch_size: int,
    compute_capability: tuple[int, int] | None = None,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> BuildOutcome:
    """
    Build a plan and keep it nowhere.

    For the errors see :func:`open_engine`.

    :param compute_capability: GPU to build for, which need not be in this machine; None for the
        GPU of this machine.
    """
    if compute_capability is None:
        device = read_device(config.device_id)
        flavour = find_flavour(config.backend, device)
        fast_fp16 = device.has_fast_fp16
    else:
        flavour = _find_cross_builder(config.backend)
        fast_fp16 = has_fast_fp16(compute_capability)
    request = make_request(
        config, model,
        fast_fp16=fast_fp16, batch_size=batch_size, compute_capability=compute_capability,
    )  # fmt: skip
    with BuildProgress(on_progress, cancel) as progress:
        if compute_capability is not None:
            return build_plan(flavour, request, progress)
        cuda, device_id = load_pycuda(), config.device_id
        with building(device_id), closing(ContextScope(cuda, device_id)):
            return build_plan(flavour, request, progress)


def convert_source(
    onnx_model: bytes,
    config: DetectorConfig,
    *,
    batch_size: int,
    compute_capability: tuple[int, int] | None = None,
) -> bytes | None:
    """
    Build a plan from the bytes of an ONNX model; None if TensorRT cannot: the log says why.

    For the other errors see :func:`open_engine`.
    """
    with tempfile.TemporaryDirectory(prefix='trt_detector.') as folder:
        path = Path(folder) / 'model.onnx'
        path.write_bytes(onnx_model)
        try:
            outcome = build_once(
                config,
                read_model_info(path),
                batch_size=batch_size,
                compute_capability=compute_capability,
            )
        except BuildError as error:
            _LOG.error('no plan was built: %s', error)
            return None
    return outcome.plan


def _check_support(flavour: Flavour, device: DeviceInfo) -> None:
    """
    Refuse a GPU that a library says it does not support.

    :raises BackendUnavailableError: with the ones that it does.
    """
    known = flavour.target_capabilities()
    if known and device.compute_capability not in known:
        major, minor = device.compute_capability
        listed = ', '.join(f'{a}.{b}' for a, b in known)
        raise BackendUnavailableError(
            f'{flavour.label} supports compute capabilities {listed}; {device.name} has '
            f'{major}.{minor}: use backend tensorrt there'
        )


def _find_cross_builder(backend: str) -> Flavour:
    """
    Return a library that builds for GPUs that are not in this machine.

    :raises ConfigError: if the one that was asked for cannot.
    """
    if backend == 'auto':
        return find_flavour('tensorrt_rtx', None)
    flavour = find_flavour(backend, None)
    if not flavour.has_target_setting:
        raise ConfigError(
            f'{flavour.label} builds only for the GPU of this machine; leave the compute '
            'capability out, or use backend tensorrt_rtx'
        )
    return flavour


def _load(
    config: DetectorConfig,
    model: ModelInfo,
    device: DeviceInfo,
    flavour: Flavour,
    stored: StoredPlan,
    batch_size: int,
) -> TensorRTEngine:
    """Return the engine of a stored plan."""
    choice = choose_precision(config, model, fast_fp16=device.has_fast_fp16)
    manifest = stored.manifest
    warnings = [*choice.notes, *stored.notes]
    precision, facts, digest = choice.precision, {}, ''
    if manifest is not None:
        precision, facts = manifest.built_precision, dict(manifest.details)
        # The key knows of plugins, whose code is not in the plan.
        digest = f'{manifest.plan_sha256} {manifest.key.digest}'
    if precision != choice.precision:
        warnings.append(
            f'precision {choice.precision} was wanted; TensorRT built {precision}, since it found '
            'no faster way to run a layer'
        )
    major, minor = device.compute_capability
    facts |= {
        'plan': str(stored.path) if stored.path else 'in memory only',
        'compute capability': f'{major}.{minor}',
    }
    return TensorRTEngine(
        stored.data,
        batch_size,
        backend=flavour.name,
        device_id=config.device_id,
        input_shape=config.input_size,
        tensor_names=[spec.name for spec in (model.image_input, *model.outputs)],
        precision=precision,
        plugin_libraries=config.plugin_libraries,
        dla_core=config.dla_core,
        warnings=tuple(warnings),
        details=tuple(facts.items()),
        digest=digest,
    )


def _open_ready_plan(config: DetectorConfig, batch_size: int) -> TensorRTEngine:
    """Return the engine of a plan that the user brought."""
    stored = read_ready_plan(Path(config.model_path).expanduser())
    device = read_device(config.device_id)
    reasons = []
    for name in FLAVOURS if config.backend == 'auto' else (config.backend,):
        try:
            flavour = find_flavour(name, device)
            return TensorRTEngine(
                stored.data,
                batch_size,
                backend=flavour.name,
                device_id=config.device_id,
                input_shape=config.input_size,
                plugin_libraries=config.plugin_libraries,
                dla_core=config.dla_core,
                warnings=stored.notes,
                details=(('plan', str(stored.path)),),
            )
        except (BackendUnavailableError, PlanRefusedError) as error:
            reasons.append(error)
    if all(isinstance(error, BackendUnavailableError) for error in reasons):
        raise BackendUnavailableError('; '.join(str(error) for error in reasons))
    raise EngineError('; '.join(str(error) for error in reasons))
