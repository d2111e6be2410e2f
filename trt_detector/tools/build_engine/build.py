# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Building of an engine for this machine or another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import threading
import time
from typing import TYPE_CHECKING

from ...config import DetectorConfig
from ...errors import ConfigError
from ...factory import create_detector
from ...int8_gate.gate import fallback_config, find_gate_frames
from ...model_info import add_plan_header, ModelInfo, read_model_info
from ...plan import hmac_path, PlanHmac, read_plan_key
from ...trusted_files import try_writing, write_atomic
from ...values.int8_verdict import Int8Outcome, Int8Verdict
from ...values.user_path import expand_user
from ..progress_bar import ProgressBar
from .job import BuildJob

if TYPE_CHECKING:
    from ...trt.builder.build_plan import BuildOutcome

__all__ = ['BuildReport', 'build_engine']

# Engines are copied between users and machines.
_READABLE = 0o644


@dataclass(frozen=True, slots=True)
class BuildReport:
    """
    Result of the tool.

    :param plan: path of the engine, '' if it could not be kept.
    :param from_cache: whether it was built before.
    :param backend: library that built it.
    :param version: of the library.
    :param device: name of the GPU, '' if it is not in this machine.
    :param compute_capability: (major, minor) of the GPU.
    :param precision: that was built.
    :param bytes: size of the engine.
    :param seconds: time that it took.
    :param warnings: sentences for the user.
    :param details: report entries.
    """

    plan: str
    from_cache: bool
    backend: str
    version: str
    device: str
    compute_capability: tuple[int, int]
    precision: str
    bytes: int
    seconds: float
    warnings: tuple[str, ...]
    details: Mapping[str, str]


def build_engine(job: BuildJob, bar: ProgressBar, cancel: threading.Event) -> BuildReport:
    """
    Build an engine, or load it from the engine folder.

    :param bar: shows the progress.
    :param cancel: event that cancels the build.
    :raises DetectorError: if it cannot be built; BuildCancelledError if it is cancelled.
    :raises OSError: if the output cannot be written.
    """
    path = expand_user(job.config.model_path)
    model = read_model_info(path)
    # An unusable key is reported before the build.
    plan_hmac = read_plan_key(job.config.plan_key_path)
    if job.output is not None:
        _check_output(job.output, path)
    elsewhere = job.compute_capability is not None or job.portable
    build = _build_for_others if elsewhere else _build_for_this_machine
    return build(job, model, plan_hmac, bar, cancel)


def _build_for_this_machine(
    job: BuildJob,
    model: ModelInfo,
    plan_hmac: PlanHmac | None,
    bar: ProgressBar,
    cancel: threading.Event,
) -> BuildReport:
    """Build the engine, or load it from the engine folder."""
    from ...gpu.device_info import read_device
    from ...trt.builder.built_precision import explain_built_precision
    from ...trt.builder.make_plan import prepare_plan
    from ...trt.builder.prepared_model import split_build_warnings
    from ...trt.builder.request import make_request
    from ...trt.library import find_library

    start = time.monotonic()
    device = read_device(job.config.device_id)
    library = find_library(job.config.backend, device)
    config, verdict = _accept_int8(job.config, bar, cancel)
    batch_size = config.batch_size or 1
    request = make_request(config, model, fast_fp16=device.has_fast_fp16, batch_size=batch_size)
    stored = prepare_plan(
        config,
        device,
        library,
        request,
        plan_hmac=plan_hmac,
        on_progress=bar,
        cancel=cancel,
    )
    _write_output(job.output, stored.data, plan_hmac)
    choice, manifest = request.choice, stored.manifest
    entries, warnings = split_build_warnings(manifest.details if manifest else {})
    details = {**entries, **_details(verdict)}
    precision = manifest.built_precision if manifest else choice.precision
    warnings += explain_built_precision(choice.precision, precision)
    if manifest is not None and manifest.layer_precision:
        details['precision of layers'] = manifest.layer_precision
    return BuildReport(
        plan=str(job.output or stored.path or ''),
        from_cache=stored.from_cache,
        backend=library.name,
        version=library.version,
        device=device.name,
        compute_capability=device.compute_capability,
        precision=precision,
        bytes=len(stored.data),
        seconds=round(time.monotonic() - start, 3),
        warnings=(*_warnings(verdict), *choice.notes, *warnings, *stored.notes),
        details=details,
    )


def _build_for_others(
    job: BuildJob,
    model: ModelInfo,
    plan_hmac: PlanHmac | None,
    bar: ProgressBar,
    cancel: threading.Event,
) -> BuildReport:
    """Build the engine for other machines, into a file."""
    from ...gpu.device_info import read_device
    from ...trt.builder.make_plan import build_once
    from ...trt.builder.prepared_model import split_build_warnings
    from ...trt.builder.request import BuildTarget

    config = job.config
    target = BuildTarget(
        compute_capability=job.compute_capability,
        dla_core=config.dla_core,
        portable=job.portable,
        any_ampere=job.any_ampere,
    )
    device, capability, verdict = '', job.compute_capability, None
    if capability is None:
        found = read_device(config.device_id)
        device, capability = found.name, found.compute_capability
        config, verdict = _accept_int8(config, bar, cancel)
    outcome = build_once(
        config,
        model,
        batch_size=config.batch_size or 1,
        target=target,
        on_progress=bar,
        cancel=cancel,
    )
    # The other machine has no ONNX file to read class names and sizes from.
    plan = add_plan_header(model.metadata, outcome.plan) if target.portable else outcome.plan
    _write_output(job.output, plan, plan_hmac)
    entries, warnings = split_build_warnings(outcome.details)
    return BuildReport(
        plan=str(job.output),
        from_cache=False,
        backend=outcome.backend,
        version=outcome.version,
        device=device,
        compute_capability=capability,
        precision=outcome.precision,
        bytes=len(plan),
        seconds=round(outcome.seconds, 3),
        warnings=(*_warnings(verdict), *outcome.notes, *warnings, *_lean_notes(job, outcome)),
        details={**entries, **_details(verdict)},
    )


def _check_output(output: Path, model: Path) -> None:
    """
    Check before the build that its engine can be written.

    :raises ConfigError: if output is the model or a folder, or its folder cannot be written.
    """
    if output.is_dir():
        raise ConfigError(f'--output {output} is a folder; expected the name of a file')
    if output.exists() and output.samefile(model):
        raise ConfigError(
            f'--output {output} is the model itself, which the engine would replace; choose '
            'another name'
        )
    try:
        try_writing(output.parent)
    except OSError as error:
        raise ConfigError(
            f'--output {output} cannot be written: {output.parent}: {error.strerror or error}; '
            'choose a folder that exists and that this user can write'
        ) from error


def _accept_int8(
    config: DetectorConfig, bar: ProgressBar, cancel: threading.Event
) -> tuple[DetectorConfig, Int8Verdict | None]:
    """
    Run the INT8 check if there are frames for it.

    :return: the parameters of the engine to build, and the verdict if there is one.
    """
    off = config.int8_gate_action == 'off'
    if off or config.precision in ('fp32', 'fp16') or not find_gate_frames(config):
        return config, None
    unwarmed = config.with_changes(warmup_iterations=0)
    with create_detector(unwarmed, on_progress=bar, cancel=cancel) as detector:
        verdict, backend = detector.info.int8_check, detector.info.backend
    if verdict is not None and verdict.outcome is Int8Outcome.REFUSED:
        config = fallback_config(config, backend)
    return config, verdict


def _warnings(verdict: Int8Verdict | None) -> tuple[str, ...]:
    """Return the warning of an INT8 check, if there is one."""
    return (verdict.warning,) if verdict is not None and verdict.warning else ()


def _details(verdict: Int8Verdict | None) -> dict[str, str]:
    """Return the report entry of an INT8 check, if there was one."""
    return {} if verdict is None else {'int8 check': verdict.report}


def _lean_notes(job: BuildJob, outcome: BuildOutcome) -> tuple[str, ...]:
    """Return the sentence about the library that runs a portable plan."""
    if not job.portable:
        return ()
    note = (
        f'only the lean runtime of version {outcome.version} runs this engine: pip install '
        f'tensorrt-lean-cu13=={outcome.version} (tensorrt-lean-cu12 for CUDA 12)'
    )
    return (note,)


def _write_output(output: Path | None, plan: bytes, plan_hmac: PlanHmac | None) -> None:
    """Write a plan and, if there is a key, its HMAC file; without a name write nothing."""
    if output is None:
        return
    write_atomic(output, plan, mode=_READABLE)
    if plan_hmac is not None:
        code = f'{plan_hmac.sign_plan(plan)}\n'
        write_atomic(hmac_path(output), code.encode(), mode=_READABLE)
