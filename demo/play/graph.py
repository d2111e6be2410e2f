# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ROS node of the demo: drives the lifecycle of the detector node and receives detections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from typing import Any

from .children import ChildProcess, DemoError, NAMESPACE

__all__ = ['Arrival', 'DemoGraph']

_NODE = f'{NAMESPACE}/detector'
_DIAGNOSTICS_TIMEOUT_S = 5.0
_DISCOVERY_TIMEOUT_S = 60.0
_GOALS = {
    'configure': 'inactive',
    'activate': 'active',
    'deactivate': 'inactive',
    'cleanup': 'unconfigured',
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """
    One received Detection2DArray.

    :param topic: topic of the array.
    :param stamp_ns: stamp of the image.
    :param frame_id: frame_id of the image.
    :param latency_ms: time from the image's stamp to the reception.
    :param arrived_s: time.monotonic() at the reception.
    :param detections: class_id, score, center_x, center_y, size_x and size_y of each detection.
    """

    topic: str
    stamp_ns: int
    frame_id: str
    latency_ms: float
    arrived_s: float
    detections: tuple[dict[str, Any], ...]


class DemoGraph:
    """
    ROS node beside the detector's, spun in a thread of its own.

    :param stop: set when the user asks to stop.
    :param on_arrival: called in that thread for each array.
    """

    def __init__(self, stop: threading.Event, on_arrival: Callable[[Arrival], None]) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from lifecycle_msgs.srv import ChangeState
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
        from rclpy.task import Future
        from vision_msgs.msg import Detection2DArray

        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._stop = stop
        self._on_arrival = on_arrival
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.failure = ''
        self._node = rclpy.create_node('demo', namespace=NAMESPACE)
        self._topic = f'{_NODE}/detections'
        self._node.create_subscription(Detection2DArray, self._topic, self._receive, 100)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)
        self._change_state = self._node.create_client(ChangeState, f'{_NODE}/change_state')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._ended = Future()
        self._thread = threading.Thread(
            target=self._executor.spin_until_future_complete, args=(self._ended,)
        )
        self._thread.start()

    def __enter__(self) -> DemoGraph:
        return self

    def __exit__(self, *_: object) -> None:
        import rclpy

        self._ended.set_result(None)
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def change_state(self, label: str, child: ChildProcess) -> bool:
        """
        Request a lifecycle transition of the node and wait for its end.

        :param label: 'configure', 'activate', 'deactivate' or 'cleanup'.
        :param child: process of the node.
        :return: False if the user asked to stop.
        :raises DemoError: if the node refuses or cannot be found.
        """
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        if not self._wait(self._change_state.service_is_ready, child, _DISCOVERY_TIMEOUT_S):
            return False
        request = ChangeState.Request(
            transition=Transition(id=getattr(Transition, f'TRANSITION_{label.upper()}'))
        )
        answer = self._change_state.call_async(request)
        # The response to a client that the node has not discovered yet is lost; the state is on
        # /diagnostics, too.
        if not self._wait(
            lambda: answer.done() or self._state() == _GOALS[label] or bool(self.failure),
            child,
            None,
        ):
            return False
        refused = answer.done() and not answer.result().success
        if refused:
            # The reason is in the next diagnostics and in the log of the node.
            self._wait(lambda: bool(self.failure), child, 3.0, must=False)
        if refused or self.failure:
            raise DemoError(self.failure or f'the node cannot {label}; its log says why')
        return True

    def wait_for_backend(self, child: ChildProcess) -> None:
        """Wait for the diagnostics of the configured node, which name its backend."""
        self._wait(
            lambda: any('backend' in values for values in self.diagnostics.values()),
            child,
            _DIAGNOSTICS_TIMEOUT_S,
            must=False,
        )

    def _state(self) -> str:
        """Return the node's lifecycle state as last reported on /diagnostics."""
        return self.diagnostics.get(f'{_NODE[1:]}: detector', {}).get('state', '')

    def _wait(
        self,
        condition: Callable[[], bool],
        child: ChildProcess,
        timeout_s: float | None,
        *,
        must: bool = True,
    ) -> bool:
        """Wait for a condition; return False if the user asked to stop before."""
        started_s = time.monotonic()
        while not condition():
            child.check()
            if timeout_s is not None and time.monotonic() - started_s > timeout_s:
                if must:
                    raise DemoError(f'{_NODE} did not appear within {timeout_s:g} s')
                return False
            if self._stop.wait(0.02):
                return False
        return True

    def _receive(self, message: Any) -> None:
        """Pass an array to the callback."""
        now_ns = self._node.get_clock().now().nanoseconds
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        self._on_arrival(
            Arrival(
                topic=self._topic,
                stamp_ns=stamp_ns,
                frame_id=message.header.frame_id,
                latency_ms=(now_ns - stamp_ns) / 1e6,
                arrived_s=time.monotonic(),
                detections=tuple(_plain(detection) for detection in message.detections),
            )
        )

    def _diagnose(self, message: Any) -> None:
        """Keep the last diagnostics of the node."""
        for status in message.status:
            if status.name.startswith(f'{_NODE[1:]}: '):
                self.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}
                if status.name == f'{_NODE[1:]}: detector':
                    failed = status.level == status.ERROR
                    self.failure = status.message if failed else ''


def _plain(detection: Any) -> dict[str, Any]:
    """Convert a detection to a dictionary."""
    hypothesis = detection.results[0].hypothesis
    return {
        'class_id': hypothesis.class_id,
        'score': hypothesis.score,
        'center_x': detection.bbox.center.position.x,
        'center_y': detection.bbox.center.position.y,
        'size_x': detection.bbox.size_x,
        'size_y': detection.bbox.size_y,
    }
