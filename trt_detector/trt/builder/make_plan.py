# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""From parameters to a plan: the library, the device, and what is stored or has to be built."""

from __future__ import annotations

from contextlib import closing
import logging
from pathlib import Path
import tempfile
import threading
import time

from ...config import DetectorConfig
from ...errors import BackendUnavailableError, BuildError, ConfigError
from ...gpu.context import ContextScope, load_pycuda
from ...gpu.device_info import DeviceInfo, has_fast_fp16, read_device
from ...gpu.device_lock import building
from ...model_info import ModelInfo, read_model_info
from ...plan import find_cache_dir, PlanStore, StoredPlan
from ...values.progress import Progress, ProgressCallback
from ..library import LIBRARIES, load_library, TensorRTLibrary
from .build_plan import build_plan, BuildOutcome, make_request
from .plan_job import PlanJob
from .progress import BuildProgress

__all__ = ['build_once', 'convert_source', 'find_library', 'prepare_plan']

_LOG = logging.getLogger(__name__)


def find_library(backend: str, device: DeviceInfo | None) -> TensorRTLibrary:
    """
    Return the TensorRT library to use.

    :param backend: 'tensorrt', 'tensorrt_rtx', or 'auto' for the first that works.
    :param device: the GPU it has to support; None for any.
    :raises BackendUnavailableError: with the reason why each cannot be used.
    """
    reasons = []
    for name in LIBRARIES if backend == 'auto' else (backend,):
        try:
            library = load_library(name)
            if device is not None:
                _check_support(library, device)
        except BackendUnavailableError as error:
            reasons.append(str(error))
        else:
            return library
    raise BackendUnavailableError('; '.join(reasons))


def prepare_plan(
    config: DetectorConfig,
    model: ModelInfo,
    device: DeviceInfo,
    library: TensorRTLibrary,
    *,
    batch_size: int,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> StoredPlan:
    """
    Return the plan of a model for this device from the store, built first where there is none.

    For the errors see :func:`.tensorrt_backend.open_engine`.
    """
    start = time.monotonic()
    request = make_request(config, model, fast_fp16=device.has_fast_fp16, batch_size=batch_size)
    folder = find_cache_dir(config.engine_cache_dir)
    job = PlanJob(config, device, library, request, PlanStore(folder))

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

    For the errors see :func:`.tensorrt_backend.open_engine`.

    :param compute_capability: GPU to build for, which need not be in this machine; None for the
        GPU of this machine.
    """
    if compute_capability is None:
        device = read_device(config.device_id)
        library = find_library(config.backend, device)
        fast_fp16 = device.has_fast_fp16
    else:
        library = _find_cross_builder(config.backend)
        fast_fp16 = has_fast_fp16(compute_capability)
    request = make_request(
        config, model,
        fast_fp16=fast_fp16, batch_size=batch_size, compute_capability=compute_capability,
    )  # fmt: skip
    with BuildProgress(on_progress, cancel) as progress:
        if compute_capability is not None:
            return build_plan(library, request, progress)
        cuda, device_id = load_pycuda(), config.device_id
        with building(device_id), closing(ContextScope(cuda, device_id)):
            return build_plan(library, request, progress)


def convert_source(
    onnx_model: bytes,
    config: DetectorConfig,
    *,
    batch_size: int,
    compute_capability: tuple[int, int] | None = None,
) -> bytes | None:
    """
    Build a plan from the bytes of an ONNX model; None if TensorRT cannot: the log says why.

    For the other errors see :func:`.tensorrt_backend.open_engine`.
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


def _check_support(library: TensorRTLibrary, device: DeviceInfo) -> None:
    """
    Refuse a GPU that a library says it does not support.

    :raises BackendUnavailableError: with the ones that it does.
    """
    known = library.target_capabilities()
    if known and device.compute_capability not in known:
        major, minor = device.compute_capability
        listed = ', '.join(f'{a}.{b}' for a, b in known)
        raise BackendUnavailableError(
            f'{library.label} supports compute capabilities {listed}; {device.name} has '
            f'{major}.{minor}: use backend tensorrt there'
        )


def _find_cross_builder(backend: str) -> TensorRTLibrary:
    """
    Return a library that builds for GPUs that are not in this machine.

    :raises ConfigError: if the one that was asked for cannot.
    """
    if backend == 'auto':
        return find_library('tensorrt_rtx', None)
    library = find_library(backend, None)
    if not library.has_target_setting:
        raise ConfigError(
            f'{library.label} builds only for the GPU of this machine; leave the compute '
            'capability out, or use backend tensorrt_rtx'
        )
    return library
