# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Show what is installed, which backend the node would use, and the fix of each problem."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import contextlib
from dataclasses import asdict
from pathlib import Path
import platform
import shutil
import sys

from ... import __version__
from ...errors import DetectorError
from ..command_line import add_json_option, make_parser, parse_arguments, write_result
from ..finding import Finding, NOTE, OK, PROBLEM
from ..topic_check import judge_topic, observe_topic
from .inference import check_inference
from .middleware import check_ros
from .modules import import_module

__all__ = ['main']

_NEEDED_MODULES = {
    'numpy': 'sudo apt install python3-numpy',
    'cv2': 'sudo apt install python3-opencv',
    'onnx': 'pip install onnx',
}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if the node can run, 1 if it cannot.
    """
    arguments = parse_arguments(_parser(), argv)
    if arguments.topic:
        findings = [*check_ros(), *_topic(arguments.topic, arguments.seconds)]
    else:
        findings = [*_software(), *check_inference(arguments.device_id), *check_ros()]
        findings.append(_engine_folder(arguments.engine_cache_dir))
    can_run = all(finding.status != PROBLEM for finding in findings)
    if arguments.json != Path('-'):
        _print(findings)
        what = f'detect in {arguments.topic}' if arguments.topic else 'run here'
        verdict = 'can' if can_run else 'cannot'
        print(f'the node {verdict} {what}{"" if can_run else "; fix the problems above"}')
    report = {'can_run': can_run, 'findings': [asdict(finding) for finding in findings]}
    return write_result('doctor', arguments.json, report) or int(not can_run)


def _print(findings: Sequence[Finding]) -> None:
    """Print the findings with their remedies."""
    for finding in findings:
        print(f'{finding.status:8} {finding.name:16} {finding.text}')
        if finding.remedy:
            print(f'{"":25} -> {finding.remedy}')


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = make_parser(
        'doctor',
        __doc__ or '',
        examples=['', '--topic /camera/image_raw', '--json'],
        exit_codes={0: 'the node can run here', 1: 'it cannot'},
    )
    parser.add_argument('--device-id', type=int, default=0, help='index of the GPU. Default: 0.')
    parser.add_argument(
        '--engine-cache-dir',
        default='',
        help='folder of built engines. Default: trt_detector in the user cache folder.',
    )
    parser.add_argument(
        '--topic', default='', help='check this image topic: publishers, type, rate, size, loss'
    )
    parser.add_argument(
        '--seconds', type=float, default=5.0, help='time to receive its images. Default: 5.'
    )
    add_json_option(parser)
    return parser


def _software() -> Iterator[Finding]:
    """Check Python and the libraries that every backend needs."""
    system = f'{platform.system()} {platform.release()} {platform.machine()}'
    version = platform.python_version()
    too_old = sys.version_info < (3, 10)
    yield Finding(
        'python',
        PROBLEM if too_old else OK,
        f'{version} on {system}',
        'use Python 3.10 or newer' if too_old else '',
    )
    yield Finding('trt_detector', OK, __version__)
    for name, remedy in _NEEDED_MODULES.items():
        version, reason = import_module(name)
        if version:
            yield Finding(name, OK, version)
        else:
            yield Finding(name, PROBLEM, reason, remedy)


def _topic(topic: str, seconds: float) -> list[Finding]:
    """Check a live image topic, with the settings of the node's process."""
    from ...process.tuning import tune_process

    tune_process()
    try:
        return judge_topic(observe_topic(topic, seconds))
    except DetectorError as error:
        return [Finding('topic', PROBLEM, str(error))]


def _engine_folder(chosen: str) -> Finding:
    """
    Check the folder of built engines.

    :param chosen: parameter engine_cache_dir.
    """
    from ...plan import find_cache_dir, PlanStore

    try:
        folder = find_cache_dir(chosen)
        existed = folder.is_dir()
        PlanStore(folder).check_writable()
    except DetectorError as error:
        return Finding('engine folder', NOTE, 'engines are built at each start', str(error))
    plans = len(list(folder.glob('*/*.engine')))
    free = shutil.disk_usage(folder).free
    if not existed:
        # Leave no trace; another process may have begun to use the folder.
        with contextlib.suppress(OSError):
            folder.rmdir()
    return Finding('engine folder', OK, f'{folder}: {plans} engine(s), {free >> 20} MiB free')


if __name__ == '__main__':
    sys.exit(main())
