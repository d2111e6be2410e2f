# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Tune a process that receives large images.

With the defaults of Fast DDS few best-effort images of 640x480 arrive, and none of 1920x1080: the
shared-memory segment is smaller than one image. With the defaults of glibc the memory of each
image is mapped and unmapped, and the page faults cost more than the rest of the transfer.

Uses the standard library only. Call it before ROS is initialized.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
import ctypes
import gc
import os
from pathlib import Path
import shutil
import sys

from .package_files import find_package_file

__all__ = [
    'camera_environment',
    'choose_image_depth',
    'describe_camera_settings',
    'keep_image_memory',
    'release_memory',
    'tune_process',
    'use_shared_memory',
]

_FAST_DDS = 'rmw_fastrtps_cpp'
_PROFILE = Path('config', 'fastdds_shm.xml')
_PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
_PROFILE_FILES = ('DEFAULT_FASTDDS_PROFILES.xml', 'DEFAULT_FASTRTPS_PROFILES.xml')
_SHARED_MEMORY = Path('/dev/shm')  # noqa: S108 the folder of the kernel
# The segment of the profile, and the same for the process that sends the images.
_SHARED_MEMORY_BYTES = 2 * 128 * 2**20

# The node itself keeps the newest image, whatever the middleware holds. But with a depth of 1 Fast
# DDS seems to give up an image that waits for fragments to be sent again as soon as the next one
# begins: of 30 reliable images of 1920x1080 per second a third arrived, and nearly all with 5
# (docs/benchmarks/subscriptions.md).
_RELIABLE_DEPTH = 5
# With a depth of 1, of two publishers that send at the same moment only the later one is received,
# and the images of the other one are not even counted as lost: no image shows their numbers.
_BEST_EFFORT_DEPTH = 2

# From malloc.h of glibc.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def tune_process() -> list[str]:
    """Tune the calling process; return warnings for the log."""
    keep_image_memory()
    return use_shared_memory()


def use_shared_memory(environ: MutableMapping[str, str] = os.environ) -> list[str]:
    """
    Make Fast DDS send large messages through shared memory.

    Nothing is changed if another middleware is selected or the user has configured Fast DDS.

    :param environ: environment variables, modified.
    :return: warnings for the log if it is not possible.
    """
    if environ.get('RMW_IMPLEMENTATION', _FAST_DDS) != _FAST_DDS:
        return []
    if any(environ.get(name) for name in (*_PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')):
        return []
    if any(Path(name).exists() for name in _PROFILE_FILES):
        return []
    profile = find_package_file(_PROFILE, environ)
    if profile is None:
        return [f'{_PROFILE} is not installed: large images may be lost; reinstall trt_detector']
    try:
        free = shutil.disk_usage(_SHARED_MEMORY).free
    except OSError as error:
        return [f'{_SHARED_MEMORY}: {error.strerror}; large images may be lost']
    if free < _SHARED_MEMORY_BYTES:
        sizes = f'{free >> 20} MiB free of the {_SHARED_MEMORY_BYTES >> 20} MiB needed'
        remedy = 'in a container use --ipc=host or --shm-size=1g'
        return [f'{_SHARED_MEMORY} has {sizes}: large images may be lost; {remedy}']
    environ.update(camera_environment(environ))
    return []


def camera_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """
    Return the environment variables with which a camera process can send large images.

    They are those of :func:`use_shared_memory`, which both ends of a topic need.

    :param environ: environment variables, to find the middleware and the installed package.
    :return: nothing if another middleware than Fast DDS is selected, or the profile is missing.
    """
    profile = find_package_file(_PROFILE, environ)
    if environ.get('RMW_IMPLEMENTATION', _FAST_DDS) != _FAST_DDS or profile is None:
        return {}
    return {_PROFILE_VARIABLES[_is_fast_dds_2(environ)]: str(profile)}


def _is_fast_dds_2(environ: Mapping[str, str]) -> bool:
    """
    Tell Fast DDS 2 (Humble, Jazzy) from version 3.

    Version 2 reads the variable of the old name only; later ones warn about that name.
    """
    prefixes = [*environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    return any(
        next(Path(prefix, 'lib').glob('libfastrtps.so*'), None) for prefix in prefixes if prefix
    )


def choose_image_depth(*, is_reliable: bool) -> int:
    """Choose the depth of a subscription to images."""
    return _RELIABLE_DEPTH if is_reliable else _BEST_EFFORT_DEPTH


def keep_image_memory(environ: MutableMapping[str, str] = os.environ) -> bool:
    """
    Make glibc keep the memory of an image for the next one.

    Nothing is changed if the user has set MALLOC_ variables, or without glibc.

    :return: False if nothing was changed.
    """
    if any(name.startswith('MALLOC_') for name in environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        _M_MMAP_THRESHOLD: 32 * 2**20,  # the maximum
        _M_TRIM_THRESHOLD: 256 * 2**20,
        _M_TOP_PAD: 64 * 2**20,
        # With one arena per thread, memory freed by the thread of one detector is not reused by
        # the next: two hundred configures took 20 to 50 MB more.
        _M_ARENA_MAX: 1,
    }
    outcomes = [mallopt(option, value) for option, value in settings.items()]
    return all(outcomes)


def release_memory() -> bool:
    """
    Return free memory to the system.

    Memory that :func:`keep_image_memory` keeps is useless after the last image. Objects in
    reference cycles are freed first.

    :return: False if none was returned, or without glibc.
    """
    gc.collect()
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False


def describe_camera_settings(
    environ: MutableMapping[str, str] = os.environ, *, is_reliable: bool = False
) -> str:
    """
    Describe how to start a camera so that its images are not lost.

    :param environ: environment variables of this process.
    :param is_reliable: the camera publishes reliable already.
    """
    others = 'publish reliable, or send compressed images'
    if is_reliable:
        # Lost are those that the camera replaces before they are sent, or this node before it
        # takes them.
        others = 'send compressed images, or fewer, or relieve the CPU of this machine'
    settings = ' '.join(f'{name}={value}' for name, value in camera_environment(environ).items())
    if not settings:
        return f'{others}; see docs/cameras.md for settings of the middleware'
    # Not FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA: it works only if both ends have it.
    return f'start the camera with {settings}, {others}'
