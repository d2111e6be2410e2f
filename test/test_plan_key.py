# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Plan keys: file names, identity, and what each field says when it differs."""

from __future__ import annotations

import json

from plan_support import make_device, make_key, sha
import pytest
from trt_detector.errors import PlanError
from trt_detector.plan import get_engine_filename, PlanKey

# One other value for each field of a key.
CHANGES = {
    'model_name': make_key(model_name='yolov8s'),
    'model_sha256': make_key(model_sha256=sha('another model')),
    'flavour': make_key(flavour='tensorrt_rtx'),
    'version': make_key(version='10.16.1'),
    'device.name': make_key(device=make_device(name='Orin NX')),
    'device.compute_capability': make_key(device=make_device(compute_capability=(11, 0))),
    'device.sm_count': make_key(device=make_device(sm_count=8)),
    'device.total_memory_bytes': make_key(device=make_device(total_memory_bytes=2**33)),
    'precision': make_key(precision='fp32'),
    'min_shape': make_key(min_shape=(1, 3, 320, 320)),
    'opt_shape': make_key(opt_shape=(4, 3, 640, 640)),
    'max_shape': make_key(max_shape=(8, 3, 640, 640)),
    'calib_cache_sha256': make_key(calib_cache_sha256=sha('cache')),
    'flags': make_key(flags=('workspace_fraction=0.5',)),
    'plugin_sha256': make_key(plugin_sha256=(sha('plugin'),)),
    'package_version': make_key(package_version='0.2.0'),
}


@pytest.mark.parametrize(
    ('int8', 'expected'),
    [
        (False, 'yolov8n.cc_8.7_sm_16.engine'),
        (True, 'yolov8n.cc_8.7_sm_16.int8.engine'),
    ],
)
def test_file_name(int8: bool, expected: str) -> None:
    assert get_engine_filename('yolov8n', (8, 7), 16, int8=int8) == expected
    key = make_key(precision='int8' if int8 else 'fp32')
    assert key.filename == expected


@pytest.mark.parametrize('name', ['', '.', '..', 'a/b', 'a\\b', 'a\0b', '../../etc/x'])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(PlanError, match='model name'):
        get_engine_filename(name, (8, 7), 16, int8=False)


def test_the_table_changes_every_field() -> None:
    assert set(CHANGES) == set(make_key().to_json())


@pytest.mark.parametrize('field', CHANGES)
def test_each_field_changes_the_digest_and_is_named(field: str) -> None:
    key, changed = make_key(), CHANGES[field]
    assert key.digest != changed.digest
    (phrase,) = key.differences(changed)
    assert field in phrase
    assert ' was ' in phrase
    assert ', is ' in phrase


def test_a_difference_reads_as_people_say_it() -> None:
    (phrase,) = make_key().differences(make_key(version='10.16.1'))
    assert phrase == 'TensorRT version was 10.3.0, is 10.16.1'
    (phrase,) = make_key().differences(CHANGES['max_shape'])
    assert phrase == 'max_shape was [4, 3, 640, 640], is [8, 3, 640, 640]'
    (phrase,) = make_key().differences(CHANGES['calib_cache_sha256'])
    assert phrase == f'calib_cache_sha256 was none, is {sha("cache")[:12]}'


@pytest.mark.parametrize('field', CHANGES)
def test_json_round_trip(field: str) -> None:
    key = CHANGES[field]
    assert PlanKey.from_json(json.loads(json.dumps(key.to_json()))) == key


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('model_sha256', 'abc'),
        ('calib_cache_sha256', 'xyz'),
        ('plugin_sha256', ['xyz']),
        ('flavour', 'onnxruntime'),
        ('precision', 'auto'),
        ('device.sm_count', '16'),
        ('device.sm_count', True),
        ('device.compute_capability', [8]),
        ('min_shape', '1x3'),
        ('min_shape', [1.0, 3, 640, 640]),
        ('flags', 'one'),
        ('version', None),
    ],
)
def test_a_mistyped_field_is_refused_by_name(field: str, value: object) -> None:
    values = {**make_key().to_json(), field: value}
    with pytest.raises(PlanError, match=field.split('[')[0]):
        PlanKey.from_json(values)


def test_a_missing_and_an_unknown_field_are_named() -> None:
    values = make_key().to_json()
    del values['version']
    values['colour'] = 'red'
    with pytest.raises(PlanError, match=r'colour.*version'):
        PlanKey.from_json(values)
