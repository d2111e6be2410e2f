# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Optimization profiles that TensorRT rejects, for real libraries and for doubles."""

from __future__ import annotations

import pytest
from trt_detector.errors import BuildError
from trt_detector.trt.builder.configuration import add_profile, create_builder_config
from trt_detector.trt.library import TensorRTLibrary
from trt_detector.trt.logger import LogLines, make_logger
from trt_detector.trt.profile import ProfileShapes
from trt_detector.trt.start import create_builder


def check_rejected_profiles(library: TensorRTLibrary) -> list[str]:
    """Add profiles that are rejected, each with its reason; return the errors."""
    lines = LogLines()
    builder = create_builder(library, make_logger(library, lines), lines)
    builder_config = create_builder_config(library, builder, lines)
    errors = []
    for minimum in ((4, 3), (1,), (-1, 3)):
        reason = 'min is inconsistent' if minimum[0] < 0 else 'MIN<=OPT<=MAX'
        shapes = ProfileShapes(minimum, (2, 3), (3, 3))
        with pytest.raises(BuildError, match=reason) as caught:
            add_profile(library, builder, builder_config, lines, 'images', shapes)
        errors.append(str(caught.value))
    return errors
