# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Measure the detector node over DDS, from camera processes to the arrival of detections."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
import itertools
import os
from pathlib import Path
import sys
import tempfile
import threading
from typing import Any

from ... import __version__
from ...errors import ConfigError, DetectorError
from ...process.stop_signals import SignalWatch
from ...process.tuning import use_shared_memory
from ..command_line import make_parser, parse_arguments, write_file, write_result
from ..ros_tool import SOURCE_ROS
from .contender import Bare, Case, Contender
from .cores import check_cores, leave_cores
from .figures import summarize_rounds
from .isolation import choose_domain, isolate, remove_ports
from .listener import Listener
from .machine import describe_machine
from .measure import measure, sweep
from .options import add_options
from .pictures import write_pictures
from .report import as_svg, as_text
from .selection import list_bare, list_camera_options, list_contenders, PACED
from .setup import Setup

__all__ = ['main']

_INTERRUPTED = 130
# Start and end of a node and its cameras.
_START_S = 8.0


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if everything was measured, 1 if something was not, 130 if interrupted.
    """
    arguments = parse_arguments(_parser(), argv)
    try:
        contenders = list_contenders(arguments)
        check_cores(arguments.cores)
        for path in (arguments.json, arguments.svg):
            _check_output(path)
    except ConfigError as error:
        _say(str(error))
        return 2
    except (DetectorError, OSError) as error:
        _say(str(error))
        return 1
    stop = threading.Event()
    watch = SignalWatch(stop)
    try:
        return _run(arguments, contenders, stop)
    except (DetectorError, OSError) as error:
        _say(str(error))
        return 1
    except ImportError as error:
        _say(f'ROS 2 cannot be imported ({error}): {SOURCE_ROS}')
        return 1
    finally:
        watch.close()


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = make_parser(
        'benchmark_node',
        f'{__doc__} All of it runs in a ROS domain of its own, on this machine only. Nodes '
        'alternate round by round, beside the bare model in a loop, the limit of each node. The '
        'table goes to standard output.',
        examples=[
            '--size 1280x720 --rate 10 --seconds 20',
            '--model model.onnx --param backend=onnxruntime --rate 5 --sweep --json sweep.json',
            '--size 640x480 --rate 30 --cameras 4 --nodes 1 4 --variant batch_size=1',
            '--against "ros2 run pkg node --ros-args -r image:={image}" --topic /node/detections',
        ],
        exit_codes={
            0: 'everything was measured', 1: 'something was not', _INTERRUPTED: 'interrupted',
        },
        needs_ros=True,
    )  # fmt: skip
    add_options(parser)
    return parser


def _run(
    arguments: argparse.Namespace, contenders: Sequence[Contender], stop: threading.Event
) -> int:
    """Measure everything, and report also what was measured before a failure."""
    domain = choose_domain() if arguments.domain is None else arguments.domain
    isolate(domain)
    notes = use_shared_memory()
    if notes:
        # The next best, for all processes alike.
        os.environ.setdefault('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA')
    for note in notes:
        _say(note)
    _say(f'ROS_DOMAIN_ID={domain}, this machine only; {_estimate(arguments, contenders)}')
    rows: list[dict[str, Any]] = []
    report = {
        'trt_detector': __version__,
        'machine': describe_machine(contenders[0].parameters.get('device_id', 0)),
        'settings': _describe_settings(arguments, contenders[0].parameters),
        'rows': rows,
    }
    try:
        with leave_cores(arguments.cores):
            for row in _measure_all(arguments, contenders, stop):
                rows.append(row)
                _tell(row)
    except KeyboardInterrupt:
        report['failure'] = 'interrupted'
        _say('interrupted')
    finally:
        if arguments.domain is None:
            remove_ports(domain)
        # An error at the start must not replace an older report.
        code = _write_report(arguments, report) if rows or 'failure' in report else 1
    return _INTERRUPTED if 'failure' in report else code


def _write_report(arguments: argparse.Namespace, report: dict[str, Any]) -> int:
    """Write the report, and print the table; return the exit code."""
    rows = report['rows']
    report['summary'] = summarize_rounds(rows)
    code = write_result('benchmark_node', arguments.json, report)
    if report['summary']:
        try:
            if arguments.svg is not None:
                write_file(arguments.svg, as_svg(report))
        except OSError as error:  # the table is still of use
            _say(f'cannot write {arguments.svg}: {error.strerror}')
            code = 1
        if arguments.json != Path('-'):
            print(as_text(report))
    failed = not rows or any('failed' in row for row in rows)
    return code or int(failed)


def _estimate(arguments: argparse.Namespace, contenders: Sequence[Contender]) -> str:
    """Return a text about the duration."""
    loads = len(arguments.size) * len(arguments.cameras) * len(arguments.rate)
    number = loads * arguments.rounds * (len(contenders) + len(list_bare(arguments)))
    if arguments.sweep:
        return f'{number} sweeps'
    seconds = number * (arguments.seconds + arguments.warm_up + _START_S)
    return f'{number} measurements, about {seconds / 60:.0f} min'


def _measure_all(
    arguments: argparse.Namespace, contenders: Sequence[Contender], stop: threading.Event
) -> Iterator[dict[str, Any]]:
    """Measure each load round by round; yield the figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='benchmark_')))
        compressed = arguments.transport == 'compressed'
        setup = Setup(
            listener=stack.enter_context(Listener()),
            stop=stop,
            folder=folder,
            pictures=write_pictures(arguments.picture, arguments.size, folder, compressed),
            seconds=arguments.seconds,
            warm_up_s=arguments.warm_up,
            start_timeout_s=arguments.start_timeout,
            camera_options=list_camera_options(arguments),
            cores=tuple(arguments.cores),
        )
        for load in itertools.product(arguments.size, arguments.cameras, arguments.rate):
            size_wh, cameras, rate_hz = load
            parameters, picture = contenders[0].parameters, setup.pictures[size_wh]
            bare = [
                Bare(name, parameters, picture, name == PACED) for name in list_bare(arguments)
            ]
            yield from _measure_load(
                Case(size_wh, rate_hz, cameras), [*contenders, *bare], arguments, setup
            )


def _measure_load(
    case: Case, contenders: Sequence[Contender], arguments: argparse.Namespace, setup: Setup
) -> Iterator[dict[str, Any]]:
    """Measure all contenders under one load, round by round; yield the figures."""
    failed: set[str] = set()
    for number in range(arguments.rounds):
        # Who comes first changes from round to round.
        order = list(contenders)[:: -1 if number % 2 else 1]
        if arguments.sweep:
            order.sort(key=lambda contender: isinstance(contender, Bare))
        highest = case
        for contender in order:
            if contender.name in failed:
                continue
            own = highest if isinstance(contender, Bare) else case
            for done, figures in _measure_one(contender, own, setup, arguments.sweep):
                highest = max(highest, done, key=lambda each: each.rate_hz)
                if 'failed' in figures:
                    failed.add(contender.name)
                yield {**done.to_json(), 'round': number, 'node': contender.name, **figures}


def _measure_one(
    contender: Contender, case: Case, setup: Setup, sweeping: bool
) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Measure one contender; a failure is a result, so that the others are still measured."""
    _say(f'{contender.name}: {case}')
    try:
        if sweeping and not isinstance(contender, Bare):
            yield from sweep(contender, case, setup)
        else:
            yield case, measure(contender, case, setup)
    except (DetectorError, OSError) as error:
        yield case, {'failed': str(error)}


def _check_output(path: Path | None) -> None:
    """
    Create the folder of an output file: the figures must not be lost at the end.

    :raises OSError: if the file cannot be written.
    """
    if path is None or path == Path('-'):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OSError(f'cannot write {path}')


def _describe_settings(
    arguments: argparse.Namespace, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Return the settings for the report."""
    return {
        'model': Path(parameters['model_path']).name,
        'parameters': parameters,
        'against': arguments.against,
        'cores': arguments.cores,
        'seconds': arguments.seconds,
        'warm_up_s': arguments.warm_up,
        'rounds': arguments.rounds,
        'sweep': arguments.sweep,
        'transport': arguments.transport,
        'encoding': arguments.encoding,
        'reliable': arguments.reliable,
        'picture': arguments.picture.name if arguments.picture else '',
    }


def _tell(row: dict[str, Any]) -> None:
    """Print the main figures of a measurement to standard error."""
    if 'failed' in row:
        _say(f'{row["node"]}: {row["failed"]}')
        return
    times = row.get('latency_ms') or row.get('run_ms') or {}
    text = ', '.join(f'{key} {value:.1f} ms' for key, value in times.items())
    answered = f'answered {row["answered"]} of {row["sent"]}, ' if 'sent' in row else ''
    rate = f'{row["rate_hz"]:g} Hz, {answered}{row["images_per_s"]:.1f} images/s'
    _say(f'{row["node"]}: {rate}, {text}')


def _say(text: str) -> None:
    """Print a line to standard error."""
    print(f'benchmark_node: {text}', file=sys.stderr, flush=True)


if __name__ == '__main__':
    sys.exit(main())
