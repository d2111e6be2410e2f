# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Decode a network's raw outputs to detections in pixels of its input."""

from __future__ import annotations

from .graph_info import GraphInfo
from .head import CandidateHead, DecodeOptions, Evidence, Head
from .recognize import recognize, Recognized
from .sanity import SanityCheck

__all__ = [
    'CandidateHead',
    'DecodeOptions',
    'Evidence',
    'GraphInfo',
    'Head',
    'Recognized',
    'SanityCheck',
    'recognize',
]
