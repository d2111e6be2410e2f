# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the tracker."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..parameter_spec import parameter

__all__ = ['TrackerParameters']


@dataclass(frozen=True, kw_only=True)
class TrackerParameters:
    """Group of parameters of :class:`trt_detector.config.DetectorConfig`, which has the slots."""

    __slots__ = ()

    tracker: str = parameter(
        'none',
        'Tracker of each camera: bytetrack gives an object the same id in every image '
        '(Detection2D.id); needs SciPy.',
        choices=('none', 'bytetrack'),
    )
    track_thresh: float = parameter(
        0.5,
        'Minimum score of the first association. A track starts at a detection with this score '
        'and the minimum score of its class.',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    track_low_thresh: float = parameter(
        0.1,
        'Minimum score of the second association, which continues tracks that the first one did '
        'not. If a tracker is on, the model is decoded down to it: published are the detections '
        'with score_threshold, and those below it that continue a track.',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    match_thresh: float = parameter(
        0.9,
        'Maximum distance, 1 - IoU, between a track and a detection in the first association.',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    track_buffer: float = parameter(
        1.0,
        'Time that a track without detections is kept, by the stamps of the images.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
        live=True,
    )

    def _check_tracker(self) -> None:
        """Refuse a low threshold above the high one."""
        if self.track_low_thresh > self.track_thresh:
            raise ConfigError(
                f'track_low_thresh is {self.track_low_thresh:g} and track_thresh is '
                f'{self.track_thresh:g}; expected track_low_thresh not above track_thresh'
            )
