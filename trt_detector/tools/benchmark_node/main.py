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
import signal
import sys
import tempfile
import threading
from typing import Any

from ... import __version__
from ...errors import ConfigError, DetectorError
from ...process.stop_signals import SignalWatch
from ...process.tuning import use_shared_memory
from ..command_line import make_parser, parse_arguments, write_file, write_result
from .child_process import BenchmarkError
from .contender import Bare, Case, check_command, Contender, DetectorNodes, OtherNode
from .figures import summarize_rounds
from .isolation import choose_domain, isolate, remove_ports
from .listener import Listener
from .machine import describe_machine
from .measure import measure, sweep
from .options import add_options
from .parameters import collect_parameters, parse_pairs
from .pictures import write_pictures
from .report import as_svg, as_text, LIMIT
from .setup import Setup

__all__ = ['main']

_INTERRUPTED = 130
_PACED = 'bare model, paced'
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
        contenders = _list_contenders(arguments)
        for path in (arguments.json, arguments.svg):
            _check_output(path)
    except (DetectorError, OSError) as error:
        _say(str(error))
        return 2
    stop = threading.Event()
    signals = [signal.SIGINT, signal.SIGTERM]
    # nohup ignores it.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    watch = SignalWatch(stop, signals)
    try:
        return _run(arguments, contenders, stop)
    except (DetectorError, OSError) as error:
        _say(str(error))
        return 1
    except ImportError as error:
        _say(f'ROS 2 cannot be imported ({error}); source its setup file first')
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
    )  # fmt: skip
    add_options(parser)
    return parser


def _list_contenders(arguments: argparse.Namespace) -> list[Contender]:
    """
    List what is measured, the bare model apart.

    :raises ConfigError: if options contradict each other.
    """
    compressed = arguments.transport == 'compressed'
    parameters = collect_parameters(
        arguments.params_file, arguments.model, arguments.param, compressed=compressed
    )
    if max(arguments.nodes) > min(arguments.cameras):
        raise ConfigError(
            f'--nodes {max(arguments.nodes)} with --cameras {min(arguments.cameras)}: each node '
            'needs a camera'
        )
    contenders: list[Contender] = [
        DetectorNodes(
            'trt_detector' + (f', {nodes} nodes' if nodes > 1 else ''), parameters, nodes
        )
        for nodes in arguments.nodes
    ]
    for text in arguments.variant:
        given = [f'{name}={value}' for name, value in parse_pairs(text.split(';')).items()]
        changed = collect_parameters(
            arguments.params_file, arguments.model, [*arguments.param, *text.split(';')],
            compressed=compressed,
        )  # fmt: skip
        contenders.append(DetectorNodes(f'trt_detector, {", ".join(given)}', changed))
    if len(arguments.against) != len(arguments.topic):
        raise ConfigError(
            f'{len(arguments.against)} times --against and {len(arguments.topic)} times --topic; '
            'name the topic of the detections of each'
        )
    for command, topic in zip(arguments.against, arguments.topic, strict=True):
        check_command(command)
        name = topic.strip('/').removesuffix('/detections').replace('{camera}', '').strip('/')
        contenders.append(OtherNode(name or topic, command, f'/{topic.lstrip("/")}'))
    names = [contender.name for contender in contenders]
    if len(set(names)) < len(names):
        raise ConfigError(f'two contenders have the same name: {", ".join(names)}')
    return contenders


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
    parameters = contenders[0].parameters  # type: ignore[union-attr]
    rows: list[dict[str, Any]] = []
    report = {
        'trt_detector': __version__,
        'machine': describe_machine(parameters.get('device_id', 0)),
        'settings': _describe_settings(arguments, parameters),
        'rows': rows,
    }
    interrupted = False
    try:
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
                camera_options=_camera_options(arguments),
            )
            _say(f'ROS_DOMAIN_ID={domain}, this machine only; {_estimate(arguments, contenders)}')
            for row in _measure_all(arguments, contenders, setup):
                rows.append(row)
                _tell(row)
    except KeyboardInterrupt:
        report['failure'] = 'interrupted'
        interrupted = True
        _say('interrupted')
    finally:
        if arguments.domain is None:
            remove_ports(domain)
    report['summary'] = summarize_rounds(rows)
    code = write_result('benchmark_node', arguments.json, report)
    if report['summary']:
        if arguments.svg is not None:
            write_file(arguments.svg, as_svg(report))
        if arguments.json != Path('-'):
            print(as_text(report))
    failed = not rows or any('failed' in row for row in rows)
    return _INTERRUPTED if interrupted else code or int(failed)


def _estimate(arguments: argparse.Namespace, contenders: Sequence[Contender]) -> str:
    """Return a text about the duration."""
    loads = len(arguments.size) * len(arguments.cameras) * len(arguments.rate)
    number = loads * arguments.rounds * (len(contenders) + len(_list_bare(arguments)))
    if arguments.sweep:
        return f'{number} sweeps'
    seconds = number * (arguments.seconds + arguments.warm_up + _START_S)
    return f'{number} measurements, about {seconds / 60:.0f} min'


def _measure_all(
    arguments: argparse.Namespace, contenders: Sequence[Contender], setup: Setup
) -> Iterator[dict[str, Any]]:
    """Measure each load round by round; yield the figures."""
    loads = itertools.product(arguments.size, arguments.cameras, arguments.rate)
    for size_wh, cameras, rate_hz in loads:
        case = Case(size_wh, rate_hz, cameras)
        parameters = contenders[0].parameters  # type: ignore[union-attr]
        bare = [
            Bare(name, parameters, setup.pictures[size_wh], name == _PACED)
            for name in _list_bare(arguments)
        ]
        failed: set[str] = set()
        for number in range(arguments.rounds):
            # Who comes first changes from round to round.
            order = [*contenders, *bare][:: -1 if number % 2 else 1]
            if arguments.sweep:
                order.sort(key=lambda contender: isinstance(contender, Bare))
            highest = case
            for contender in order:
                if contender.name in failed:
                    continue
                own = highest if isinstance(contender, Bare) else case
                for done, figures in _measure_one(contender, own, setup, arguments.sweep):
                    if done.rate_hz > highest.rate_hz:
                        highest = done
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
    except BenchmarkError as error:
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


def _list_bare(arguments: argparse.Namespace) -> list[str]:
    """List the loops of the bare model; in a sweep only the limit is of use."""
    names = {'both': [LIMIT, _PACED], 'limit': [LIMIT], 'paced': [_PACED], 'none': []}
    return [name for name in names[arguments.bare] if name == LIMIT or not arguments.sweep]


def _camera_options(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the options of play_images that the user has chosen."""
    if arguments.transport == 'compressed':
        options: tuple[str, ...] = ('--compressed',)
    else:
        options = ('--encoding', arguments.encoding)
    return (*options, '--reliable') if arguments.reliable else options


def _describe_settings(
    arguments: argparse.Namespace, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Return the settings for the report."""
    return {
        'model': Path(parameters['model_path']).name,
        'parameters': parameters,
        'against': arguments.against,
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
