# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Publish /diagnostics of the node, in every lifecycle state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import time
import traceback

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from ...pipeline import Detector
from ..session import DetectionSession
from ..steady_timer import create_steady_timer
from .camera_diagnostics import CameraDiagnostics, CameraStatus
from .stage_diagnostics import StageDiagnostics

__all__ = ['Diagnostics', 'NodeHealth']


@dataclass(slots=True)
class NodeHealth:
    """
    State of the node, written by the node and read by the diagnostics.

    Each field is replaced as a whole; a reader takes it once into a variable.

    :param get_state: reads the label of the lifecycle state.
    :param session: resources of the configured node; None if it is not configured.
    :param failure: reason why the last transition failed; '' after a successful one.
    :param last_error: newest error, kept until the next.
    :param hang: sentence about an inference that hangs; '' if none does.
    :param recovery: sentence about the next attempt to recover; '' if none is planned.
    :param namesakes: sentence about other nodes of the same name; '' if there were none.
    """

    get_state: Callable[[], str]
    session: DetectionSession | None = None
    failure: str = ''
    last_error: str = ''
    hang: str = ''
    recovery: str = ''
    namesakes: str = ''

    @property
    def state(self) -> str:
        """Label of the lifecycle state."""
        return self.get_state()

    @property
    def problem(self) -> str:
        """Reason why the node does not detect; '' if there is none."""
        return self.hang or '; '.join(filter(None, (self.failure, self.recovery)))

    def note_failure(self, text: str) -> None:
        """Store why a transition failed."""
        self.failure = text
        self.last_error = text

    def note_error(self, text: str) -> None:
        """Store why an image failed."""
        self.last_error = text


# A device is read once per second; after this time its driver hangs.
_DEVICE_SILENCE_S = 10.0
_MAX_WARNINGS = 5
_LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
}


class Diagnostics:
    """
    Publisher of one status for the node, its stage times, its GPU and each camera.

    The timer has its own callback group, so that a long transition does not silence it.

    :param node: creates the publisher and the timer.
    :param health: state of the node.
    :param period_s: seconds between two messages.
    """

    def __init__(self, node: Node, health: NodeHealth, period_s: float) -> None:
        self._node = node
        self._health = health
        self._name = node.get_fully_qualified_name().lstrip('/')
        self._cameras: list[CameraDiagnostics] = []
        self._stages: StageDiagnostics | None = None
        self._session: DetectionSession | None = None
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._timer = create_steady_timer(node, period_s, self._tick)

    def set_period(self, period_s: float) -> None:
        """Change the time between two messages."""
        period_ns = round(period_s * 1e9)
        if self._timer.timer_period_ns != period_ns:
            self._timer.timer_period_ns = period_ns

    def make_message(self) -> DiagnosticArray:
        """Create the message; rates and new errors are counted since the last call."""
        session = self._health.session
        # Once: another thread sets them to None.
        detector = None if session is None else session.detector
        if session is None or detector is None:
            self._session, self._stages, self._cameras = None, None, []
            statuses = [self._node_status(session, detector, '')]
        else:
            cameras = self._judge_cameras(session)
            statuses = [self._node_status(session, detector, _describe_silence(cameras))]
            if self._stages is not None:
                statuses.append(self._make_status('stages', *self._stages.make_status(), ''))
            statuses += self._device_status(session)
            for camera, status in zip(session.cameras, cameras, strict=True):
                statuses.append(
                    self._make_status(
                        f'camera {camera.image}',
                        status.level,
                        status.text,
                        status.values,
                        camera.image,
                    )
                )
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        return message

    def _judge_cameras(self, session: DetectionSession) -> list[CameraStatus]:
        """Judge every camera of the session; begin anew with another session."""
        if session is not self._session:
            self._session = session
            self._stages = StageDiagnostics(self._node, session)
            self._cameras = [
                CameraDiagnostics(self._node, session, number)
                for number in range(len(session.cameras))
            ]
        return [camera.make_status() for camera in self._cameras]

    def _tick(self) -> None:
        """Publish a message; a failure must not end the executor."""
        try:
            self._publisher.publish(self.make_message())
        except Exception:  # noqa: BLE001 logged; detection goes on without diagnostics
            self._node.get_logger().error(
                f'diagnostics failed:\n{traceback.format_exc()}', throttle_duration_sec=10.0
            )

    def _node_status(
        self, session: DetectionSession | None, detector: Detector | None, silence: str
    ) -> DiagnosticStatus:
        """Create the status of the node as a whole."""
        state = self._health.state
        values = {'state': state, 'last error': self._health.last_error}
        problem = self._health.problem
        level, text = ('error', problem) if problem else ('ok', state)
        if self._health.namesakes and not problem:
            level, text = 'warn', f'{state}; {self._health.namesakes}'
        hardware = ''
        if session is not None:
            values['model'] = session.config.model_path
            progress = session.progress
            if progress is not None:
                share = '' if progress.fraction is None else f' {progress.fraction:.0%}'
                text = f'building: {progress.phase}{share} ({progress.elapsed_s:.0f} s)'
                values['build phase'] = progress.phase
                values['build percent'] = f'{100 * (progress.fraction or 0):.0f}'
                values['build elapsed s'] = f'{progress.elapsed_s:.1f}'
            if detector is not None:
                info = detector.info
                values |= _describe_detector(detector)
                hardware = info.device
                if info.warnings and level == 'ok':
                    level, text = 'warn', f'{state}; {info.warnings[0]}'
                if silence and level == 'ok':
                    level, text = 'warn', f'{state}; {silence}'
        return self._make_status('detector', level, text, values, hardware)

    def _device_status(self, session: DetectionSession) -> list[DiagnosticStatus]:
        """Create the status of the GPU; empty if none is used or nothing has been read yet."""
        watch = session.device
        state = watch.latest() if watch is not None else None
        if state is None or state.read_s is None:
            return []
        level, text = 'ok', 'no slowdown'
        silent_s = time.monotonic() - state.read_s
        if silent_s > _DEVICE_SILENCE_S:
            level, text = 'warn', f'the driver has not answered for {silent_s:.0f} s'
        elif state.slowdowns:
            level, text = 'warn', f'the GPU is slowed down: {", ".join(state.slowdowns)}'
        return [self._make_status('device', level, text, state.describe(), state.name or '')]

    def _make_status(
        self, part: str, level: str, text: str, values: dict[str, str], hardware: str
    ) -> DiagnosticStatus:
        """Create the status of one part of the node."""
        return DiagnosticStatus(
            level=_LEVELS[level],
            name=f'{self._name}: {part}',
            message=text,
            hardware_id=hardware,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


def _describe_silence(cameras: Sequence[CameraStatus]) -> str:
    """Describe that no camera sends images; '' if one does."""
    if not all(camera.is_silent for camera in cameras):
        return ''
    if len(cameras) == 1:
        return cameras[0].text
    return f'no images from any of the {len(cameras)} cameras; {cameras[0].text}'


def _describe_detector(detector: Detector) -> dict[str, str]:
    """Describe the detector; of many warnings only the first."""
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
    shown = info.warnings[:_MAX_WARNINGS]
    values |= {f'warning {n}': text for n, text in enumerate(shown, start=1)}
    if len(info.warnings) > len(shown):
        values['further warnings'] = f'{len(info.warnings) - len(shown)}, see the log'
    return values | info.report()
