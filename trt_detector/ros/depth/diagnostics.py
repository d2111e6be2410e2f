# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Publish /diagnostics of the detections_3d node."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
import time

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from ..lifecycle.health import LifecycleHealth
from ..monitoring.status_publisher import StatusPublisher
from .counts import DepthCounts
from .input_topic import InputTopic
from .session import DepthSession

__all__ = ['DepthDiagnostics', 'DepthHealth']

_LOG_PERIOD_S = 30.0


@dataclass(slots=True)
class DepthHealth(LifecycleHealth):
    """
    State of the detections_3d node.

    :param session: resources of the configured node; None if it is not configured.
    """

    session: DepthSession | None = None


class DepthDiagnostics(StatusPublisher):
    """
    Publisher of one status for the node and one for each topic that it subscribes to.

    :param node: creates the publisher and the timer.
    :param health: state of the node.
    :param period_s: seconds between two messages.
    """

    def __init__(self, node: Node, health: DepthHealth, period_s: float) -> None:
        self._health = health
        self._session: DepthSession | None = None
        self._last = DepthCounts()
        self._received: dict[str, tuple[float, int]] = {}
        self._logged_s: dict[str, float] = {}
        super().__init__(node, period_s)

    def _make_statuses(self) -> list[DiagnosticStatus]:
        """Create the statuses; new problems are counted since the last call."""
        session = self._health.session
        if session is not self._session:
            self._session, self._last, self._received = session, DepthCounts(), {}
        if session is None:
            return [self._node_status([])]
        silent = [self._explain_silence(session, each) for each in session.inputs]
        inputs = [
            self._input_status(session, each, text)
            for each, text in zip(session.inputs, silent, strict=True)
        ]
        return [self._node_status([text for text in silent if text]), *inputs]

    def _node_status(self, silent: list[str]) -> DiagnosticStatus:
        """Create the status of the node as a whole."""
        health, session = self._health, self._session
        state = health.state
        values = {'state': state, 'last error': health.last_error}
        level, text = ('error', health.failure) if health.failure else ('ok', state)
        if health.namesakes and level == 'ok':
            level, text = 'warn', f'{state}; {health.namesakes}'
        if session is not None:
            counts = replace(session.counts)
            last, self._last = self._last, counts
            values |= _list_values(session, counts)
            problem = '; '.join(silent) or _describe_problem(session, counts, last)
            if problem and level == 'ok':
                level, text = 'warn', f'{state}; {problem}'
        return self._make_status('detections_3d', level, text, values)

    def _input_status(
        self, session: DepthSession, topic: InputTopic, silence: str
    ) -> DiagnosticStatus:
        """Create the status of one topic."""
        now_s = time.monotonic()
        before_s, before = self._received.get(topic.name, (now_s, topic.received))
        self._received[topic.name] = (now_s, topic.received)
        rate = (topic.received - before) / max(now_s - before_s, 1e-3)
        values = {'messages per second': f'{rate:.1f}', 'received': str(topic.received)}
        if session.started_s is None:
            return self._make_status(f'input {topic.name}', 'ok', 'not subscribed', values)
        level, text = ('warn', silence) if silence else ('ok', f'{rate:.1f} messages per second')
        return self._make_status(f'input {topic.name}', level, text, values, topic.name)

    def _explain_silence(self, session: DepthSession, topic: InputTopic) -> str:
        """Explain why a topic is silent, also in the log; '' if it is not."""
        started_s = session.started_s
        if started_s is None:
            return ''
        # A CameraInfo may be published once.
        if topic is session.info and topic.received:
            return ''
        now_s = time.monotonic()
        silent_s = now_s - max(started_s, topic.received_s or 0.0)
        if silent_s <= session.config.input_timeout:
            return ''
        text = f'no message for {silent_s:.0f} s: {topic.explain_silence(self._node)}'
        if now_s - self._logged_s.get(topic.name, -_LOG_PERIOD_S) >= _LOG_PERIOD_S:
            self._logged_s[topic.name] = now_s
            self._node.get_logger().warning(f'{topic.name}: {text}')
        return text


def _list_values(session: DepthSession, counts: DepthCounts) -> dict[str, str]:
    """List the counts and settings."""
    names = [each.name for each in fields(counts)]
    values = {name.replace('_', ' '): str(getattr(counts, name)) for name in names}
    if session.gap_ns is not None:
        values['stamp of depth minus detections ms'] = f'{session.gap_ns / 1e6:.1f}'
    if session.scale is not None:
        values['depth pixels per image pixel'] = f'{session.scale:.4g}'
    values['markers'] = 'available' if session.has_markers else 'visualization_msgs is missing'
    return values


def _describe_problem(session: DepthSession, now: DepthCounts, last: DepthCounts) -> str:
    """Describe what went wrong since the last status; '' if nothing did."""
    new = {each.name: getattr(now, each.name) - getattr(last, each.name) for each in fields(now)}
    lost = new['unmatched'] + new['refused'] + new['unstamped']
    if lost:
        return (
            f'no 3D detections for {lost} of {now.done - last.done} arrays: {session.last_problem}'
        )
    missed = new['no_depth'] + new['outside'] + new['malformed']
    if missed and not new['located']:
        return (
            f'none of {missed} boxes has a place: {new["no_depth"]} without enough valid depths '
            f'between min_depth and max_depth, {new["outside"]} outside the depth image, '
            f'{new["malformed"]} malformed'
        )
    return ''
