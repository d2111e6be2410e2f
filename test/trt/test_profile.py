# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of the optimization profile."""

from __future__ import annotations

import numpy as np
import pytest
from trt_detector.errors import ConfigError
from trt_detector.trt.profile import profile_shapes, ProfileShapes
from trt_detector.values.tensor_spec import TensorSpec


def spec(*shape: int | None) -> TensorSpec:
    return TensorSpec('images', shape, np.dtype(np.float32))


CASES = {
    'fixed': (spec(2, 3, 64, 96), {}, [(2, 3, 64, 96)] * 3),
    'dynamic batch': (
        spec(None, 3, 64, 96), {}, [(1, 3, 64, 96), (4, 3, 64, 96), (4, 3, 64, 96)]
    ),
    'nothing is said: 640x640, and up to 1280x1280': (
        spec(None, 3, None, None), {},
        [(1, 3, 640, 640), (4, 3, 640, 640), (4, 3, 1280, 1280)],
    ),
    "the model's own size": (
        spec(1, 3, None, None), {'size': (320, 640)}, [(1, 3, 320, 640)] * 3
    ),
    'channels last': (
        spec(None, None, None, 3), {'size': (8, 16)},
        [(1, 8, 16, 3), (4, 8, 16, 3), (4, 8, 16, 3)],
    ),
    'only the optimum': (
        spec(None, 3, None, None), {'opt_shape': (2, 3, 480, 640)},
        [(1, 3, 480, 640), (2, 3, 480, 640), (4, 3, 480, 640)],
    ),
    'only the largest': (
        spec(None, 3, None, None), {'max_shape': (2, 3, 480, 640)},
        [(1, 3, 480, 640), (2, 3, 480, 640), (2, 3, 480, 640)],
    ),
    'all three': (
        spec(None, 3, None, None),
        {'min_shape': (1, 3, 32, 32), 'opt_shape': (2, 3, 64, 64), 'max_shape': (8, 3, 96, 96)},
        [(1, 3, 32, 32), (2, 3, 64, 64), (8, 3, 96, 96)],
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', CASES)
def test_profile(name: str) -> None:
    tensor, given, expected = CASES[name]
    assert profile_shapes(tensor, 4, **given) == ProfileShapes(*expected)


def test_a_shape_that_contradicts_the_model_is_refused_with_both() -> None:
    with pytest.raises(ConfigError, match=r'opt_shape is \[1, 3, 64, 65\].*\[\?, 3, 64, 64\]'):
        profile_shapes(spec(None, 3, 64, 64), 4, opt_shape=(1, 3, 64, 65))


def test_an_input_that_is_no_image_is_refused() -> None:
    with pytest.raises(ConfigError, match='2 dimensions'):
        profile_shapes(spec(1, 10), 4)


def test_an_optimum_beside_the_ends_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'opt_shape \[1, 3, 96, 96\] is not within.*; set each'):
        profile_shapes(
            spec(1, 3, None, None), 1, opt_shape=(1, 3, 96, 96), max_shape=(1, 3, 64, 64)
        )
