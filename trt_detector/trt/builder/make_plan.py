# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Load a plan from the store or build it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
import logging
from pathlib import Path
import tempfile
import threading
import time

from ...config import DetectorConfig
from ...errors import BuildError, ConfigError
from ...gpu.context import ContextScope, load_cuda
from ...gpu.device_info import DeviceInfo, has_fast_fp16, read_device
from ...gpu.device_lock import build_in_progress
from ...model_info import ModelInfo, read_model_info
from ...plan import find_cache_dir, PlanHmac, PlanStore, StoredPlan
from ...values.progress import Progress, ProgressCallback
from ..library import find_library, TensorRTLibrary
from .build_plan import build_plan, BuildOutcome
from .built_precision import (
    explain_built_precision,
    get_built_precision,
    inspect_outcome,
)
from .plan_job import PlanJob
from .progress import BuildProgress
from .request import BuildRequest, BuildTarget, make_request

__all__ = ['build_once', 'convert_source', 'prepare_plan']

_LOG = logging.getLogger(__name__)


def prepare_plan(
    config: DetectorConfig,
    device: DeviceInfo,
    library: TensorRTLibrary,
    request: BuildRequest,
    *,
    plan_hmac: PlanHmac | None,
    on_progress: ProgressCallback | None,
    cancel: threading.Event | None,
) -> StoredPlan:
    """
    Load the plan of a request from the store, or build and store it.

    For the errors see :func:`..backend.open_engine`.

    :param config: the parameters.
    :param device: the GPU of this machine that the plan is for.
    :param library: the library that builds it.
    :param request: what to build, from :func:`.request.make_request`.
    :param plan_hmac: of the key of plan_key_path, None without one.
    :param on_progress: receives the progress of a build, from this or another thread.
    :param cancel: event that cancels a build.
    """
    start = time.monotonic()
    folder = find_cache_dir(config.engine_cache_dir)
    store = PlanStore(folder, plan_hmac=plan_hmac)
    job = PlanJob(config, device, library, request, store)

    def log(sentence: str) -> None:
        _LOG.info('%s', sentence)
        if on_progress is not None:
            on_progress(Progress(sentence, None, time.monotonic() - start))

    with closing(ContextScope(load_cuda(), config.device_id)):
        return job.store.load_or_build(
            job.key(), lambda: job.build(on_progress, cancel), log=log, cancel=cancel
        )


def build_once(
    config: DetectorConfig,
    model: ModelInfo,
    *,
    batch_size: int,
    target: BuildTarget | None = None,
    on_progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> BuildOutcome:
    """
    Build a plan without storing it.

    For the errors see :func:`..backend.open_engine`.

    :param config: the parameters.
    :param model: the ONNX file.
    :param batch_size: images per run, if the model has a dynamic batch.
    :param target: device to build for, whose GPU need not be in this machine; None for the GPU of
        this machine.
    :param on_progress: receives the progress, from this or another thread.
    :param cancel: event that cancels the build.
    """
    target = target or BuildTarget(dla_core=config.dla_core)
    compute_capability = target.compute_capability
    if compute_capability is None:
        device = read_device(config.device_id)
        backend = 'tensorrt' if target.portable else config.backend
        library = find_library(backend, device)
        fast_fp16 = device.has_fast_fp16
    else:
        library = _find_cross_builder(config.backend)
        fast_fp16 = has_fast_fp16(compute_capability)
    request = make_request(
        config, model,
        fast_fp16=fast_fp16, batch_size=batch_size, target=target,
    )  # fmt: skip
    with BuildProgress(on_progress, cancel) as progress:
        if compute_capability is not None:
            return build_plan(library, request, progress)
        cuda, device_id = load_cuda(), config.device_id
        with build_in_progress(device_id), closing(ContextScope(cuda, device_id)):
            outcome = build_plan(library, request, progress)
            progress.report('inspecting the engine', 1.0)
            layers = inspect_outcome(library, outcome, target.dla_core)
            precision = get_built_precision(library, outcome, layers)
            notes = (*outcome.notes, *explain_built_precision(outcome.precision, precision))
            return replace(outcome, precision=precision, notes=notes)


def convert_source(onnx_model: bytes, config: DetectorConfig, *, batch_size: int) -> bytes | None:
    """
    Build a plan from the bytes of an ONNX model.

    For the other errors see :func:`..backend.open_engine`.

    :return: the plan, None if TensorRT cannot build it; the reason is on the log.
    """
    with tempfile.TemporaryDirectory(prefix='trt_detector.') as folder:
        path = Path(folder) / 'model.onnx'
        path.write_bytes(onnx_model)
        try:
            outcome = build_once(
                config,
                read_model_info(path),
                batch_size=batch_size,
                target=BuildTarget(dla_core=config.dla_core),
            )
        except BuildError as error:
            _LOG.error('no plan was built: %s', error)
            return None
    return outcome.plan


def _find_cross_builder(backend: str) -> TensorRTLibrary:
    """
    Import a library that builds for GPUs that are not in this machine.

    :raises ConfigError: if the requested library cannot.
    """
    if backend == 'auto':
        return find_library('tensorrt_rtx', None)
    library = find_library(backend, None)
    if not library.has_target_setting:
        raise ConfigError(
            f'{library.label} builds only for the GPU of this machine; omit the compute '
            'capability, or use backend tensorrt_rtx'
        )
    return library
