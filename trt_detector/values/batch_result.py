# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What comes of a batch, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .detections import Detections

__all__ = ['BatchResult', 'StageTimes']


@dataclass(frozen=True, slots=True)
class StageTimes:
    """
    How long the stages of one batch took, in milliseconds.

    Where the engine works beside the host, infer_ms runs from the start of the batch to the
    moment when its outputs were asked for and there.
    """

    preprocess_ms: float
    infer_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """
    What was found in a batch.

    :param detections: one an image in the order of the images, boxes in the image's own pixels.
    :param times: of the whole batch.
    :param device_ms: milliseconds by stage as the device measured them, see
        :meth:`.pipeline.Detector.time_stages`.
    """

    detections: tuple[Detections, ...]
    times: StageTimes
    device_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def invalid(self) -> int:
        """Return how many candidates were left out because they were NaN or infinite."""
        return sum(found.invalid for found in self.detections)
