# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers of the cameras of a node, and the detections that they publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import time
import traceback

import numpy as np

from ..decode import DecodeOptions
from ..values.detections import Detections
from .parameters import TrackerParameters
from .tracker import Tracker, TrackerThresholds

__all__ = ['CameraTracks']

_LOG_PERIOD_S = 5.0


@dataclass(slots=True)
class _Camera:
    """
    Tracker of one camera, and its last image.

    :param topic: image topic, for the log.
    :param stamp_s: stamp of the last image, None before the first.
    :param size_wh: its width and height in pixels.
    :param logged_s: time.monotonic() of the last line of the log.
    """

    topic: str
    tracker: Tracker
    stamp_s: float | None = None
    size_wh: tuple[int, int] = (0, 0)
    logged_s: float = -_LOG_PERIOD_S


class CameraTracks:
    """
    One tracker per camera.

    The inference thread calls :meth:`update`; any thread may call :meth:`set_options`.

    :param topics: image topics of the cameras.
    :param warn: called with a sentence about each reset, at most once in 5 s per camera.
    :param fail: called with a sentence about each tracker that failed.
    :raises ConfigError: if SciPy is not installed.
    """

    def __init__(
        self, topics: Sequence[str], warn: Callable[[str], None], fail: Callable[[str], None]
    ) -> None:
        self._cameras = [_Camera(topic, Tracker()) for topic in topics]
        self._warn, self._fail = warn, fail
        self._options = DecodeOptions()

    def set_options(self, parameters: TrackerParameters, options: DecodeOptions) -> DecodeOptions:
        """
        Set thresholds, also while images are tracked.

        :param options: selection of the detections to publish.
        :return: selection of the detections to decode: the tracker needs lower scores.
        """
        self._options = options
        thresholds = TrackerThresholds(
            high=parameters.track_thresh,
            low=parameters.track_low_thresh,
            match=parameters.match_thresh,
            buffer_s=parameters.track_buffer,
        )
        for camera in self._cameras:
            camera.tracker.thresholds = thresholds
        return options.lower_to(thresholds.low)

    def reset(self) -> None:
        """Forget all tracks; no image may be in progress."""
        for camera in self._cameras:
            camera.stamp_s = None
            camera.tracker.reset()

    def update(
        self, number: int, detections: Detections, stamp_s: float, size_wh: tuple[int, int]
    ) -> Detections:
        """
        Track the detections of one image; never raises.

        :param number: index of the camera.
        :param detections: decoded with the options of :meth:`set_options`.
        :param stamp_s: stamp of the image in seconds.
        :param size_wh: width and height of the image.
        :return: the detections to publish, with track ids: those with the minimum score of their
            class, and those below it that continue a track.
        """
        camera = self._cameras[number]
        wanted = self._options.has_minimum_score(detections.scores, detections.class_ids)
        try:
            self._reset_if_needed(camera, stamp_s, size_wh)
            ids = camera.tracker.update(detections, stamp_s, wanted)
        except Exception:  # noqa: BLE001 logged; a tracker never costs a detection
            camera.tracker.reset()
            self._fail(f'the tracker of {camera.topic} failed:\n{traceback.format_exc()}')
            ids = np.zeros(len(detections), np.int64)
        tracked = replace(detections, track_ids=ids)
        wanted |= ids > 0
        return tracked if wanted.all() else tracked.select(wanted)

    def _reset_if_needed(self, camera: _Camera, stamp_s: float, size_wh: tuple[int, int]) -> None:
        """Reset the tracker of a camera if its tracks cannot go on in an image."""
        last_s, last_wh = camera.stamp_s, camera.size_wh
        camera.stamp_s, camera.size_wh = stamp_s, size_wh
        if last_s is None:
            return
        step_s, buffer_s = stamp_s - last_s, camera.tracker.thresholds.buffer_s
        if step_s < 0:
            reason = f'the stamps went back by {-step_s:.3f} s'
        elif size_wh != last_wh:
            sizes = [f'{width}x{height}' for width, height in (last_wh, size_wh)]
            reason = f'the size of the images changed from {sizes[0]} to {sizes[1]}'
        elif step_s > buffer_s and len(camera.tracker):
            reason = f'{step_s:.3f} s passed between two images, track_buffer is {buffer_s:g} s'
        else:
            return
        camera.tracker.reset()
        now_s = time.monotonic()
        if now_s - camera.logged_s >= _LOG_PERIOD_S:
            camera.logged_s = now_s
            self._warn(f'the tracks of {camera.topic} start again: {reason}')
