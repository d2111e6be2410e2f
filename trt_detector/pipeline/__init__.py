# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detector: from images to detections, batch by batch."""

from __future__ import annotations

from .batch_runner import PendingBatch
from .detector import ChooseInputSize, Detector

__all__ = ['ChooseInputSize', 'Detector', 'PendingBatch']
