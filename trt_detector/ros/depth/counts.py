# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Counts of messages and boxes since the node was configured."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ['DepthCounts']


@dataclass(slots=True)
class DepthCounts:
    """
    Counts; each detection array that was received is in one of the last four or waits.

    :param located: boxes with a 3D detection.
    :param no_depth: boxes without enough valid depths.
    :param outside: boxes outside the depth image.
    :param malformed: boxes without area or with non-finite numbers.
    :param jumps: number of times that stamps went back.
    :param published: arrays that were published.
    :param unmatched: arrays without a depth image within sync_tolerance.
    :param unstamped: arrays whose stamp is not set.
    :param refused: arrays whose depth image, CameraInfo or transform cannot be used.
    """

    located: int = 0
    no_depth: int = 0
    outside: int = 0
    malformed: int = 0
    jumps: int = 0
    published: int = 0
    unmatched: int = 0
    unstamped: int = 0
    refused: int = 0

    @property
    def done(self) -> int:
        """Arrays that were published or given up."""
        return self.published + self.unmatched + self.unstamped + self.refused
