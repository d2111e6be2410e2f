# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Build the TensorRT engine of a model ahead of time, as the node builds it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
import signal
import sys
import threading

from ...errors import BuildCancelledError, ConfigError, DetectorError
from ...process.stop_signals import SignalWatch
from ..command_line import make_parser, parse_arguments, write_result
from ..progress_bar import ProgressBar
from .build import build_engine, BuildReport
from .job import add_options, read_job

__all__ = ['main']

_CANCELLED = 130


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
        job = read_job(arguments)
    except ConfigError as error:
        parser.error(str(error))
    cancel = threading.Event()
    bar = ProgressBar(sys.stderr)
    try:
        result = _run_cancellable(lambda: build_engine(job, bar, cancel), cancel)
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
    add_options(parser)
    return parser


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
