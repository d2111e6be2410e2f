# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detection on demand: pause, maximum rate and requests for single images."""

from __future__ import annotations

from .image_gate import ImageGate
from .parameters import DemandParameters
from .request import DetectRequest, RequestAnswer

__all__ = ['DemandParameters', 'DetectRequest', 'ImageGate', 'RequestAnswer']
