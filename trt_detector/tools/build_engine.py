# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Build the TensorRT engine of a model ahead of time, as the node builds it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
import re
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from ..config import DetectorConfig
from ..errors import BuildCancelledError, ConfigError, DetectorError
from ..factory import create_detector
from ..int8_gate.gate import fallback_config, find_gate_frames
from ..model_info import add_plan_header, ModelInfo, read_model_info
from ..plan import hmac_path, PlanHmac, read_plan_key
from ..process.stop_signals import SignalWatch
from ..trusted_files import try_writing, write_atomic
from ..values.int8_verdict import Int8Outcome, Int8Verdict
from ..values.user_path import expand_user
from .argument_types import parse_path
from .command_line import add_json_option, make_parser, parse_arguments, write_result
from .options import add_parameter_options, given_parameters
from .progress_bar import ProgressBar

if TYPE_CHECKING:
    from ..trt.builder.build_plan import BuildOutcome
    from ..trt.builder.request import BuildTarget

__all__ = ['main']

_NAMES = (
    'backend',
    'device_id',
    'precision',
    'calib_cache_path',
    'quantize_exclude',
    'int8_gate_images',
    'int8_min_agreement',
    'int8_gate_action',
    'engine_cache_dir',
    'plan_key_path',
    'workspace_fraction',
    'batch_size',
    'min_shape',
    'opt_shape',
    'input_shape',
    'max_shape',
    'dla_core',
    'plugin_libraries',
)
_CANCELLED = 130
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


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if the engine is ready, 1 if it cannot be built, 130 if cancelled.
    :raises SystemExit: with status 2 for wrong arguments.
    """
    parser = _parser()
    arguments = parse_arguments(parser, argv)
    try:
        config = _read_options(arguments)
    except ConfigError as error:
        parser.error(str(error))
    cancel = threading.Event()
    bar = ProgressBar(sys.stderr)
    try:
        result = _run_cancellable(lambda: _build(arguments, config, bar, cancel), cancel)
    except BuildCancelledError as error:
        bar.finish()
        print(f'build_engine: {error}', file=sys.stderr)
        return _CANCELLED
    except (DetectorError, OSError) as error:
        bar.finish()
        print(f'build_engine: {error}', file=sys.stderr)
        return 1
    bar.finish()
    for warning in result.warnings:
        print(f'build_engine: {warning}', file=sys.stderr)
    if arguments.json != Path('-'):
        print(_sentence(result))
    return write_result('build_engine', arguments.json, asdict(result))


def _parser() -> argparse.ArgumentParser:
    """Return the command line; options of the engine come from the detector's parameters."""
    parser = make_parser(
        'build_engine',
        f'{__doc__} Ctrl-C cancels the build.',
        examples=[
            '--model model.onnx',
            '--model model.onnx --precision int8 --calib-cache-path model.calib',
            '--model model.onnx --backend tensorrt_rtx --compute-capability 8.9 --output m.engine',
        ],
        exit_codes={0: 'the engine is ready', 1: 'it cannot be built', _CANCELLED: 'cancelled'},
    )
    parser.add_argument(
        '--model', '--model-path', required=True, type=Path, help='ONNX file of the detector'
    )
    parser.add_argument(
        '--output',
        type=parse_path,
        metavar='FILE',
        help='write a copy of the engine to this file',
    )
    parser.add_argument(
        '--compute-capability',
        type=_capability,
        metavar='MAJOR.MINOR',
        help='build for this kind of GPU, which need not be in this machine (TensorRT for RTX '
        'only; needs --output)',
    )
    parser.add_argument(
        '--portable',
        action='store_true',
        help='build an engine that the lean runtime (backend tensorrt_lean) of the same version '
        'of TensorRT can run; needs --output',
    )
    parser.add_argument(
        '--any-ampere',
        action='store_true',
        help='with --portable: build an engine for every GPU since Ampere, not only for the kind '
        'of this machine; it can be slower',
    )
    add_json_option(parser)
    add_parameter_options(parser, _NAMES, without=['onnxruntime', 'tensorrt_lean'])
    return parser


def _capability(text: str) -> tuple[int, int]:
    """Return (major, minor) of '8.6'."""
    match = re.fullmatch(r'(\d+)\.(\d)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not a compute capability like 8.6')
    return (int(match[1]), int(match[2]))


def _run_cancellable(work: Callable[[], BuildReport], cancel: threading.Event) -> BuildReport:
    """
    Run work in a thread and return its result; Ctrl-C sets cancel.

    TensorRT may run for minutes, during which Python handles no signal in its thread.
    """
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            stack.callback(SignalWatch(cancel, [signal.SIGINT]).close)
        thread = stack.enter_context(ThreadPoolExecutor(1, 'build_engine'))
        return thread.submit(work).result()


def _read_options(arguments: argparse.Namespace) -> DetectorConfig:
    """
    Return the parameters, and refuse options that contradict each other.

    :raises ConfigError: with the options; the model and the machine are not looked at.
    """
    given = given_parameters(arguments, _NAMES)
    config = DetectorConfig.from_mapping({'model_path': str(arguments.model), **given})
    if arguments.any_ampere and not arguments.portable:
        raise ConfigError('--any-ampere needs --portable')
    if arguments.portable:
        _check_portable(arguments, config)
    if arguments.output is None and (arguments.portable or arguments.compute_capability):
        option = '--portable' if arguments.portable else '--compute-capability'
        raise ConfigError(
            f'{option} needs --output: the engine folder is only for the GPU and the TensorRT of '
            'this machine'
        )
    return config


def _check_portable(arguments: argparse.Namespace, config: DetectorConfig) -> None:
    """
    Refuse options that do not go with --portable.

    :raises ConfigError: with the option and the remedy.
    """
    if arguments.compute_capability is not None:
        raise ConfigError(
            '--portable builds for the GPU of this machine; leave out --compute-capability, or '
            'use --any-ampere for other GPUs'
        )
    if config.backend not in ('auto', 'tensorrt'):
        raise ConfigError(
            f'backend is {config.backend}, but only tensorrt builds portable plans; set backend '
            'to tensorrt'
        )
    if config.plugin_libraries:
        raise ConfigError(
            f'plugin_libraries is {list(config.plugin_libraries)}, but a portable plan cannot use '
            'plugin libraries; export the model without their operators'
        )
    if config.dla_core >= 0:
        raise ConfigError(
            f'dla_core is {config.dla_core}, but a portable plan runs on the GPU only; set it to '
            '-1'
        )


def _build(
    arguments: argparse.Namespace,
    config: DetectorConfig,
    bar: ProgressBar,
    cancel: threading.Event,
) -> BuildReport:
    """Build the engine, or load it from the engine folder."""
    model = read_model_info(expand_user(arguments.model))
    batch_size = config.batch_size or 1
    # An unusable key is reported before the build.
    plan_hmac = read_plan_key(config.plan_key_path)
    if arguments.output is not None:
        _check_output(arguments.output, expand_user(arguments.model))
    if arguments.compute_capability is not None or arguments.portable:
        return _build_elsewhere(arguments, config, model, plan_hmac, bar, cancel)
    from ..gpu.device_info import read_device
    from ..trt.builder.built_precision import explain_built_precision
    from ..trt.builder.make_plan import prepare_plan
    from ..trt.builder.precision import split_build_warnings
    from ..trt.builder.request import make_request
    from ..trt.library import find_library

    start = time.monotonic()
    device = read_device(config.device_id)
    library = find_library(config.backend, device)
    config, verdict = _accept_int8(config, bar, cancel)
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
    if arguments.output is not None:
        _write_output(arguments.output, stored.data, plan_hmac)
    choice, manifest = request.choice, stored.manifest
    entries, warnings = split_build_warnings(manifest.details if manifest else {})
    details = {**entries, **_details(verdict)}
    precision = manifest.built_precision if manifest else choice.precision
    warnings += explain_built_precision(choice.precision, precision)
    if manifest is not None and manifest.layer_precision:
        details['precision of layers'] = manifest.layer_precision
    return BuildReport(
        plan=str(arguments.output or stored.path or ''),
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


def _build_elsewhere(
    arguments: argparse.Namespace,
    config: DetectorConfig,
    model: ModelInfo,
    plan_hmac: PlanHmac | None,
    bar: ProgressBar,
    cancel: threading.Event,
) -> BuildReport:
    """Build the engine for another machine, into a file."""
    from ..gpu.device_info import read_device
    from ..trt.builder.make_plan import build_once
    from ..trt.builder.precision import split_build_warnings
    from ..trt.builder.request import BuildTarget

    target = BuildTarget(
        compute_capability=arguments.compute_capability,
        dla_core=config.dla_core,
        portable=arguments.portable,
        any_ampere=arguments.any_ampere,
    )
    device, capability, verdict = '', arguments.compute_capability, None
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
    _write_output(arguments.output, plan, plan_hmac)
    entries, warnings = split_build_warnings(outcome.details)
    return BuildReport(
        plan=str(arguments.output),
        from_cache=False,
        backend=outcome.backend,
        version=outcome.version,
        device=device,
        compute_capability=capability,
        precision=outcome.precision,
        bytes=len(plan),
        seconds=round(outcome.seconds, 3),
        warnings=(*_warnings(verdict), *outcome.notes, *warnings, *_lean_notes(target, outcome)),
        details={**entries, **_details(verdict)},
    )


def _lean_notes(target: BuildTarget, outcome: BuildOutcome) -> tuple[str, ...]:
    """Return the sentence about the library that runs a portable plan."""
    if not target.portable:
        return ()
    note = (
        f'only the lean runtime of version {outcome.version} runs this engine: pip install '
        f'tensorrt-lean-cu13=={outcome.version} (tensorrt-lean-cu12 for CUDA 12)'
    )
    return (note,)


def _write_output(output: Path, plan: bytes, plan_hmac: PlanHmac | None) -> None:
    """Write a plan and, if there is a key, its HMAC file."""
    write_atomic(output, plan, mode=_READABLE)
    if plan_hmac is not None:
        code = f'{plan_hmac.sign_plan(plan)}\n'
        write_atomic(hmac_path(output), code.encode(), mode=_READABLE)


def _sentence(report: BuildReport) -> str:
    """Format the result as one line."""
    origin = 'loaded' if report.from_cache else f'built in {report.seconds:.1f} s'
    path = report.plan or 'not kept: the engine folder cannot be written'
    return (
        f'{report.precision.upper()} engine of {report.bytes / 1e6:.1f} MB, {origin} with '
        f'{report.backend} {report.version}: {path}'
    )


if __name__ == '__main__':
    sys.exit(main())
