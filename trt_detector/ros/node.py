# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle node: transitions, parameters and services of a detection session."""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Trigger

from ..errors import BuildCancelledError, DetectorError, DeviceLostError, EngineError
from ..factory import create_detector, watch_device
from ..process.shared_memory import release_segments
from ..process.tuning import release_memory
from .bond import LifecycleBond
from .inference_thread import DetectorFactory
from .lifecycle.exit_codes import EXIT_DEVICE_LOST
from .lifecycle.managed_node import ManagedNode
from .monitoring.diagnostics import Diagnostics, NodeHealth
from .monitoring.metrics_server import MetricsServer
from .monitoring.other_publishers import describe_other_publishers
from .on_demand.services import DemandServices, SERVICE_QOS
from .parameters import DETECTOR_PARAMETERS
from .recovery.supervisor import Supervisor
from .session import DetectionSession, WatchDevice

__all__ = ['DetectorNode']


class DetectorNode(ManagedNode):
    """
    Lifecycle node that turns images into detections while it is active.

    It needs an executor with several threads: a transition can take minutes, and services and
    diagnostics are served meanwhile.

    :param name: name of the node.
    :param create: creates the detector.
    :param watch: starts to monitor the device of the detector.
    :param kwargs: passed to :class:`.lifecycle.managed_node.ManagedNode`.
    """

    _health: NodeHealth

    def __init__(
        self,
        name: str = 'detector',
        *,
        create: DetectorFactory = create_detector,
        watch: WatchDevice = watch_device,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, DETECTOR_PARAMETERS, NodeHealth, **kwargs)
        self._create = create
        self._watch = watch
        self._metrics = MetricsServer(
            self._health, self.get_fully_qualified_name(), self.get_logger().error
        )
        self._bond: LifecycleBond | None = None
        self._supervisor = Supervisor(self, self._health)
        self._diagnostics = Diagnostics(self, self._health, self._read_period())
        self._cancel_service = self.create_service(
            Trigger,
            '~/cancel_build',
            self._answer_cancel,
            qos_profile=SERVICE_QOS,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._demand_services = DemandServices(self, self._health)
        self.start_up()

    def destroy_node(self) -> None:
        """Release all resources, from any state."""
        self._metrics.close()
        super().destroy_node()

    def cancel_build(self) -> bool:
        """Cancel a build, from any thread; return False if none is in progress."""
        session = self._health.session
        return session is not None and session.cancel()

    def finalize(self, timeout_s: float = 8.0) -> bool:
        """
        Cancel a build, stop detection and go to finalized, from any state.

        :param timeout_s: maximum time to wait for a transition in progress; ros2 launch kills the
            process after ten seconds.
        :return: False if that transition or an inference thread did not end in time.
        """
        self._supervisor.stop_recovery('the node is stopped')
        return super().finalize(timeout_s)

    def may_recover(self) -> bool:
        """Read parameter recover."""
        return bool(DETECTOR_PARAMETERS.read_one(self, 'recover'))

    def end_process(self, exit_code: int) -> None:
        """End the process with a code, if the executable of this package runs the node."""
        if self.on_fatal is None:
            self.get_logger().error("the process must be started again; it is not the node's own")
        else:
            self.on_fatal(exit_code)

    def _begin_transition(self, name: str) -> None:
        """Stop to recover if somebody else requests the transition."""
        self._supervisor.note_transition(name)

    def _note_error(self, name: str, error: DetectorError) -> None:
        """Log an error of a transition; end the process if only a new one can go on."""
        if isinstance(error, BuildCancelledError):
            self.get_logger().info(f'cannot {name}: {error}')
            self._health.note_failure(f'cannot {name}: {error}')
            self._supervisor.stop_recovery(str(error))
            return
        super()._note_error(name, error)
        if isinstance(error, DeviceLostError):
            self.end_process(EXIT_DEVICE_LOST)

    def _configure(self) -> None:
        """Create the session; release its resources if that fails."""
        started_s = time.monotonic()
        config = DETECTOR_PARAMETERS.read(self)
        self._diagnostics.set_period(config.diagnostics_period)
        self._metrics.apply(config.metrics_address, config.metrics_port)
        self._bond = LifecycleBond(self, config.bond_timeout)
        session = DetectionSession(
            self, config, self._receiver, self._create, self._health.note_error, self._watch
        )
        self._health.session = session
        try:
            session.open()
            self._demand_services.open(session)
        except BaseException:
            self._health.session = None
            self._close(session)
            raise
        self._health.namesakes = self._find_namesakes()
        self._log_ready(session, time.monotonic() - started_s)

    def _activate(self) -> None:
        """Start the session."""
        session: DetectionSession = self._get_session()
        if not self._health.namesakes:
            self._health.namesakes = self._find_namesakes()
        session.start()
        topics = [self.resolve_topic_name(camera.detections) for camera in session.cameras]
        for camera, topic in zip(session.cameras, topics, strict=True):
            self.get_logger().info(f'detecting in {camera.image}, publishing {topic}')
        if others := describe_other_publishers(self, topics):
            self.get_logger().warning(others)
        self._health.shared_topics = others
        if self._bond is not None:
            self._bond.start()
        self._supervisor.start()

    def _deactivate(self) -> None:
        """Stop the session."""
        self._break_bond()
        if self._failure:
            raise EngineError(self._failure)
        self._get_session().stop()
        release_memory()
        release_segments()

    def _free(self) -> None:
        """Close the session, if there is one."""
        self._break_bond()
        session, self._health.session = self._health.session, None
        if session is not None:
            self._close(session)
            # Its buffers are free only when nothing refers to it any more.
            del session
            release_memory()
            release_segments()

    def _break_bond(self) -> None:
        """Break the bond with a lifecycle manager, if there is one."""
        if self._bond is not None:
            self._bond.stop()

    def _close(self, session: DetectionSession) -> None:
        """Close a session, and remember if its inference thread does not end."""
        try:
            session.close()
        finally:
            self._is_hanging |= session.is_hanging

    def _log_ready(self, session: DetectionSession, seconds: float) -> None:
        """Log the backend, precision and sizes in use."""
        detector = session.detector
        if detector is None:
            return
        info = detector.info
        height, width = detector.input_size
        self.get_logger().info(
            f'{detector.model_name} runs on {info.backend} {info.version} in {info.precision} '
            f'({info.device}), input {width}x{height}, batch {detector.batch_size}, '
            f'{len(detector.class_names)} classes; ready after {seconds:.1f} s'
        )
        self.get_logger().info(f'{detector.model_name}: {detector.description}')
        for warning in info.warnings:
            self.get_logger().warning(warning)
        if detector.input_size_pending and len(session.cameras) > 1:
            self.get_logger().warning(
                f'{detector.model_name} leaves its input size open: the first image chooses it '
                f'for all {len(session.cameras)} cameras; set input_shape if their images differ '
                'in shape'
            )

    def _answer_cancel(self, _: Any, response: Any) -> Any:
        """Handle a request of the cancel_build service."""
        response.success = self.cancel_build()
        response.message = (
            'the build is being cancelled' if response.success else 'no build is in progress'
        )
        return response
