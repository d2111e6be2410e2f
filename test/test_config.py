# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters and their checks."""

from __future__ import annotations

from typing import Any

import pytest
from trt_detector.config import DetectorConfig, parameter_specs
from trt_detector.errors import ConfigError


def test_every_default_is_allowed() -> None:
    config = DetectorConfig()
    for spec in parameter_specs():
        assert getattr(config, spec.name) == spec.default
        assert spec.meaning.endswith('.')


def test_lists_become_tuples_and_integers_become_floats() -> None:
    config = DetectorConfig.from_mapping({'classes': ['a', 'b'], 'score_threshold': 1})
    assert config.classes == ('a', 'b')
    assert isinstance(config.score_threshold, float)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'score_threshold': 1.5}, 'score_threshold is 1.5; expected 0 to 1'),
        ({'score_threshold': float('nan')}, 'score_threshold is nan; expected 0 to 1'),
        ({'max_detections': 0}, 'max_detections is 0; expected 1 to'),
        ({'max_image_pixels': 0}, 'max_image_pixels is 0; expected 1 to 2000000000 pixels$'),
        ({'diagnostics_period': 0.0}, 'expected 0.1 to 60 s'),
        ({'backend': 'cuda'}, "backend is 'cuda'; expected one of auto, tensorrt"),
        ({'batch_size': 2.0}, 'batch_size is 2.0; expected an integer'),
        ({'batch_size': True}, 'batch_size is True; expected an integer'),
        ({'autostart': 1}, 'autostart is 1; expected true or false'),
        (
            {'image_topics': '/cam'},
            r"image_topics is '/cam'; expected a list of strings, e.g. image_topics: \['/cam'\]$",
        ),
        (
            {'image_topics': '[/a, "b"]'},
            r"expected a list of strings, e.g. image_topics: \['/a', 'b'\]$",
        ),
        (
            {'regions': 'include 0,0 1,0 1,1'},
            r"expected a list of strings, e.g. regions: \['include 0,0 1,0 1,1'\]$",
        ),
        ({'image_topics': 5}, r'image_topics is 5; expected a list of strings$'),
        ({'anchors': ['wide']}, "anchors holds 'wide'; expected a list of numbers$"),
        ({'image_topics': []}, 'image_topics is empty'),
        ({'image_topics': ['']}, 'image_topics holds an empty string'),
        ({'image_topics': ['a', 'a']}, r"image_topics names \['a'\] more than once"),
        ({'min_shape': [1, 3, 64]}, r'min_shape is \[1, 3, 64\]; expected four numbers'),
        (
            {'min_shape': [2, 3, 64, 64], 'max_shape': [1, 3, 64, 64]},
            'no dimension of min_shape may exceed that of max_shape',
        ),
        ({'scor_threshold': 0.1}, "unknown parameter 'scor_threshold'; did you mean 'score_thr"),
    ],
)
def test_bad_values_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DetectorConfig.from_mapping(values)


def test_changes_are_checked_as_a_whole() -> None:
    config = DetectorConfig(min_shape=(1, 3, 64, 64))
    with pytest.raises(ConfigError, match='max_shape'):
        config.with_changes(max_shape=(1, 3, 32, 32))
    assert config.with_changes(score_threshold=0.5).min_shape == (1, 3, 64, 64)


@pytest.mark.parametrize(('given', 'kept'), [('on', 'on'), (True, 'on'), (False, 'off')])
def test_on_and_off_may_come_as_switches_which_they_are_in_yaml(given: Any, kept: str) -> None:
    assert DetectorConfig.from_mapping({'mapped_memory': given}).mapped_memory == kept
    with pytest.raises(ConfigError, match='expected a string'):
        DetectorConfig.from_mapping({'backend': given is True})
    with pytest.raises(ConfigError, match='mapped_memory is .*expected one of auto, on, off'):
        DetectorConfig(mapped_memory='yes')


def test_all_errors_are_named_at_once() -> None:
    values = {'score_threshold': 1.5, 'scor': 1, 'backend': 'cuda', 'image_topics': 'image'}
    with pytest.raises(ConfigError) as caught:
        DetectorConfig.from_mapping(values)
    text = str(caught.value)
    assert text.startswith("4 errors in parameters: (1) unknown parameter 'scor'")
    for part in ('score_threshold is 1.5', "backend is 'cuda'", "image_topics is 'image'"):
        assert part in text


def test_contradictions_are_named_at_once() -> None:
    with pytest.raises(
        ConfigError, match=r'2 errors in parameters: \(1\) min_shape .* \(2\) image_'
    ):
        DetectorConfig(min_shape=(1, 3, 64), image_topics=())
