# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Which TensorRT there is and what it can do."""

from __future__ import annotations

from pathlib import Path
import sys

from doubles.api_records import load_record, PERSONALITIES
from doubles.machine import GPU, machine
import pytest
from trt_detector.errors import BackendUnavailableError
from trt_detector.gpu.device_info import read_device
from trt_detector.trt.library import find_library, load_library


@pytest.mark.parametrize('personality', PERSONALITIES)
def test_abilities_follow_the_recorded_api(personality: str) -> None:
    record = load_record(personality)
    with machine(personality):
        library = load_library(record.module)
        assert library.version == record.version
        assert library.has_precision_flags == record.has('BuilderFlag', 'FP16')
        assert library.has_precision_flags == record.has('ILayer', 'precision')
        assert library.has_precision_flags == record.has('IBuilderConfig', 'int8_calibrator')
        assert library.has_calibrator == ('IInt8EntropyCalibrator2' in record.classes)
        assert library.has_calibrator == record.has('IBuilderConfig', 'set_calibration_profile')
        assert library.has_progress_monitor == record.has('IBuilderConfig', 'progress_monitor')
        assert library.has_target_setting == record.has('IBuilderConfig', 'set_compute_capability')
        if library.has_plugins:
            assert 'init_libnvinfer_plugins' in record.functions
            assert record.has('IPluginRegistry', 'load_library')


@pytest.mark.parametrize(
    ('personality', 'number'),
    [
        ('tensorrt-8.6', 8601),
        ('tensorrt-10.3', 100300),
        ('tensorrt-10.13', 101303),
        ('tensorrt-10.16', 101601),
    ],
)
def test_cache_version_is_written_as_tensorrt_writes_it(personality: str, number: int) -> None:
    with machine(personality):
        assert load_library('tensorrt').cache_version == number


def test_explicit_batch_is_asked_for_where_it_must_be_only() -> None:
    with machine('tensorrt-8.6') as world:
        bit = load_record('tensorrt-8.6').classes['NetworkDefinitionCreationFlag'][
            'EXPLICIT_BATCH'
        ]
        assert load_library('tensorrt').network_flags() == 1 << bit
        assert world.record.version.startswith('8.6')
    for personality in PERSONALITIES[1:]:
        with machine(personality) as world:
            assert load_library(world.record.module).network_flags() == 0


def test_missing_library_says_what_to_install() -> None:
    with machine(None):
        with pytest.raises(BackendUnavailableError, match='sudo apt install nvidia-jetpack'):
            load_library('tensorrt')
        with pytest.raises(BackendUnavailableError, match='pip install tensorrt-rtx-cu13'):
            load_library('tensorrt_rtx')


@pytest.mark.parametrize(
    ('code', 'said'),
    [
        ('raise OSError("libnvdla_compiler.so: cannot open shared object file")', 'libnvdla'),
        ('raise ImportError("libnvinfer.so.10: cannot open")', 'libnvinfer'),
        ('', '__version__'),
    ],
)
def test_a_broken_library_is_reported_not_raised(
    code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'tensorrt.py').write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'tensorrt', raising=False)
    with pytest.raises(BackendUnavailableError, match=said):
        load_library('tensorrt')
    monkeypatch.delitem(sys.modules, 'tensorrt', raising=False)


def test_a_tensorrt_that_is_too_old_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'tensorrt.py').write_text('__version__ = "8.5.2.2"')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'tensorrt', raising=False)
    with pytest.raises(BackendUnavailableError, match=r'8\.5\.2\.2 is too old; 8\.6 or later'):
        load_library('tensorrt')
    monkeypatch.delitem(sys.modules, 'tensorrt', raising=False)


def test_an_enumerator_that_is_gone_is_named() -> None:
    with machine('tensorrt-11.4'):
        library = load_library('tensorrt')
        assert library.find('BuilderFlag', 'FP16') is None
        with pytest.raises(
            BackendUnavailableError, match=r'TensorRT 11\.4.* no BuilderFlag\.FP16'
        ):
            library.enum('BuilderFlag', 'FP16')


def test_auto_takes_tensorrt_before_rtx_and_lists_every_reason() -> None:
    with machine('tensorrt-10.3'):
        assert find_library('auto', read_device()).name == 'tensorrt'
    with machine('tensorrt_rtx-1.7'):
        assert find_library('auto', read_device()).name == 'tensorrt_rtx'
    jetson = {**GPU, 'name': 'Orin', 'cc': (8, 7)}
    refused = pytest.raises(BackendUnavailableError)
    with machine('tensorrt_rtx-1.7', gpus=[jetson]), refused as caught:
        find_library('auto', read_device())
    assert 'nvidia-jetpack' in str(caught.value)
    assert 'Orin has 8.7; set backend to tensorrt' in str(caught.value)
