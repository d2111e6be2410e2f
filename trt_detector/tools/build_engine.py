# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Build the TensorRT engine of a model ahead of time, as the node would build it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
import signal
import sys
import threading
import time
from typing import Any

from ..config import DetectorConfig
from ..errors import BuildCancelledError, DetectorError
from ..factory import create_detector
from ..int8_gate.gate import find_gate_frames
from ..model_info import read_model_info
from ..process.stop_signals import SignalWatch
from ..values.progress import Progress
from .options import add_parameter_options, given_parameters

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
    'workspace_fraction',
    'batch_size',
    'min_shape',
    'opt_shape',
    'input_shape',
    'max_shape',
    'dla_core',
    'plugin_libraries',
)
_BAR_WIDTH = 30
_CANCELLED = 130

Result = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 when the engine is there, 1 when it could not be built, 130 when it was cancelled.
    """
    arguments = _parser().parse_args(argv)
    cancel = threading.Event()
    bar = ProgressBar(sys.stderr)
    try:
        result = _run_cancellable(lambda: _build(arguments, bar, cancel), cancel)
    except BuildCancelledError as error:
        bar.finish()
        print(f'build_engine: {error}', file=sys.stderr)
        return _CANCELLED
    except (DetectorError, OSError) as error:
        bar.finish()
        print(f'build_engine: {error}', file=sys.stderr)
        return 1
    bar.finish()
    for warning in result['warnings']:
        print(f'build_engine: {warning}', file=sys.stderr)
    print(json.dumps(result, indent=1) if arguments.json else _sentence(result))
    return 0


class ProgressBar:
    """
    Shows how far a build has come: a bar on a terminal, else a line a second at most.

    :param stream: where to.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._last_line = -1.0
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show the progress; from any thread, one at a time."""
        share = '    ' if progress.fraction is None else f'{progress.fraction:4.0%}'
        text = f'{share} {progress.elapsed_s:6.1f} s  {progress.phase}'
        if self._terminal:
            done = round((progress.fraction or 0.0) * _BAR_WIDTH)
            text = f'[{"#" * done:{_BAR_WIDTH}}] {text}'
            self._stream.write(f'\r{text:{self._width}}')
            self._width = len(text)
        elif time.monotonic() - self._last_line >= 1.0:
            self._last_line = time.monotonic()
            self._stream.write(f'{text}\n')
        self._stream.flush()

    def finish(self) -> None:
        """End the line of the bar."""
        if self._terminal and self._width:
            self._stream.write('\n')
            self._stream.flush()


def _parser() -> argparse.ArgumentParser:
    """Return the command line; options of the engine come from the detector's parameters."""
    parser = argparse.ArgumentParser(
        prog='build_engine',
        description=f'{__doc__} Ctrl-C cancels the build.',
    )
    parser.add_argument('--model', required=True, type=Path, help='ONNX file of the detector')
    parser.add_argument(
        '--output', type=Path, metavar='FILE', help='write a copy of the engine to this file'
    )
    parser.add_argument(
        '--compute-capability',
        type=_capability,
        metavar='MAJOR.MINOR',
        help='build for this kind of GPU, which need not be in this machine (TensorRT for RTX '
        'only; needs --output)',
    )
    parser.add_argument('--json', action='store_true', help='print the result as JSON')
    add_parameter_options(parser, _NAMES, without=['onnxruntime'])
    return parser


def _capability(text: str) -> tuple[int, int]:
    """Return (major, minor) of '8.6'."""
    match = re.fullmatch(r'(\d+)\.(\d)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not a compute capability like 8.6')
    return (int(match[1]), int(match[2]))


def _run_cancellable(work: Callable[[], Result], cancel: threading.Event) -> Result:
    """
    Run work in a thread and return its result; Ctrl-C sets cancel.

    TensorRT may stay in its own code for minutes, where Python handles no signal in its thread.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the main thread
            errors.append(error)

    thread = threading.Thread(target=run, name='build_engine')
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            stack.callback(SignalWatch(cancel, [signal.SIGINT]).close)
        thread.start()
        thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _build(arguments: argparse.Namespace, bar: ProgressBar, cancel: threading.Event) -> Result:
    """Build the engine, or take it from the store, and return what is to be told."""
    given = given_parameters(arguments, _NAMES)
    config = DetectorConfig.from_mapping({'model_path': str(arguments.model), **given})
    model = read_model_info(arguments.model.expanduser())
    batch_size = config.batch_size or 1
    if arguments.compute_capability is not None:
        return _build_elsewhere(arguments, config, model, batch_size, bar, cancel)
    from ..gpu.device_info import read_device
    from ..trt.builder.build_plan import make_request
    from ..trt.builder.make_plan import prepare_plan
    from ..trt.library import find_library

    start = time.monotonic()
    device = read_device(config.device_id)
    library = find_library(config.backend, device)
    config, verdict = _accept_int8(config, bar, cancel)
    request = make_request(config, model, fast_fp16=device.has_fast_fp16, batch_size=batch_size)
    stored = prepare_plan(config, device, library, request, on_progress=bar, cancel=cancel)
    if arguments.output is not None:
        arguments.output.write_bytes(stored.data)
    choice, manifest = request.choice, stored.manifest
    return {
        'plan': str(arguments.output or stored.path or ''),
        'from_cache': stored.from_cache,
        'backend': library.name,
        'version': library.version,
        'device': device.name,
        'compute_capability': list(device.compute_capability),
        'precision': manifest.built_precision if manifest else choice.precision,
        'bytes': len(stored.data),
        'seconds': round(time.monotonic() - start, 3),
        'warnings': [*verdict.warnings, *choice.notes, *stored.notes],
        'details': (dict(manifest.details) if manifest else {}) | verdict.details,
    }


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the check of an INT8 engine says: sentences and facts for the user."""

    warnings: tuple[str, ...] = ()
    details: dict[str, str] = field(default_factory=dict)


def _accept_int8(
    config: DetectorConfig, bar: ProgressBar, cancel: threading.Event
) -> tuple[DetectorConfig, _Verdict]:
    """
    Compare the INT8 engine with the full-precision model, where there are frames for it.

    :return: the parameters, or those of what stands in for a refused engine.
    """
    if config.precision in ('fp32', 'fp16') or not find_gate_frames(config):
        return config, _Verdict()
    unwarmed = config.with_changes(warmup_iterations=0)
    with create_detector(unwarmed, on_progress=bar, cancel=cancel) as detector:
        info = detector.info
    details = {'int8 check': info.int8_check} if info.int8_check else {}
    warnings = tuple(text for text in info.warnings if text.startswith('the INT8 engine'))
    if info.precision != 'int8' and warnings:
        config = config.with_changes(
            precision='fp16', calib_cache_path='', int8_gate_images='', quantize_exclude=()
        )
    return config, _Verdict(warnings, details)


def _build_elsewhere(
    arguments: argparse.Namespace,
    config: DetectorConfig,
    model: Any,
    batch_size: int,
    bar: ProgressBar,
    cancel: threading.Event,
) -> Result:
    """Build the engine for a GPU that is not in this machine, into a file."""
    from ..errors import ConfigError
    from ..trt.builder.make_plan import build_once

    if arguments.output is None:
        raise ConfigError(
            '--compute-capability needs --output: the folder of engines holds those of this '
            "machine's own GPU only"
        )
    outcome = build_once(
        config,
        model,
        batch_size=batch_size,
        compute_capability=arguments.compute_capability,
        on_progress=bar,
        cancel=cancel,
    )
    arguments.output.write_bytes(outcome.plan)
    return {
        'plan': str(arguments.output),
        'from_cache': False,
        'backend': outcome.backend,
        'version': outcome.version,
        'device': '',
        'compute_capability': list(arguments.compute_capability),
        'precision': outcome.precision,
        'bytes': len(outcome.plan),
        'seconds': round(outcome.seconds, 3),
        'warnings': list(outcome.notes),
        'details': dict(outcome.details),
    }


def _sentence(result: Result) -> str:
    """Return the result for people."""
    how = 'loaded' if result['from_cache'] else f'built in {result["seconds"]:.1f} s'
    where = result['plan'] or 'not kept: the folder of engines cannot be written'
    return (
        f'{result["precision"].upper()} engine of {result["bytes"] / 1e6:.1f} MB, {how} with '
        f'{result["backend"]} {result["version"]}: {where}'
    )


if __name__ == '__main__':
    sys.exit(main())
