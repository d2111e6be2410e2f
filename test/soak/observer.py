# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Client of the node: services, arrays and diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from .images import GOOD
from .processes import CameraSetup

__all__ = ['Observer', 'wait_for']

_NODE = 'detector'
# A machine with other work can stall for a minute.
_TIMEOUT_S = 180.0


class Observer:
    """
    ROS node that drives the detector node and counts its arrays.

    :param cameras: cameras of the node.
    """

    def __init__(self, cameras: Sequence[CameraSetup]) -> None:
        rclpy.init(args=[])
        self._cameras = cameras
        self._node = rclpy.create_node('soak')
        self.arrays = [0] * len(cameras)
        self.faults: list[str] = []
        self.messages = 0
        self._values: dict[str, dict[str, str]] = {}
        self._node_status = (DiagnosticStatus.OK, '')
        self._last_stamps = [0] * len(cameras)
        self._debug: Any = None
        for number, camera in enumerate(cameras):
            self._node.create_subscription(
                Detection2DArray,
                camera.detections,
                partial(self._count_array, number),
                QoSProfile(depth=1000),
            )
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._keep, 100)
        self._services = {
            name: self._node.create_client(kind, f'/{_NODE}/{name}')
            for name, kind in (
                ('change_state', ChangeState),
                ('set_parameters', SetParameters),
                ('get_state', GetState),
            )
        }
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._ended = Future()
        self._thread = threading.Thread(
            target=self._executor.spin_until_future_complete, args=(self._ended,)
        )
        self._thread.start()

    def close(self) -> None:
        """End the ROS node."""
        self._ended.set_result(None)
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def connect(self) -> None:
        """Wait until the node answers; the answer to a client that it has not found is lost."""
        probe = self._services['get_state']
        pending: list[Any] = []

        def is_answered() -> bool:
            if probe.service_is_ready() and all(
                client.service_is_ready() for client in self._services.values()
            ):
                pending.append(probe.call_async(GetState.Request()))
                time.sleep(0.2)
            return any(future.done() for future in pending)

        wait_for(is_answered, 'an answer of the node')

    def change_state(self, label: str) -> bool:
        """Request a transition, e.g. 'configure'; return whether it succeeded."""
        transition = Transition(id=getattr(Transition, f'TRANSITION_{label.upper()}'))
        answer = self._call('change_state', ChangeState.Request(transition=transition))
        return bool(answer.success)

    def get_state(self) -> str:
        """Ask for the lifecycle state."""
        return str(self._call('get_state', GetState.Request()).current_state.label)

    def set_parameter(self, name: str, value: Any) -> bool:
        """Set a parameter; return whether the node accepted it."""
        message = Parameter(name, value=value).to_parameter_msg()
        answer = self._call('set_parameters', SetParameters.Request(parameters=[message]))
        return bool(answer.results[0].successful)

    def toggle_debug_subscriber(self) -> bool:
        """Subscribe to a debug image, or end that; return whether it is subscribed now."""
        if self._debug is not None:
            self._node.destroy_subscription(self._debug)
            self._debug = None
            return False
        topic = self._cameras[0].detections.replace('detections', 'debug_image')
        self._debug = self._node.create_subscription(Image, topic, lambda _: None, 1)
        return True

    def read_counts(self) -> list[dict[str, int]]:
        """Read the counts of all cameras from a diagnostics message that is yet to come."""
        self.await_diagnostics()
        values = self._values
        names = ('received', 'published', 'dropped', 'malformed', 'failed', 'lost')
        return [
            {name: int(values[f'{_NODE}: camera {camera.topic}'][name]) for name in names}
            for camera in self._cameras
        ]

    def await_failure(self) -> str:
        """Wait for an error of the node on /diagnostics; return its text."""
        wait_for(
            lambda: self._node_status[0] == DiagnosticStatus.ERROR, 'an error on /diagnostics'
        )
        return self._node_status[1]

    def await_diagnostics(self) -> None:
        """Wait for a diagnostics message that was made after this call."""
        seen = self.messages
        # The next one can have been made before.
        wait_for(lambda: self.messages >= seen + 2, 'diagnostics')

    def _call(self, name: str, request: Any) -> Any:
        """Call a service and wait for the answer."""
        future = self._services[name].call_async(request)
        wait_for(future.done, f'the answer of {name}')
        return future.result()

    def _count_array(self, number: int, message: Detection2DArray) -> None:
        """Count an array and check its header."""
        topic = self._cameras[number].topic
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        if not message.header.frame_id.startswith(GOOD):
            self.faults.append(f'{topic}: an array for an image that cannot be read')
        if stamp_ns <= self._last_stamps[number]:
            self.faults.append(f'{topic}: stamp {stamp_ns} is repeated or goes backward')
        self._last_stamps[number] = stamp_ns
        self.arrays[number] += 1

    def _keep(self, message: DiagnosticArray) -> None:
        """Keep the newest diagnostics of the node."""
        if not any(status.name == f'{_NODE}: detector' for status in message.status):
            return
        for status in message.status:
            if status.name == f'{_NODE}: detector':
                self._node_status = (status.level, status.message)
        self._values = {
            status.name: {pair.key: pair.value for pair in status.values}
            for status in message.status
        }
        self.messages += 1


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = _TIMEOUT_S) -> None:
    """
    Wait for a condition.

    :raises TimeoutError: after timeout_s.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f'waited {timeout_s:g} s in vain for {what}')
        time.sleep(0.02)
