# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The demonstration's side of the ROS graph: starts the node's lifecycle and listens to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from typing import Any

from .children import ChildProcess, DemoError, NAMESPACE

__all__ = ['Arrival', 'DemoGraph']

_NODE = f'{NAMESPACE}/detector'
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
    One Detection2DArray as it came.

    :param topic: it came on.
    :param stamp_ns: of the image.
    :param frame_id: of the image.
    :param latency_ms: from the image's stamp to here.
    :param arrived_s: time.monotonic() here.
    :param detections: of each class_id, score, center_x, center_y, size_x, size_y.
    """

    topic: str
    stamp_ns: int
    frame_id: str
    latency_ms: float
    arrived_s: float
    detections: tuple[dict[str, Any], ...]


class DemoGraph:
    """
    A ROS node beside the detector's, spun in a thread of its own.

    :param stop: set when the user wants to end.
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
        Take the node through one transition, however long that takes.

        :param label: 'configure', 'activate', 'deactivate' or 'cleanup'.
        :param child: the node's process.
        :return: False if the user wants to end.
        :raises DemoError: if the node refuses, or is not there.
        """
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        if not self._wait(self._change_state.service_is_ready, child, _DISCOVERY_TIMEOUT_S):
            return False
        request = ChangeState.Request(
            transition=Transition(id=getattr(Transition, f'TRANSITION_{label.upper()}'))
        )
        answer = self._change_state.call_async(request)
        # The answer to a client that the node does not know yet is lost; diagnostics tell, too.
        if not self._wait(
            lambda: answer.done() or self._state() == _GOALS[label] or bool(self.failure),
            child,
            None,
        ):
            return False
        refused = answer.done() and not answer.result().success
        if refused:
            # The reason comes with the next diagnostics, and stands in the node's log as well.
            self._wait(lambda: bool(self.failure), child, 3.0, must=False)
        if refused or self.failure:
            raise DemoError(self.failure or f'the node cannot {label}; its log says why')
        return True

    def _state(self) -> str:
        """Return the node's state as far as it has told."""
        return self.diagnostics.get(f'{_NODE[1:]}: detector', {}).get('state', '')

    def _wait(
        self,
        condition: Callable[[], bool],
        child: ChildProcess,
        timeout_s: float | None,
        *,
        must: bool = True,
    ) -> bool:
        """Return True when the condition is met, False if the user wants to end before."""
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
        """Hand an array on."""
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
        """Keep what the node says of itself."""
        for status in message.status:
            if status.name.startswith(f'{_NODE[1:]}: '):
                self.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}
                if status.name == f'{_NODE[1:]}: detector':
                    failed = status.level == status.ERROR
                    self.failure = status.message if failed else ''


def _plain(detection: Any) -> dict[str, Any]:
    """Return a detection without ROS types."""
    hypothesis = detection.results[0].hypothesis
    return {
        'class_id': hypothesis.class_id,
        'score': hypothesis.score,
        'center_x': detection.bbox.center.position.x,
        'center_y': detection.bbox.center.position.y,
        'size_x': detection.bbox.size_x,
        'size_y': detection.bbox.size_y,
    }
