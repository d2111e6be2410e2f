# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Composition root: make a detector from parameters."""

from __future__ import annotations

from ..model_setup import decode_options
from .create import create_detector, watch_device

__all__ = ['create_detector', 'decode_options', 'watch_device']
