# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Check that lets every detection pass, for outputs that no network writes."""

from __future__ import annotations

from trt_detector.decode import SanityCheck
from trt_detector.values.detections import Detections


class NoCheck(SanityCheck):
    """SanityCheck that refuses nothing and asks for no probe."""

    def __init__(self) -> None:
        super().__init__('any', None)

    def take_probe(self) -> bool:
        return False

    def check(self, detections: Detections, input_size: tuple[int, int]) -> None:
        """Accept the detections."""
