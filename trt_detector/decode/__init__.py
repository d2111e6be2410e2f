# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""From a network's raw outputs to detections in pixels of its input."""

from __future__ import annotations

from .head import DecodeOptions, Head
from .registry import known_layouts, recognize_head

__all__ = ['DecodeOptions', 'Head', 'known_layouts', 'recognize_head']
