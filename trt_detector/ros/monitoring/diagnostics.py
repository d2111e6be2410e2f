# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Publish /diagnostics of the node, in every lifecycle state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import time

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from ...pipeline import Detector
from ..lifecycle.health import LifecycleHealth
from ..session import DetectionSession
from .camera_diagnostics import CameraDiagnostics, CameraStatus
from .stage_diagnostics import StageDiagnostics
from .status_publisher import StatusPublisher

__all__ = ['Diagnostics', 'NodeHealth']


@dataclass(slots=True)
class NodeHealth(LifecycleHealth):
    """
    State of the detector node, written by the node and read by the diagnostics.

    :param session: resources of the configured node; None if it is not configured.
    :param hang: sentence about an inference that hangs; '' if none does.
    :param recovery: sentence about the next attempt to recover; '' if none is planned.
    :param shared_topics: sentence about other nodes that published to the topics of the detections
        at the last activation; '' if there were none.
    """

    session: DetectionSession | None = None
    hang: str = ''
    recovery: str = ''
    shared_topics: str = ''

    @property
    def problem(self) -> str:
        """Reason why the node does not detect; '' if there is none."""
        return self.hang or '; '.join(filter(None, (self.failure, self.recovery)))


# A device is read once per second; after this time its driver hangs.
_DEVICE_SILENCE_S = 10.0
_MAX_WARNINGS = 5


class Diagnostics(StatusPublisher):
    """
    Publisher of one status for the node, its stage times, its GPU and each camera.

    :param node: creates the publisher and the timer.
    :param health: state of the node.
    :param period_s: seconds between two messages.
    """

    def __init__(self, node: Node, health: NodeHealth, period_s: float) -> None:
        self._health = health
        self._cameras: list[CameraDiagnostics] = []
        self._stages: StageDiagnostics | None = None
        self._session: DetectionSession | None = None
        super().__init__(node, period_s)

    def _make_statuses(self) -> list[DiagnosticStatus]:
        """Create the statuses; rates and new errors are counted since the last call."""
        session = self._health.session
        # Once: another thread sets them to None.
        detector = None if session is None else session.detector
        if session is None or detector is None:
            self._session, self._stages, self._cameras = None, None, []
            return [self._node_status(session, detector, '')]
        cameras = self._judge_cameras(session)
        statuses = [self._node_status(session, detector, _describe_silence(cameras))]
        if self._stages is not None:
            statuses.append(self._make_status('stages', *self._stages.make_status()))
        statuses += self._device_status(session)
        for camera, status in zip(session.cameras, cameras, strict=True):
            name = f'camera {camera.image}'
            statuses.append(
                self._make_status(name, status.level, status.text, status.values, camera.image)
            )
        return statuses

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

    def _node_status(
        self, session: DetectionSession | None, detector: Detector | None, silence: str
    ) -> DiagnosticStatus:
        """Create the status of the node as a whole."""
        state = self._health.state
        values = {'state': state, 'last error': self._health.last_error}
        problem = self._health.problem
        level, text = ('error', problem) if problem else ('ok', state)
        others = self._health.namesakes or (
            self._health.shared_topics if state == 'active' else ''
        )
        if others and not problem:
            level, text = 'warn', f'{state}; {others}'
        hardware = ''
        if session is not None:
            values['model'] = session.config.model_path
            if not session.config.enabled and text == 'active':
                text = 'active, but paused: enabled is false'
            progress = session.progress
            if progress is not None:
                share = '' if progress.fraction is None else f' {progress.fraction:.0%}'
                text = f'building: {progress.phase}{share} ({progress.elapsed_s:.0f} s)'
                values['build phase'] = progress.phase
                values['build percent'] = f'{100 * (progress.fraction or 0):.0f}'
                values['build elapsed s'] = f'{progress.elapsed_s:.1f}'
            if detector is not None:
                missing_crop = session.config.describe_missing_crop()
                warnings = (*detector.info.warnings, *filter(None, [missing_crop]))
                values |= _describe_detector(detector, warnings)
                hardware = detector.info.device
                if warnings and level == 'ok':
                    level, text = 'warn', f'{state}; {warnings[0]}'
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


def _describe_silence(cameras: Sequence[CameraStatus]) -> str:
    """Describe that no camera sends images; '' if one does."""
    if not all(camera.is_silent for camera in cameras):
        return ''
    if len(cameras) == 1:
        return cameras[0].text
    return f'no images from any of the {len(cameras)} cameras; {cameras[0].text}'


def _describe_detector(detector: Detector, warnings: Sequence[str]) -> dict[str, str]:
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
    shown = warnings[:_MAX_WARNINGS]
    values |= {f'warning {n}': text for n, text in enumerate(shown, start=1)}
    if len(warnings) > len(shown):
        values['further warnings'] = f'{len(warnings) - len(shown)}, see the log'
    return values | info.report()
