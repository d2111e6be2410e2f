# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Settings of a process through which large images pass.

With the defaults of Fast DDS hardly a best-effort image of 640x480 arrives, and none of 1920x1080:
the segment of shared memory is smaller than one image. And with the defaults of glibc each image
is mapped and unmapped anew, and the page faults cost more than all the rest.

Needs nothing but the standard library; to be called before ROS is initialized.
"""

from __future__ import annotations

from collections.abc import MutableMapping
import ctypes
import os
from pathlib import Path
import shutil
import sys

from .package_files import find_package_file

__all__ = [
    'keep_image_memory',
    'release_memory',
    'tune_process',
    'use_shared_memory',
]

_PROFILE = Path('config', 'fastdds_shm.xml')
_PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
_PROFILE_FILES = ('DEFAULT_FASTDDS_PROFILES.xml', 'DEFAULT_FASTRTPS_PROFILES.xml')
_SHARED_MEMORY = Path('/dev/shm')  # noqa: S108 the folder is the kernel's
# The segment of the profile, and as much for whoever sends the images.
_SHARED_MEMORY_BYTES = 2 * 128 * 2**20

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def tune_process() -> list[str]:
    """Do all that this module does for the calling process; return sentences for the log."""
    keep_image_memory()
    return use_shared_memory()


def use_shared_memory(environ: MutableMapping[str, str] = os.environ) -> list[str]:
    """
    Let Fast DDS send large messages through shared memory.

    Nothing is changed where another middleware is chosen or the user set up Fast DDS.

    :param environ: changed.
    :return: sentences for the log about what could not be done.
    """
    if environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp') != 'rmw_fastrtps_cpp':
        return []
    if any(environ.get(name) for name in (*_PROFILE_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')):
        return []
    if any(Path(name).exists() for name in _PROFILE_FILES):
        return []
    profile = find_package_file(_PROFILE, environ)
    if profile is None:
        return [f'{_PROFILE} is not installed: large images may be lost on their way']
    try:
        free = shutil.disk_usage(_SHARED_MEMORY).free
    except OSError as error:
        return [f'{_SHARED_MEMORY}: {error.strerror}; large images may be lost on their way']
    if free < _SHARED_MEMORY_BYTES:
        sizes = f'{free >> 20} MiB free of the {_SHARED_MEMORY_BYTES >> 20} MiB needed'
        remedy = 'in a container use --ipc=host or --shm-size=1g'
        return [f'{_SHARED_MEMORY} has {sizes}: large images may be lost on their way; {remedy}']
    environ[_PROFILE_VARIABLES[_is_fast_dds_2(environ)]] = str(profile)
    return []


def _is_fast_dds_2(environ: MutableMapping[str, str]) -> bool:
    """
    Return whether ROS 2 brings Fast DDS 2 (Humble, Jazzy) and not 3.

    It reads the variable of the old name only, and its successors complain about that name.
    """
    prefixes = [*environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    return any(
        next(Path(prefix, 'lib').glob('libfastrtps.so*'), None) for prefix in prefixes if prefix
    )


def keep_image_memory(environ: MutableMapping[str, str] = os.environ) -> bool:
    """
    Let glibc keep the memory of an image for the next one.

    Nothing is changed where the user set MALLOC_ variables, or without glibc.

    :return: whether it was done.
    """
    if any(name.startswith('MALLOC_') for name in environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        _M_MMAP_THRESHOLD: 32 * 2**20,  # the most that it takes
        _M_TRIM_THRESHOLD: 256 * 2**20,
        _M_TOP_PAD: 64 * 2**20,
        # With an arena a thread, what one detector's thread leaves free is of no use to the next
        # one's: two hundred configures took 20 to 50 MB more, and never the same.
        _M_ARENA_MAX: 1,
    }
    outcomes = [mallopt(option, value) for option, value in settings.items()]
    return all(outcomes)


def release_memory() -> bool:
    """
    Give memory that is free but kept back to the system.

    What :func:`keep_image_memory` keeps between images is no use after the last of them.

    :return: whether any was given back; False also without glibc.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False
