# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the options of decoding."""

from __future__ import annotations

import numpy as np
import pytest
from trt_detector.decode import DecodeOptions


@pytest.mark.parametrize('dtype', [np.int32, np.int64, np.float32])
def test_every_class_of_the_map_is_mapped_and_no_other(dtype: type) -> None:
    options = DecodeOptions(class_map=(2, 0, 1))
    given = np.array([-1, 0, 1, 2, 3, 0], dtype)
    assert options.map_classes(given).tolist() == [-1, 2, 0, 1, 3, 2]
    assert given.tolist() == [-1, 0, 1, 2, 3, 0]
