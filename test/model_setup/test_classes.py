# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Messages about class filters that name no class."""

from __future__ import annotations

import pytest
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError
from trt_detector.model_setup import decode_options


@pytest.mark.parametrize('wanted', ['PERSON', ' person', 'Person '])
def test_a_name_in_other_case_or_with_spaces_is_refused_with_the_right_one(wanted: str) -> None:
    with pytest.raises(ConfigError, match=r"; the name is 'person'$"):
        decode_options(DetectorConfig(model_path='m', classes=(wanted,)), ('lamp', 'person'))


def test_the_names_of_many_classes_are_cut_with_their_number() -> None:
    names = tuple(f'kind {number}' for number in range(600))
    with pytest.raises(ConfigError) as caught:
        decode_options(DetectorConfig(model_path='m', classes=('zebra',)), names)
    text = str(caught.value)
    assert 'kind 0, kind 1,' in text
    assert text.endswith(', ... (600 names)')
    assert len(text) < 400
