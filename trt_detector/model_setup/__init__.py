# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Setup of a model: its parameters, its metadata and the files beside it, for any runtime."""

from __future__ import annotations

from .class_map import map_classes
from .classes import decode_options
from .description import describe_detector
from .setup import given_metadata, ModelSetup

__all__ = [
    'ModelSetup',
    'decode_options',
    'describe_detector',
    'given_metadata',
    'map_classes',
]
