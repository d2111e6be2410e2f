# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Show what is installed, which backend the node would use, and the fix of each problem."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import contextlib
from dataclasses import asdict
import importlib
import os
from pathlib import Path
import platform
import shutil
import sys

from .. import __version__
from ..errors import DetectorError
from ..onnxruntime_engine import has_provider
from .command_line import add_json_option, make_parser, parse_arguments, write_result
from .finding import Finding, NOTE, OK, PROBLEM
from .topic_check import judge_topic, observe_topic

__all__ = ['main']

_SHARED_MEMORY = Path('/dev/shm')  # noqa: S108 - the kernel's folder
_NEEDED_MODULES = {
    'numpy': 'sudo apt install python3-numpy',
    'cv2': 'sudo apt install python3-opencv',
    'onnx': 'pip install onnx',
}
_ROS_MODULES = ('rclpy', 'sensor_msgs', 'vision_msgs', 'diagnostic_msgs', 'std_srvs')


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if the node can run, 1 if it cannot.
    """
    arguments = parse_arguments(_parser(), argv)
    if arguments.topic:
        findings = [*_ros(), *_topic(arguments.topic, arguments.seconds)]
    else:
        findings = [*_software(), *_inference(arguments.device_id), *_ros()]
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
        version, reason = _import(name)
        if version:
            yield Finding(name, OK, version)
        else:
            yield Finding(name, PROBLEM, reason, remedy)


def _import(name: str) -> tuple[str, str]:
    """Return (version, '') of a module that imports, else ('', reason)."""
    try:
        module = importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a broken library may raise anything at import
        return '', f'{type(error).__name__}: {error}'
    return str(getattr(module, '__version__', 'unknown version')), ''


def _inference(device_id: int) -> list[Finding]:
    """Check the GPU and the runtimes; one that works is enough."""
    findings = [_device(device_id)]
    if findings[0].status == OK:
        findings += [_memory(device_id), *_state(device_id)]
    backends = {name: _tensorrt(name, device_id) for name in ('tensorrt', 'tensorrt_rtx')}
    lean = _tensorrt('tensorrt_lean', device_id)
    findings += [*backends.values(), lean, _cuda_bindings(device_id)]
    version, reason = _import('onnxruntime')
    kind = 'for CUDA' if has_provider('CUDA') else 'for the CPU'
    kind += ', with OpenVINO' if has_provider('OpenVINO') else ''
    findings.append(
        Finding('onnxruntime', OK, f'{version} {kind}')
        if version
        else Finding('onnxruntime', NOTE, reason, 'pip install onnxruntime')
    )
    cuda_works = findings[-2].status == OK
    usable = [name for name, f in backends.items() if f.status == OK and cuda_works]
    usable += ['onnxruntime'] if version else []
    if usable:
        findings.append(Finding('backend auto', OK, f'takes {usable[0]}'))
    else:
        remedy = (
            'install TensorRT and pycuda (or cuda-bindings) on a machine with a GPU, or: pip '
            'install onnxruntime'
        )
        findings.append(Finding('backend auto', PROBLEM, 'no backend is usable', remedy))
    return findings


def _device(device_id: int) -> Finding:
    """Check the driver and the GPU."""
    from ..gpu.device_info import is_jetson, read_device

    try:
        device = read_device(device_id)
    except DetectorError as error:
        return Finding('gpu', NOTE, 'no usable GPU', str(error))
    major, minor = device.compute_capability
    cuda = '.'.join(str(number) for number in device.cuda_driver)
    kind = 'Jetson' if is_jetson() else 'integrated' if device.integrated else 'discrete'
    return Finding(
        'gpu',
        OK,
        f'{device.name}: compute capability {major}.{minor}, {device.sm_count} multiprocessors, '
        f'{kind}, driver for CUDA {cuda}',
    )


def _memory(device_id: int) -> Finding:
    """Check the memory that builds and engines share."""
    from ..gpu.device_info import get_gpu_memory_bytes, LAST_RESORT_BYTES

    size = get_gpu_memory_bytes(device_id)
    guess = ' (a guess: it cannot be read)' if size == LAST_RESORT_BYTES else ''
    return Finding('gpu memory', NOTE if guess else OK, f'{size / 2**30:.1f} GiB{guess}')


def _state(device_id: int) -> Iterator[Finding]:
    """Read temperature, load, clocks and power of the GPU if they are available."""
    from ..gpu.device_monitor import read_device_state

    state = read_device_state(device_id)
    known = state.describe()
    for key in ('name', 'compute capability', 'memory total MiB', 'memory shared with the CPU'):
        known.pop(key, None)  # reported above
    if not known:
        return
    text = '; '.join(f'{key} {value}' for key, value in known.items())
    if state.slowdowns:
        remedy = f'it is slowed down: {", ".join(state.slowdowns)}; check cooling and power'
        yield Finding('gpu state', NOTE, text, remedy)
    else:
        yield Finding('gpu state', OK, text)


def _tensorrt(name: str, device_id: int) -> Finding:
    """Check that a TensorRT library imports, is new enough, and supports the GPU."""
    from ..gpu.device_info import read_device
    from ..trt.library import find_library, load_library

    try:
        library = load_library(name)
    except DetectorError as error:
        return Finding(name, NOTE, 'not usable', str(error))
    if not library.has_builder:
        modes = 'prebuilt plans of "build_engine --portable" only, without builds on this machine'
    elif library.has_precision_flags:
        modes = 'precision flags'
    else:
        modes = 'strongly typed networks'
    try:
        find_library(name, read_device(device_id))
    except DetectorError as error:
        return Finding(name, NOTE, f'{library.label} ({modes}), does not run here', str(error))
    return Finding(name, OK, f'{library.label} ({modes})')


def _cuda_bindings(device_id: int) -> Finding:
    """Check the CUDA bindings by creating a context."""
    from ..gpu.context import ContextScope, describe_bindings, load_cuda

    try:
        cuda = load_cuda()
        with contextlib.closing(ContextScope(cuda, device_id)):
            return Finding('cuda bindings', OK, f'{describe_bindings(cuda)}, its context works')
    except DetectorError as error:
        return Finding('cuda bindings', NOTE, 'not usable', str(error))


def _ros() -> Iterator[Finding]:
    """Check ROS 2 and its transport of images."""
    distro = os.environ.get('ROS_DISTRO', '')
    missing = {name: reason for name in _ROS_MODULES if (reason := _import(name)[1])}
    if not missing:
        yield Finding('ros 2', OK, distro or 'from wheels (ROS_DISTRO is not set)')
    else:
        packages = ' '.join(f'ros-{distro}-{name}'.replace('_', '-') for name in missing)
        remedy = 'source /opt/ros/<distro>/setup.bash, or bringup/env.sh if there is no ROS 2'
        if distro:
            remedy = f'sudo apt install {packages}'
        yield Finding('ros 2', PROBLEM, f'cannot import {", ".join(missing)}', remedy)
    yield _dds(dict(os.environ))
    yield _shared_memory()


def _topic(topic: str, seconds: float) -> list[Finding]:
    """Check a live image topic, with the settings of the node's process."""
    from ..process.tuning import tune_process

    tune_process()
    try:
        return judge_topic(observe_topic(topic, seconds))
    except DetectorError as error:
        return [Finding('topic', PROBLEM, str(error))]


def _dds(environ: dict[str, str]) -> Finding:
    """Check the settings of the middleware, which decide whether large images arrive."""
    from ..process.tuning import use_shared_memory

    middleware = environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp (default)')
    domain = environ.get('ROS_DOMAIN_ID', '0')
    names = ('FASTDDS', 'FASTRTPS', 'CYCLONEDDS', 'ZENOH')
    chosen = sorted(f'{k}={v}' for k, v in environ.items() if k.startswith(names))
    before = set(environ)
    complaints = use_shared_memory(environ)
    added = sorted(f'{key}={environ[key]}' for key in set(environ) - before)
    text = f'{middleware}, domain {domain}'
    settings = '; '.join([*chosen, *(f'{item} (set by the node)' for item in added)])
    if settings:
        text += f', {settings}'
    return Finding('dds', NOTE if complaints else OK, text, '; '.join(complaints))


def _shared_memory() -> Finding:
    """Check the folder through which processes of one machine share images."""
    try:
        usage = shutil.disk_usage(_SHARED_MEMORY)
    except OSError as error:
        return Finding('shared memory', NOTE, f'{_SHARED_MEMORY}: {error.strerror}')
    text = f'{usage.free >> 20} MiB free of {usage.total >> 20} MiB'
    users = sorted(_users_of_fast_dds(_SHARED_MEMORY) - {os.getuid()})
    if not users:
        return Finding('shared memory', OK, text)
    return Finding(
        'shared memory',
        NOTE,
        f'{text}; Fast DDS runs as other users, too (uid {", ".join(map(str, users))})',
        'nodes of two users on one machine cannot see each other by shared memory: run them as '
        'one user, or set FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for one of them',
    )


def _users_of_fast_dds(folder: Path) -> set[int]:
    """Return the ids of the users that own files of Fast DDS in a folder."""
    users = set()
    for path in folder.glob('fastdds_*'):
        with contextlib.suppress(OSError):  # removed meanwhile
            users.add(path.stat().st_uid)
    return users


def _engine_folder(chosen: str) -> Finding:
    """
    Check the folder of built engines.

    :param chosen: parameter engine_cache_dir.
    """
    from ..plan import find_cache_dir, PlanStore

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
