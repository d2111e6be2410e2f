# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Manifests: strict parsing and differences."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from support.plans import make_key, sha
from trt_detector.errors import PlanError
from trt_detector.plan import Manifest


def make_manifest() -> Manifest:
    return Manifest(
        key=make_key(),
        plan_sha256=sha('plan'),
        plan_bytes=4096,
        built_precision='fp16',
        layer_precision='70 fp16',
        created='2026-11-20T10:00:00+00:00',
        build_seconds=12.5,
        details={'layers': '77'},
    )


def values_of(manifest: Manifest) -> dict[str, Any]:
    return dict(json.loads(manifest.to_bytes()))


def test_round_trip() -> None:
    manifest = make_manifest()
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_differences_name_the_field_with_both_values() -> None:
    phrases = make_manifest().key.differences(make_key(version='10.16.1', precision='fp32'))
    assert phrases == (
        'TensorRT version was 10.3.0, is 10.16.1',
        'precision was fp16, is fp32',
    )
    assert make_manifest().key.differences(make_key()) == ()


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('format', 1),
        ('format', True),
        ('plan_sha256', 'short'),
        ('plan_bytes', 0),
        ('plan_bytes', 12.0),
        ('built_precision', 'fp8'),
        ('layer_precision', None),
        ('created', 7),
        ('build_seconds', -1),
        ('build_seconds', 'long'),
        ('details', {'layers': 77}),
        ('details', []),
        ('device.sm_count', None),
    ],
)
def test_a_mistyped_field_is_named(field: str, value: object) -> None:
    values = {**values_of(make_manifest()), field: value}
    with pytest.raises(PlanError, match=field):
        Manifest.from_bytes(json.dumps(values).encode())


@pytest.mark.parametrize('field', sorted(values_of(make_manifest())))
def test_a_missing_field_is_refused(field: str) -> None:
    values = values_of(make_manifest())
    del values[field]
    with pytest.raises(PlanError, match=field):
        Manifest.from_bytes(json.dumps(values).encode())


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'{',
        b'[]',
        b'null',
        b'\xff\xfe',
        b'[' * 100_000,
        b'{"format": 1, "format": 1}',
        b'{"build_seconds": NaN}',
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(PlanError):
        Manifest.from_bytes(data)


def test_every_truncation_is_refused() -> None:
    data = make_manifest().to_bytes().rstrip()
    for end in range(len(data)):
        with pytest.raises(PlanError):
            Manifest.from_bytes(data[:end])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_byte_is_refused_or_reads_as_a_valid_manifest(data: st.DataObject) -> None:
    changed = bytearray(make_manifest().to_bytes())
    index = data.draw(st.integers(0, len(changed) - 1))
    changed[index] = data.draw(st.integers(0, 255))
    try:
        read = Manifest.from_bytes(bytes(changed))
    except PlanError:
        return
    assert Manifest.from_bytes(read.to_bytes()) == read
