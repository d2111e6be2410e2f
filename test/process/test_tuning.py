# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the settings of a process that receives large images."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest
from trt_detector.process import tuning as dds

ROOT = Path(__file__).resolve().parents[2]


def test_user_settings_of_fast_dds_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    free: dict[str, str] = {}
    assert dds.use_shared_memory(free) == []
    assert free == {'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / 'fastdds_shm.xml')}
    for chosen in (
        {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'},
        {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'},
    ):
        environ = dict(chosen)
        assert dds.use_shared_memory(environ) == []
        assert environ == chosen
    (tmp_path / 'DEFAULT_FASTDDS_PROFILES.xml').touch()
    environ = {}
    assert dds.use_shared_memory(environ) == []
    assert environ == {}


def test_fast_dds_2_uses_the_old_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'lib').mkdir()
    (tmp_path / 'lib' / 'libfastrtps.so.2.6').touch()
    environ = {'AMENT_PREFIX_PATH': str(tmp_path)}
    dds.use_shared_memory(environ)
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' in environ
    assert 'FASTDDS_DEFAULT_PROFILES_FILE' not in environ


def test_small_shared_memory_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dds.shutil, 'disk_usage', lambda _path: type('Usage', (), {'free': 2**26}))
    environ: dict[str, str] = {}
    (note,) = dds.use_shared_memory(environ)
    assert '64 MiB free of the 256 MiB needed' in note
    assert '--shm-size' in note
    assert environ == {}


def test_user_settings_of_malloc_are_kept() -> None:
    # In a process of its own: it cannot be taken back.
    code = (
        'from trt_detector.process.tuning import keep_image_memory as keep;'
        "print(keep({'MALLOC_ARENA_MAX': '1'}), keep({}))"
    )
    finished = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    glibc = 'glibc' in os.confstr('CS_GNU_LIBC_VERSION') if os.name == 'posix' else False
    assert finished.stdout.split() == ['False', str(glibc)]


def test_camera_settings_name_what_works_with_the_node_as_it_is() -> None:
    text = dds.describe_camera_settings({})
    assert f'FASTDDS_DEFAULT_PROFILES_FILE={ROOT / "config" / "fastdds_shm.xml"}' in text
    # A camera with LARGE_DATA is not matched by the node, see docs/cameras.md.
    assert 'LARGE_DATA' not in text
    other = dds.describe_camera_settings({'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'})
    assert 'FASTDDS' not in other
    assert 'docs/cameras.md' in other
    assert 'publish reliable' in text
    for environ in ({}, {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}):
        assert 'publish reliable' not in dds.describe_camera_settings(environ, is_reliable=True)
