# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Judge one camera for /diagnostics and the log."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import time

from rclpy.node import Node

from ...process.tuning import describe_camera_settings
from ..session import DetectionSession
from .silence import explain_silence
from .statistics import CameraCounts

__all__ = ['CameraDiagnostics', 'CameraStatus']

# Shares of lost and dropped images are those of this time.
_WINDOW_S = 10.0
_LOSS_SHARE = 0.05
_DROP_SHARE = 0.1
_MINIMUM_LOST = 2
_STAMP_LIMIT_S = 10.0
_LOG_PERIOD_S = 30.0


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """
    Status of one camera.

    :param level: 'ok', 'warn' or 'error'.
    :param text: sentence for people.
    :param values: key-value pairs.
    :param is_silent: no image has arrived for longer than image_timeout.
    """

    level: str
    text: str
    values: dict[str, str]
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class _Sample:
    """Counts of a camera at one time."""

    at_s: float
    counts: CameraCounts
    lost: int


class CameraDiagnostics:
    """
    Status of one camera, with rates since the previous status.

    :param node: looks at the graph, and logs.
    :param session: resources of the configured node.
    :param number: index of the camera.
    """

    def __init__(self, node: Node, session: DetectionSession, number: int) -> None:
        self._node = node
        self._session = session
        self._number = number
        self._samples = deque([_Sample(session.opened_s, CameraCounts(), 0)])
        self._logged_s: dict[str, float] = {}

    def make_status(self) -> CameraStatus:
        """Create the status; it covers the time since the last call."""
        session, number = self._session, self._number
        subscription = session.subscriptions[number]
        now = _Sample(time.monotonic(), session.statistics.counts(number), subscription.loss.lost)
        last, first = self._samples[-1], self._samples[0]
        self._samples.append(now)
        while now.at_s - self._samples[1].at_s > _WINDOW_S:
            self._samples.popleft()
        rate = (now.counts.received - last.counts.received) / max(now.at_s - last.at_s, 1e-3)
        age_ms = session.statistics.age_percentiles_ms(number)
        values = {
            'images per second': f'{rate:.1f}',
            'received': str(now.counts.received),
            'published': str(now.counts.published),
            'dropped': str(now.counts.dropped),
            'dropped, by pause or rate': str(now.counts.skipped),
            'malformed': str(now.counts.malformed),
            'failed': str(now.counts.failed),
            'empty, not published': str(now.counts.withheld),
            'lost': str(now.lost),
            'lost, counted by': subscription.loss.method,
            'invalid candidates': str(now.counts.invalid),
            'reliability': subscription.reliability.name.lower(),
            'reliability chosen because': subscription.reason,
        }
        if subscription.users > 1:
            values['image shared with'] = f'{subscription.users} detectors of this process'
        if age_ms is not None:
            values |= {'age ms p50': f'{age_ms[0]:.2f}', 'age ms p99': f'{age_ms[1]:.2f}'}
        started_s = session.started_s
        if started_s is None:
            return CameraStatus('ok', 'not subscribed', values)
        if subscription.entity is None and session.config.lazy:
            return CameraStatus('ok', 'not subscribed: lazy is true, no subscriber', values)
        silent_s = now.at_s - max(subscription.opened_s, now.counts.received_s or 0.0)
        is_silent = silent_s > session.config.image_timeout
        error = _describe_errors(now.counts, last.counts)
        if error is not None:
            return CameraStatus(*error, values, is_silent)
        if is_silent:
            text = f'no image for {silent_s:.0f} s: {explain_silence(self._node, subscription)}'
            if not session.config.enabled:
                text = f'paused; {text}'
            self._log('silence', text)
            return CameraStatus('warn', text, values, is_silent)
        return CameraStatus(*self._judge_images(rate, now, first), values)

    def _judge_images(self, rate: float, now: _Sample, first: _Sample) -> tuple[str, str]:
        """Judge lost images, stamps and dropped images."""
        text = f'{rate:.1f} images per second'
        if not self._session.config.enabled:
            return 'ok', f'paused, drops {text}: enabled is false'
        received = max(now.counts.received - first.counts.received, 1)
        lost = now.lost - first.lost
        if lost >= _MINIMUM_LOST and lost / (received + lost) > _LOSS_SHARE:
            is_reliable = self._session.subscriptions[self._number].is_reliable
            text = (
                f'{lost} of {received + lost} images were lost in transit; '
                f'{describe_camera_settings(is_reliable=is_reliable)}'
            )
            self._log('loss', text)
            return 'warn', text
        if stamps := self._describe_stamps(now.counts.unstamped - first.counts.unstamped):
            self._log('stamps', stamps)
            return 'warn', stamps
        skipped = now.counts.skipped - first.counts.skipped
        share = (now.counts.dropped - first.counts.dropped - skipped) / max(received - skipped, 1)
        if share > _DROP_SHARE:
            text += f', {share:.0%} dropped: the detector is slower than the camera'
        return 'ok', text

    def _describe_stamps(self, unstamped: int) -> str:
        """Describe stamps that are not set or far from the clock of the node; '' without any."""
        if unstamped:
            return (
                f'{_count_images(unstamped)} with a header stamp that is zero or negative: let '
                'the camera set it, the detections have the same stamp'
            )
        age_ms = self._session.statistics.recent_age_ms(self._number, _WINDOW_S)
        if age_ms is None or abs(age_ms) <= _STAMP_LIMIT_S * 1e3:
            return ''
        if self._node.get_clock().now().nanoseconds == 0:
            return (
                'use_sim_time is true, but no time arrives on /clock: start the simulation or the '
                'player with --clock, or set use_sim_time to false'
            )
        return _describe_age(age_ms / 1e3)

    def _log(self, kind: str, text: str) -> None:
        """Log a warning of one kind once, and again as long as it persists."""
        now_s = time.monotonic()
        if now_s - self._logged_s.get(kind, -_LOG_PERIOD_S) >= _LOG_PERIOD_S:
            self._logged_s[kind] = now_s
            self._node.get_logger().warning(f'{self._session.cameras[self._number].image}: {text}')


def _describe_errors(now: CameraCounts, last: CameraCounts) -> tuple[str, str] | None:
    """Describe the errors since the last status; None without any."""
    if failed := now.failed - last.failed:
        return 'error', (
            f'inference failed for {_count_images(failed)}, nothing is published: {now.error}'
        )
    if malformed := now.malformed - last.malformed:
        return 'warn', f'{_count_images(malformed)} dropped as unreadable: {now.error}'
    if invalid := now.invalid - last.invalid:
        return 'warn', f'dropped {invalid} non-finite candidates'
    return None


def _count_images(number: int) -> str:
    """Write a number of images, e.g. '1 image'."""
    return f'{number} image' if number == 1 else f'{number} images'


def _describe_age(age_s: float) -> str:
    """Describe stamps that are far from the clock of the node."""
    place = f'{age_s:.0f} s in the past' if age_s > 0 else f'{-age_s:.0f} s in the future'
    return (
        f'the header stamps are {place}: synchronize the clocks, or set use_sim_time if the '
        'images come from a simulation or a recording'
    )
