# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says of the node, in every lifecycle state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time
import traceback

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from .session import DetectionSession
from .statistics import CameraCounts

__all__ = ['Diagnostics', 'NodeHealth']


@dataclass(slots=True)
class NodeHealth:
    """
    Written by the node, read by the diagnostics; each field is replaced as a whole.

    :param get_state: gives the label of the lifecycle state.
    :param flow: what exists from configure to cleanup, None outside.
    :param failure: why the last transition failed, '' since one succeeded.
    :param last_error: the last thing that went wrong, kept until another does.
    """

    get_state: Callable[[], str]
    flow: DetectionSession | None = None
    failure: str = ''
    last_error: str = ''

    @property
    def state(self) -> str:
        """Return the label of the lifecycle state."""
        return self.get_state()

    def note_failure(self, text: str) -> None:
        """Keep why a transition failed."""
        self.failure = text
        self.last_error = text

    def note_error(self, text: str) -> None:
        """Keep what went wrong with an image."""
        self.last_error = text


_SILENCE_S = 2.0
# A device is read once a second; beyond this its driver hangs.
_DEVICE_SILENCE_S = 10.0
_LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
}


@dataclass(frozen=True, slots=True)
class _Previous:
    """Counts of a camera at the last message, to tell what is new."""

    counts: CameraCounts
    at_s: float


class Diagnostics:
    """
    Publishes one status for the node, one for its GPU and one for each camera.

    The timer has a callback group of its own, so that a long transition does not silence it.

    :param node: publishes.
    :param health: the state of the node, written by it.
    :param period_s: seconds between two messages.
    """

    def __init__(self, node: Node, health: NodeHealth, period_s: float) -> None:
        self._node = node
        self._health = health
        self._name = node.get_fully_qualified_name().lstrip('/')
        self._previous: dict[str, _Previous] = {}
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._timer = node.create_timer(
            period_s, self._tick, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def set_period(self, period_s: float) -> None:
        """Change the time between two messages."""
        period_ns = round(period_s * 1e9)
        if self._timer.timer_period_ns != period_ns:
            self._timer.timer_period_ns = period_ns

    def make_message(self) -> DiagnosticArray:
        """Return the message for this moment; what is new counts from the last call."""
        flow = self._health.flow
        statuses = [self._node_status(flow)]
        if flow is None or flow.detector is None:
            self._previous.clear()
        else:
            statuses += self._device_status(flow)
            statuses += [self._camera_status(flow, n) for n in range(len(flow.cameras))]
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        return message

    def _tick(self) -> None:
        """Publish; a failure must not end the executor."""
        try:
            self._publisher.publish(self.make_message())
        except Exception:  # noqa: BLE001 the node detects on without diagnostics
            self._node.get_logger().error(
                f'diagnostics failed:\n{traceback.format_exc()}', throttle_duration_sec=10.0
            )

    def _node_status(self, flow: DetectionSession | None) -> DiagnosticStatus:
        """Return the status of the node as a whole."""
        state = self._health.state
        values = {'state': state, 'last error': self._health.last_error}
        level, text = ('error', self._health.failure) if self._health.failure else ('ok', state)
        hardware = ''
        if flow is not None:
            values['model'] = flow.config.model_path
            progress = flow.progress
            if progress is not None:
                share = '' if progress.fraction is None else f' {progress.fraction:.0%}'
                text = f'building: {progress.phase}{share} ({progress.elapsed_s:.0f} s)'
                values['build phase'] = progress.phase
                values['build percent'] = f'{100 * (progress.fraction or 0):.0f}'
                values['build elapsed s'] = f'{progress.elapsed_s:.1f}'
            if flow.detector is not None:
                values |= _describe_detector(flow)
                hardware = flow.detector.info.device
                if flow.detector.info.warnings and level == 'ok':
                    level, text = 'warn', f'{state}; {flow.detector.info.warnings[0]}'
        return self._make_status('detector', level, text, values, hardware)

    def _device_status(self, flow: DetectionSession) -> list[DiagnosticStatus]:
        """Return the status of the GPU, nothing where none is used or nothing is read yet."""
        watch = flow.device
        state = watch.latest() if watch is not None else None
        if state is None or state.read_s is None:
            return []
        level, text = 'ok', 'fine'
        silent_s = time.monotonic() - state.read_s
        if silent_s > _DEVICE_SILENCE_S:
            level, text = 'warn', f'the driver has not answered for {silent_s:.0f} s'
        elif state.slowdowns:
            level, text = 'warn', f'the GPU is slowed down: {", ".join(state.slowdowns)}'
        return [self._make_status('device', level, text, state.describe(), state.name or '')]

    def _camera_status(self, flow: DetectionSession, number: int) -> DiagnosticStatus:
        """Return the status of one camera."""
        topic = flow.cameras[number].image
        now_s = time.monotonic()
        counts = flow.statistics.counts(number)
        last = self._previous.get(topic, _Previous(CameraCounts(), flow.opened_s))
        self._previous[topic] = _Previous(counts, now_s)
        # Made anew by each configure, the counts start from zero again.
        before = last.counts if last.counts.received <= counts.received else CameraCounts()
        rate = (counts.received - before.received) / max(now_s - last.at_s, 1e-3)
        values = {
            'images per second': f'{rate:.1f}',
            'received': str(counts.received),
            'published': str(counts.published),
            'dropped': str(counts.dropped),
            'malformed': str(counts.malformed),
            'failed': str(counts.failed),
            'invalid candidates': str(counts.invalid),
        }
        level, text = 'ok', f'{rate:.1f} images per second'
        failed, malformed = counts.failed - before.failed, counts.malformed - before.malformed
        invalid = counts.invalid - before.invalid
        if flow.started_s is None:
            text = 'not subscribed'
        elif failed:
            level, text = 'error', f'inference failed for {failed} images: no detections of them'
        elif malformed:
            level, text = 'warn', f'{malformed} images could not be read and were dropped'
        elif invalid:
            level, text = 'warn', f'the network wrote {invalid} candidates that are no numbers'
        elif (silent_s := now_s - max(flow.started_s, counts.received_s or 0.0)) > _SILENCE_S:
            level, text = 'warn', self._explain_silence(flow, number, silent_s)
        return self._make_status(f'camera {topic}', level, text, values, topic)

    def _explain_silence(self, flow: DetectionSession, number: int, silent_s: float) -> str:
        """Return why no image comes, as far as the graph tells."""
        if number >= len(flow.subscriptions):
            return 'not subscribed'
        topic = flow.subscriptions[number].topic_name
        publishers = self._node.get_publishers_info_by_topic(topic)
        if not publishers:
            return f'no image for {silent_s:.0f} s: nobody publishes {topic}'
        offered = {info.qos_profile.reliability for info in publishers}
        if flow.config.qos_reliability == 'reliable' and offered == {
            ReliabilityPolicy.BEST_EFFORT
        }:
            return (
                f'no image can arrive: {topic} is published best effort and qos_reliability is '
                'reliable; set it to auto'
            )
        return f'no image for {silent_s:.0f} s from {len(publishers)} publisher(s) of {topic}'

    def _make_status(
        self, part: str, level: str, text: str, values: dict[str, str], hardware: str
    ) -> DiagnosticStatus:
        """Return the message for one part of the node."""
        return DiagnosticStatus(
            level=_LEVELS[level],
            name=f'{self._name}: {part}',
            message=text,
            hardware_id=hardware,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


def _describe_detector(flow: DetectionSession) -> dict[str, str]:
    """Return what runs and how long it takes."""
    detector = flow.detector
    if detector is None:
        return {}
    info = detector.info
    height, width = detector.input_size
    values = {
        'backend': info.backend,
        'precision': info.precision,
        'device': info.device,
        'runtime version': info.version,
        'input size': f'{width}x{height}',
        'batch size': str(detector.batch_size),
    }
    values |= {f'warning {n}': text for n, text in enumerate(info.warnings, start=1)}
    values |= info.report()
    for stage, percentiles in flow.statistics.percentiles_ms().items():
        for rank, value in zip((50, 95, 99), percentiles, strict=True):
            values[f'{stage} ms p{rank}'] = f'{value:.2f}'
    return values
