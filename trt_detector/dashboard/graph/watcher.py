# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ROS node that watches all detector nodes of its domain."""

from __future__ import annotations

from collections.abc import Callable
import queue
import threading
import time
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage

from ..frames import FrameStore
from ..record import NodeRecord
from ..views import LogLine, NodeView, Status
from .link import NodeLink

__all__ = ['Watcher']

_PERIOD_S = 0.5
# A page asks for the views more often; after this time without a question nobody looks.
_VIEWER_S = 5.0
_PARAMETER_PERIOD_S = 2.0
# Dead nodes are shown for this time.
_FORGET_S = 600.0
# The service that detector nodes have and other lifecycle nodes do not.
_MARK = '/cancel_build', 'std_srvs/srv/Trigger'
_PICTURE_TYPE = 'sensor_msgs/msg/CompressedImage'
_LEVELS = ('ok', 'warn', 'error', 'stale')
_LOG_LEVELS = {10: 'debug', 20: 'info', 30: 'warn', 40: 'error', 50: 'fatal'}


class Watcher:
    """ROS node in a thread of its own; the public methods may be called in any thread."""

    def __init__(self) -> None:
        self.frames = FrameStore()
        self._lock = threading.Lock()
        self._records: dict[str, NodeRecord] = {}
        self._links: dict[str, NodeLink] = {}
        self._pictures: dict[str, Any] = {}
        self._picture_topics: frozenset[str] = frozenset()
        self._viewed_s = float('-inf')
        self._asked_s = float('-inf')
        self._actions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._node = rclpy.create_node('trt_detector_dashboard')
        self.domain_id = int(self._node.context.get_domain_id())
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 50)
        log_qos = QoSProfile(depth=200, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(Log, '/rosout', self._note_log, log_qos)
        self._node.create_timer(_PERIOD_S, self._guard(self._tick))
        self._wake = self._node.create_guard_condition(self._guard(self._act))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._stop = Future()
        self._thread = threading.Thread(target=self._spin, name='watcher', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and destroy the node."""
        self._stop.set_result(None)
        self._thread.join(timeout=5.0)
        self._executor.shutdown()
        self._node.destroy_node()

    def views(self) -> tuple[NodeView, ...]:
        """Create the views of all nodes, by name."""
        now_s = time.monotonic()
        self._viewed_s = now_s
        with self._lock:
            return tuple(record.view(now_s) for _, record in sorted(self._records.items()))

    def has_picture(self, topic: str) -> bool:
        """Tell whether a topic is a debug image of a detector node."""
        return topic in self._picture_topics

    def change_state(self, name: str, transition: str) -> None:
        """Request a lifecycle transition of a node; the outcome is among its notices."""

        def request(record: NodeRecord, link: NodeLink) -> None:
            record.note_request(transition, time.monotonic())
            link.change_state(record, transition)

        self._do(name, request)

    def set_parameter(self, name: str, parameter: str, value: Any) -> None:
        """Set a parameter of a node; a refusal is among its notices."""
        self._do(name, lambda record, link: link.set_parameter(record, parameter, value))

    def _do(self, name: str, action: Callable[[NodeRecord, NodeLink], None]) -> None:
        """Run an action on a node in the thread of the executor."""

        def act() -> None:
            record, link = self._records.get(name), self._links.get(name)
            if record is not None and link is not None:
                with self._lock:
                    action(record, link)

        self._actions.put(act)
        self._wake.trigger()

    def _act(self) -> None:
        """Run the requested actions."""
        while not self._actions.empty():
            self._actions.get()()

    def _guard(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Wrap a callback: an exception is logged and must not end the executor."""

        def guarded() -> None:
            try:
                callback()
            except Exception:  # noqa: BLE001 logged; the page goes on
                self._node.get_logger().error(
                    f'the dashboard failed:\n{traceback.format_exc()}', throttle_duration_sec=10.0
                )

        return guarded

    def _spin(self) -> None:
        """Thread main loop."""
        try:
            self._executor.spin_until_future_complete(self._stop)
        except ExternalShutdownException:
            return

    def _tick(self) -> None:
        """Follow the graph, the questions for pictures and the parameters."""
        now_s = time.monotonic()
        found = self._find_nodes()
        with self._lock:
            for name in found - self._records.keys():
                self._records[name] = NodeRecord(name)
                self._links[name] = NodeLink(self._node, name, self._lock)
            for name, record in list(self._records.items()):
                record.note_presence(name in found, now_s)
                if transition := record.take_retry(now_s):
                    self._links[name].change_state(record, transition)
                if name in found:
                    record.picture_topics = self._find_pictures(name)
                elif record.last_seen_s is None or now_s - record.last_seen_s > _FORGET_S:
                    del self._records[name]
                    self._links.pop(name).close()
            records = list(self._records.values())
        self._picture_topics = frozenset(t for r in records for t in r.picture_topics)
        self._follow_interest(now_s)
        if now_s - self._viewed_s < _VIEWER_S and now_s - self._asked_s >= _PARAMETER_PERIOD_S:
            self._asked_s = now_s
            for record in records:
                if record.name in found:
                    self._links[record.name].read_parameters(record)

    def _find_nodes(self) -> set[str]:
        """Find the detector nodes in the graph."""
        suffix, kind = _MARK
        return {
            service.removesuffix(suffix)
            for service, kinds in self._node.get_service_names_and_types()
            if service.endswith(suffix) and kind in kinds
        }

    def _find_pictures(self, name: str) -> tuple[str, ...]:
        """Find the topics of the debug images of a node."""
        namespace, _, base = name.rpartition('/')
        try:
            published = self._node.get_publisher_names_and_types_by_node(base, namespace or '/')
        except Exception:  # noqa: BLE001 rclpy has no public type for it: the node has just ended
            return ()
        return tuple(sorted(topic for topic, kinds in published if _PICTURE_TYPE in kinds))

    def _follow_interest(self, now_s: float) -> None:
        """Subscribe to the pictures that a page asks for, and to no others."""
        wanted = self.frames.wanted(now_s) & self._picture_topics
        for topic in self._pictures.keys() - wanted:
            self._node.destroy_subscription(self._pictures.pop(topic))
        for topic in wanted - self._pictures.keys():
            # Best effort: a slow page must not hold up the detector.
            qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._pictures[topic] = self._node.create_subscription(
                CompressedImage, topic, self._make_receiver(topic), qos
            )

    def _make_receiver(self, topic: str) -> Callable[[CompressedImage], None]:
        """Create the callback of the pictures of a topic."""
        return lambda message: self.frames.put(topic, bytes(message.data))

    def _diagnose(self, message: DiagnosticArray) -> None:
        """Store the statuses of the detector nodes in a message."""
        now_s = time.monotonic()
        grouped: dict[str, list[Status]] = {}
        for status in message.status:
            owner, separator, part = status.name.partition(': ')
            if separator:
                values = {pair.key: pair.value for pair in status.values}
                level = _LEVELS[min(ord(status.level), 3)]
                grouped.setdefault(f'/{owner}', []).append(
                    Status(part, level, status.message, values)
                )
        with self._lock:
            for name, statuses in grouped.items():
                # Others may have a status with a colon, too.
                if name in self._records and any(each.part == 'detector' for each in statuses):
                    self._records[name].note_statuses(statuses, now_s)

    def _note_log(self, message: Log) -> None:
        """Store a line of the log of a detector node."""
        stamp_s = message.stamp.sec + message.stamp.nanosec / 1e9
        level = message.level if isinstance(message.level, int) else ord(message.level)
        line = LogLine(stamp_s, _LOG_LEVELS.get(level, 'info'), message.msg)
        with self._lock:
            for name, record in self._records.items():
                logger = name.lstrip('/').replace('/', '.')
                if message.name == logger or message.name.startswith(f'{logger}.'):
                    record.note_log(line)
