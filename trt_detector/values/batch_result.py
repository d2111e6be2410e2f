# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Result of one batch, with its stage times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .detections import Detections

__all__ = ['BatchResult', 'StageTimes']


@dataclass(frozen=True, slots=True)
class StageTimes:
    """
    Duration of the stages of one batch in milliseconds.

    If the engine runs asynchronously, infer_ms lasts from the start of the batch until its
    outputs have been requested and are available.
    """

    preprocess_ms: float
    infer_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """
    Detections in a batch of images.

    :param detections: one entry per image, in the order of the images, boxes in pixels of the
        original image.
    :param times: of the whole batch.
    :param device_ms: milliseconds per stage, measured by the device, see
        :meth:`.pipeline.Detector.time_stages`.
    """

    detections: tuple[Detections, ...]
    times: StageTimes
    device_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def invalid(self) -> int:
        """Number of non-finite candidates, which are not among the detections."""
        return sum(found.invalid for found in self.detections)
