# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Plugins that TensorRT cannot register."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

from doubles.machine import machine
import pytest
from trt_detector.errors import BackendUnavailableError
from trt_detector.trt.library import load_library
from trt_detector.trt.plugins import load_plugins


def test_plugins_of_tensorrt_that_do_not_register_are_reported() -> None:
    refused = pytest.raises(BackendUnavailableError, match='cannot register its plugins')
    with machine('tensorrt-10.3', registers_plugins=False), refused:
        load_plugins(load_library('tensorrt'), None, ())


def test_a_library_that_tensorrt_registers_nothing_of_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = SimpleNamespace(getPluginCreators=None)
    monkeypatch.setattr(ctypes, 'CDLL', lambda *_, **__: library)
    with machine('tensorrt-10.3') as world:
        trt = load_library('tensorrt')
        load_plugins(trt, None, ['/lib/good.so'])
        assert world.plugins == {'library /lib/good.so'}
        monkeypatch.setattr(trt.trt, 'init_libnvinfer_plugins', lambda *_: True)
        world.registers_plugins = False
        # It may have registered its plugins itself, after which NVIDIA's function returns nothing.
        load_plugins(trt, None, ['/lib/bad.so'])
        assert 'TensorRT 10.3.0 registers no plugin of /lib/bad.so' in caplog.text
