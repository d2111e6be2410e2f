# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ROS node that times the arrival of detections, and discards images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, ExitStack
from functools import partial
import importlib
import struct
import threading
import time
from typing import Any

from ...process.tuning import choose_image_depth
from ..ros_tool import match_reliability
from .child_process import BenchmarkError

__all__ = ['Arrival', 'Listener', 'parse_header']

Arrival = tuple[int, int]
"""Time of arrival in ns, and number of detections."""

_DETECTIONS = 'vision_msgs/msg/Detection2DArray'
_DEPTH = 1000
_ERROR = b'\x02'


class Listener:
    """
    Subscriber to detections, images and diagnostics.

    It takes messages in their serialized form: converting them to Python would cost time.
    """

    def __init__(self) -> None:
        self._resources = ExitStack()
        self._node: Any = None
        self.arrivals: list[dict[int, Arrival]] = []
        self.repeated: list[int] = []
        self._statuses: dict[str, Any] = {}

    def __enter__(self) -> Listener:
        from diagnostic_msgs.msg import DiagnosticArray
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
        from rclpy.task import Future

        with ExitStack() as stack:
            rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
            stack.callback(rclpy.try_shutdown)
            self._node = rclpy.create_node('benchmark_node')
            stack.callback(self._node.destroy_node)
            self._node.create_subscription(DiagnosticArray, '/diagnostics', self._keep, 100)
            executor, ended = SingleThreadedExecutor(), Future()
            stack.callback(executor.shutdown)
            executor.add_node(self._node)
            thread = threading.Thread(target=executor.spin_until_future_complete, args=(ended,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(ended.set_result, None)
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def find_type(self, topic: str) -> str:
        """Return the type of the messages on a topic, '' if nobody publishes it."""
        found = self._node.get_publishers_info_by_topic(topic)
        return str(found[0].topic_type) if found else ''

    @contextmanager
    def receive(self, topics: Sequence[str]) -> Iterator[None]:
        """
        Collect the arrivals on topics that have a publisher, in :attr:`arrivals` per topic.

        :raises BenchmarkError: if the messages have no header.
        """
        from rclpy.qos import QoSProfile

        # The diagnostics stay: a short measurement may end before the next ones arrive.
        self.arrivals, self.repeated = [{} for _ in topics], []
        with ExitStack() as stack:
            for topic, found in zip(topics, self.arrivals, strict=True):
                kind = self.find_type(topic)
                message_type = _import_stamped(topic, kind)
                policy = match_reliability(self._node.get_publishers_info_by_topic(topic))
                self._subscribe(
                    stack,
                    message_type,
                    topic,
                    partial(self._receive, found, kind == _DETECTIONS),
                    QoSProfile(depth=_DEPTH, reliability=policy),
                )
            yield

    @contextmanager
    def discard(
        self, topics: Sequence[str], *, compressed: bool, reliable: bool
    ) -> Iterator[None]:
        """Subscribe to images as the detector does, and discard them."""
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import CompressedImage, Image

        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=choose_image_depth(is_reliable=reliable), reliability=policy)
        with ExitStack() as stack:
            for topic in topics:
                message_type = CompressedImage if compressed else Image
                self._subscribe(stack, message_type, topic, lambda _message: None, qos)
            yield

    @contextmanager
    def subscribe(self, topics: Sequence[str]) -> Iterator[dict[str, list[int]]]:
        """
        Subscribe to messages of any type and discard them.

        :param topics: each has a publisher.
        :return: the times in ns at which messages arrived, by topic.
        :raises BenchmarkError: if the messages are not installed.
        """
        from rclpy.qos import QoSProfile

        arrivals: dict[str, list[int]] = {topic: [] for topic in topics}
        with ExitStack() as stack:
            for topic, times in arrivals.items():
                message_type = _import_message(topic, self.find_type(topic))
                policy = match_reliability(self._node.get_publishers_info_by_topic(topic))
                self._subscribe(
                    stack,
                    message_type,
                    topic,
                    partial(_store_time, times),
                    QoSProfile(depth=1, reliability=policy),
                )
            yield arrivals

    def clear(self) -> None:
        """Forget everything that has arrived, before another node starts."""
        self.arrivals, self.repeated = [], []
        self._statuses = {}

    def find_failure(self) -> str:
        """Return the error that a detector reports on /diagnostics, '' for none."""
        for name, status in dict(self._statuses).items():
            if name.endswith(': detector') and status.level == _ERROR:
                return str(status.message)
        return ''

    def read_status(self, part: str) -> dict[str, dict[str, str]]:
        """Return the last values of a part on /diagnostics by node, e.g. of 'stages'."""
        return {
            name.removesuffix(f': {part}'): {pair.key: pair.value for pair in status.values}
            for name, status in sorted(dict(self._statuses).items())
            if name.endswith(f': {part}')
        }

    def _subscribe(
        self, stack: ExitStack, message_type: Any, topic: str, callback: Any, qos: Any
    ) -> None:
        """Subscribe to serialized messages until the stack closes."""
        subscription = self._node.create_subscription(message_type, topic, callback, qos, raw=True)
        stack.callback(self._node.destroy_subscription, subscription)

    def _receive(self, found: dict[int, Arrival], has_detections: bool, message: bytes) -> None:
        """Store the time of one message; it may come after the end of its subscription."""
        now_ns = time.time_ns()
        stamp_ns, count = parse_header(message, has_detections)
        if stamp_ns in found:
            self.repeated.append(stamp_ns)
        else:
            found[stamp_ns] = (now_ns, count)

    def _keep(self, message: Any) -> None:
        """Keep the newest diagnostics."""
        self._statuses.update({status.name: status for status in message.status})


def parse_header(message: bytes, has_detections: bool) -> tuple[int, int]:
    """
    Read the stamp of a serialized message that begins with a header, and the number of detections.

    :param message: CDR with its representation header.
    :param has_detections: a sequence follows the header.
    :return: the stamp in ns, and the length of the sequence, 0 without one.
    """
    order = '<' if message[1] & 1 else '>'
    seconds, nanoseconds, length = struct.unpack_from(f'{order}iII', message, 4)
    count = 0
    if has_detections:
        (count,) = struct.unpack_from(f'{order}I', message, 16 + (length + 3) // 4 * 4)
    return seconds * 10**9 + nanoseconds, count


def _store_time(times: list[int], _message: bytes) -> None:
    """Store the time of one message."""
    times.append(time.time_ns())


def _import_message(topic: str, kind: str) -> Any:
    """
    Import a message type.

    :raises BenchmarkError: if it is not installed.
    """
    package, _, name = kind.replace('/msg/', '/').partition('/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as error:
        raise BenchmarkError(
            f'the type {kind} of {topic} cannot be imported ({error}); source its package'
        ) from error


def _import_stamped(topic: str, kind: str) -> Any:
    """
    Import a message type that begins with a header.

    :raises BenchmarkError: if it is not installed, or begins with something else.
    """
    message_type = _import_message(topic, kind)
    first = next(iter(message_type.get_fields_and_field_types().items()), ('', ''))
    if first != ('header', 'std_msgs/Header'):
        raise BenchmarkError(
            f'messages of {topic} have the type {kind}, which does not begin with a header; '
            'name a topic whose messages carry the stamp of the image, e.g. Detection2DArray'
        )
    return message_type
