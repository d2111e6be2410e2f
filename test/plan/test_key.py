# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Plan keys: file names, identity, and what each field says when it differs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support.plans import CHANGES, make_key, sha
from trt_detector.errors import PlanError
from trt_detector.plan import get_engine_filename, PlanKey


# One other value for each field of a key.
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
    with pytest.raises(PlanError, match='model name'):
        make_key(model_name=name)


def test_the_digest_is_that_of_the_sorted_fields() -> None:
    # If it changes, every stored plan is built again.
    text = (
        f'{{"build_recipe":1,"calib_cache_sha256":"","device.compute_capability":[8,7],'
        f'"device.name":"Orin","device.sm_count":16,"flags":["workspace_fraction=0.9"],'
        f'"library":"tensorrt","max_shape":[4,3,640,640],"min_shape":[1,3,640,640],'
        f'"model_name":"yolov8n","model_sha256":"{sha("model")}","opt_shape":[1,3,640,640],'
        f'"plugin_sha256":[],"precision":"fp16","version":"10.3.0"}}'
    )
    assert make_key().digest == sha(text)


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
    (phrase,) = make_key(build_recipe=1).differences(make_key(build_recipe=2))
    assert phrase == 'build_recipe of trt_detector was 1, is 2'
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
        ('library', 'onnxruntime'),
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
    values['color'] = 'red'
    with pytest.raises(PlanError, match=r'color.*version'):
        PlanKey.from_json(values)
    with pytest.raises(PlanError, match=r"the fields \['color'\] of"):
        PlanKey.from_json({**make_key().to_json(), 'color': 'red'})
    del values['color']
    with pytest.raises(PlanError, match=r"the fields \['version'\] of"):
        PlanKey.from_json(values)


@pytest.mark.parametrize(
    ('changes', 'field'),
    [
        ({'model_sha256': sha('model').upper()}, 'model_sha256'),
        ({'calib_cache_sha256': '0'}, 'calib_cache_sha256'),
        ({'plugin_sha256': (sha('plugin'), 'no hash')}, 'plugin_sha256[1]'),
    ],
)
def test_a_hash_that_is_none_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(PlanError, match=f'^{re.escape(field)} is '):
        make_key(**changes)
