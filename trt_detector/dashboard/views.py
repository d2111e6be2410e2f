# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Values that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    'CameraView',
    'LogLine',
    'NodeView',
    'Notice',
    'Sample',
    'StageView',
    'Status',
    'TRANSITIONS',
]

#: Transitions that each lifecycle state allows.
TRANSITIONS: Mapping[str, tuple[str, ...]] = {
    'unconfigured': ('configure',),
    'inactive': ('activate', 'cleanup'),
    'active': ('deactivate',),
}


@dataclass(frozen=True, slots=True)
class Status:
    """
    One diagnostics status of a node.

    :param part: what it is about, e.g. 'device' or 'camera /image_raw'.
    :param level: 'ok', 'warn', 'error' or 'stale'.
    :param text: its sentence.
    :param values: its key-value pairs.
    """

    part: str
    level: str
    text: str
    values: Mapping[str, str]

    def number(self, key: str) -> float | None:
        """Read a number; None if the key is missing or its value is no number."""
        try:
            return float(self.values[key])
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class LogLine:
    """
    One line of the log of a node.

    :param stamp_s: time since the epoch in seconds.
    :param level: 'debug', 'info', 'warn', 'error' or 'fatal'.
    :param text: message.
    """

    stamp_s: float
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """
    Outcome of an action of a user.

    :param number: counts the notices of a node.
    :param is_error: the action failed.
    :param text: sentence.
    """

    number: int
    is_error: bool
    text: str


@dataclass(frozen=True, slots=True)
class StageView:
    """Percentiles of one stage in milliseconds."""

    name: str
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class CameraView:
    """
    One camera of a node.

    :param topic: topic of its images.
    :param picture: topic of its debug images, compressed; '' if there is none.
    :param level: level of its diagnostics status.
    :param text: sentence of its diagnostics status.
    :param received_hz: images per second that arrive.
    :param published_hz: images per second that are answered with detections.
    :param dropped_share: share of the images that were replaced by newer ones.
    :param lost: images lost in transit since configure.
    """

    topic: str
    picture: str
    level: str
    text: str
    received_hz: float
    published_hz: float
    dropped_share: float
    lost: int


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One point of the charts; None if there is no value.

    :param at_s: time.monotonic().
    :param p50_ms: median time from the reception of an image to its detections.
    :param p99_ms: 99th percentile of that.
    :param received_hz: images per second that arrive, all cameras together.
    :param published_hz: images per second that are answered with detections.
    :param dropped_hz: images per second that are replaced by newer ones.
    """

    at_s: float
    p50_ms: float | None
    p99_ms: float | None
    received_hz: float | None
    published_hz: float | None
    dropped_hz: float | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """
    One detector node as the page shows it.

    :param name: full name.
    :param condition: 'alive', 'waiting' for its first diagnostics, or 'dead'.
    :param silent_s: time since its last diagnostics in seconds.
    :param state: label of the lifecycle state; '' before the first diagnostics.
    :param statuses: its last diagnostics.
    :param requested: transition that was requested and not answered yet; '' if there is none.
    """

    name: str
    condition: str
    silent_s: float
    state: str
    statuses: tuple[Status, ...] = ()
    cameras: tuple[CameraView, ...] = ()
    stages: tuple[StageView, ...] = ()
    samples: tuple[Sample, ...] = ()
    log: tuple[LogLine, ...] = ()
    notices: tuple[Notice, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    requested: str = ''

    def status(self, part: str) -> Status | None:
        """Find the status of a part; None if there is none."""
        return next((status for status in self.statuses if status.part == part), None)

    @property
    def transitions(self) -> tuple[str, ...]:
        """Transitions that can be requested now."""
        if self.condition != 'alive' or self.requested:
            return ()
        return TRANSITIONS.get(self.state, ())
