# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of ROS 2 and of its transport of images."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import shutil

from ..finding import Finding, NOTE, OK, PROBLEM
from ..ros_tool import SOURCE_ROS
from .modules import import_module

__all__ = ['check_ros']

_SHARED_MEMORY = Path('/dev/shm')  # noqa: S108 - the kernel's folder
_ROS_MODULES = ('rclpy', 'sensor_msgs', 'vision_msgs', 'diagnostic_msgs', 'std_srvs')


def check_ros() -> Iterator[Finding]:
    """Check ROS 2 and its transport of images."""
    distro = os.environ.get('ROS_DISTRO', '')
    missing = {name: reason for name in _ROS_MODULES if (reason := import_module(name)[1])}
    if not missing:
        yield Finding('ros 2', OK, distro or 'from wheels (ROS_DISTRO is not set)')
    else:
        packages = ' '.join(f'ros-{distro}-{name}'.replace('_', '-') for name in missing)
        remedy = f'sudo apt install {packages}' if distro else SOURCE_ROS
        yield Finding('ros 2', PROBLEM, f'cannot import {", ".join(missing)}', remedy)
    yield _dds(dict(os.environ))
    yield _shared_memory()


def _dds(environ: dict[str, str]) -> Finding:
    """Check the settings of the middleware, which decide whether large images arrive."""
    from ...process.tuning import use_shared_memory

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
