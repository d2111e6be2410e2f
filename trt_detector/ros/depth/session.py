# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Resources of the configured detections_3d node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
import threading
import time
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from vision_msgs.msg import Detection2DArray

from ...depth.config import DepthConfig
from ...depth.stamp_matcher import Match, StampMatcher
from ...errors import DetectorError
from ...image.message import read_stamp_ns
from ..camera_subscription import CameraSubscription
from ..image_receiver import Receiver
from ..steady_timer import create_steady_timer
from ..subscription_group import FollowingSubscription, SubscriptionGroup
from ..topics import CameraTopics, resolve_topic
from .counts import DepthCounts
from .frame_transformer import FrameTransformer
from .info_subscription import InfoSubscription
from .input_topic import InputTopic
from .locator import Locator
from .publisher import Publisher

__all__ = ['DepthSession']

# Time between two looks at detections that wait for a nearer depth image.
_DECIDE_PERIOD_S = 0.1
_LOG_PERIOD_S = 10.0


class DepthSession:
    """
    Subscriptions, matcher and publishers; created by configure, closed by cleanup.

    :param node: creates the publishers and subscriptions.
    :param config: parameters of the node.
    :param receiver: runs the callbacks of the subscriptions.
    :param on_error: called with a sentence about each refused array, for the diagnostics.
    :raises ConfigError: if the name of a topic is invalid or tf2_ros is missing.
    """

    def __init__(
        self,
        node: Node,
        config: DepthConfig,
        receiver: Receiver,
        on_error: Callable[[str], None],
    ) -> None:
        self._node = node
        self._on_error = on_error
        self.config = config
        self.counts = DepthCounts()
        self.last_problem = ''
        self.gap_ns: int | None = None
        self.started_s: float | None = None
        self._lock = threading.Lock()
        self._timer: Any = None
        self._matcher = StampMatcher(round(config.sync_tolerance * 1e9), config.queue_size)
        self._locator = Locator()
        self.detections = InputTopic(
            resolve_topic(config.detections_topic, node.resolve_topic_name, 'detections_topic is'),
            Detection2DArray,
        )
        self.depth = InputTopic(
            resolve_topic(config.depth_topic, node.resolve_topic_name, 'depth_topic is'),
            ImageMessage,
        )
        self.info = InputTopic(
            resolve_topic(config.info_topic, node.resolve_topic_name, 'camera_info_topic is'),
            CameraInfo,
        )
        self._group = SubscriptionGroup(node, receiver, self._make_subscriptions(receiver))
        with ExitStack() as undo:
            self._transformer = None
            if config.target_frame:
                self._transformer = FrameTransformer(node, config.target_frame)
                undo.callback(self._transformer.close)
            self._publisher = Publisher(node)
            self._undo = undo.pop_all()
        self._undo.callback(self._publisher.close)

    def _make_subscriptions(self, receiver: Receiver) -> Sequence[FollowingSubscription]:
        """Make the subscriptions, with the names before remapping, so that it is applied once."""
        node, config = self._node, self.config
        return (
            CameraSubscription(
                node,
                receiver,
                _as_camera(node, config.depth_topic),
                config.qos_reliability,
                self._receive_depth,
            ),
            CameraSubscription(
                node,
                receiver,
                _as_camera(node, config.detections_topic),
                config.qos_reliability,
                self._receive_detections,
                Detection2DArray,
            ),
            InfoSubscription(node, config.info_topic, self._receive_info),
        )

    @property
    def inputs(self) -> Sequence[InputTopic]:
        """Topics that the node subscribes to."""
        return (self.detections, self.depth, self.info)

    @property
    def has_markers(self) -> bool:
        """Whether visualization_msgs is installed."""
        return self._publisher.has_markers

    @property
    def scale(self) -> float | None:
        """Pixels of the depth image per pixel of the detections; None before the first array."""
        return self._locator.scale

    def start(self) -> None:
        """
        Subscribe.

        :raises ConfigError: if the middleware refuses.
        """
        with ExitStack() as undo:
            undo.callback(self._group.close)
            self._group.open()
            undo.pop_all()
        self._timer = create_steady_timer(self._node, _DECIDE_PERIOD_S, self._decide)
        self.started_s = time.monotonic()

    def stop(self) -> None:
        """Unsubscribe, and give up the detections that wait; calling it again does nothing."""
        self.started_s = None
        timer, self._timer = self._timer, None
        if timer is not None:
            self._node.destroy_timer(timer)
        self._group.close()
        with self._lock:
            for match in self._matcher.drain():
                self._finish(replace(match, depth=None))

    def close(self) -> None:
        """Release all resources; calling it again does nothing."""
        self.stop()
        self._undo.close()

    def apply(self, config: DepthConfig) -> None:
        """Apply changed live parameters."""
        with self._lock:
            self._matcher.tolerance_ns = round(config.sync_tolerance * 1e9)
            self.config = config

    def _receive_detections(self, message: Any) -> None:
        """Match detections; called in the thread of the receiver, like the other two."""
        self.detections.count()
        with self._lock:
            stamp_ns = read_stamp_ns(message)
            if stamp_ns <= 0:
                self.counts.unstamped += 1
                self._note(
                    'the detections have no stamp: let the camera set the stamp of its images'
                )
                return
            self._process(self._matcher.add_detections(stamp_ns, message, time.monotonic()))

    def _receive_depth(self, message: Any) -> None:
        """Match a depth image."""
        self.depth.count()
        with self._lock:
            self._process(
                self._matcher.add_depth(read_stamp_ns(message), message, time.monotonic())
            )

    def _receive_info(self, message: Any) -> None:
        """Keep the newest CameraInfo: it is the same for all images while a camera runs."""
        with self._lock:
            # A latched message arrives again if the node subscribes anew.
            if message != self._locator.info:
                self.info.count()
                self._locator.set_info(message)

    def _decide(self) -> None:
        """Match detections that no nearer depth image came for."""
        with self._lock:
            self._process(self._matcher.decide(time.monotonic()))

    def _process(self, matches: Sequence[Match]) -> None:
        """Handle decided matches."""
        if self._matcher.jumps > self.counts.jumps:
            self.counts.jumps = self._matcher.jumps
            self._node.get_logger().warning(
                'the stamps went back by more than 1 s, e.g. of a recording in a loop: waiting '
                'messages of the time before are dropped',
                throttle_duration_sec=_LOG_PERIOD_S,
            )
        for match in matches:
            self._finish(match)

    def _finish(self, match: Match) -> None:
        """Publish or count the detections of one match."""
        if match.gap_ns is not None:
            self.gap_ns = match.gap_ns
        if match.depth is None:
            self.counts.unmatched += 1
            self._note(_describe_gap(match.gap_ns, self.config.sync_tolerance))
            return
        try:
            self._locate(match.detections, match.depth)
        except DetectorError as error:
            self.counts.refused += 1
            self._note(str(error))

    def _locate(self, detections: Any, depth: Any) -> None:
        """Locate the boxes of one array and publish them, or raise DetectorError."""
        found = self._locator.locate(detections, depth, self.config)
        header = depth.header
        boxes = found.boxes
        frame = header.frame_id
        if self._transformer is not None:
            rotation, shift = self._transformer.find(header, self.config.transform_timeout)
            boxes = [(source, box.transform(rotation, shift)) for source, box in boxes]
            frame = self.config.target_frame
        self._publisher.publish(header, frame, boxes)
        self.counts.published += 1
        self.counts.located += len(boxes)
        self.counts.no_depth += found.reasons.count('no depth')
        self.counts.outside += found.reasons.count('outside')
        self.counts.malformed += found.reasons.count('malformed')

    def _note(self, text: str) -> None:
        """Store a problem, and log it from time to time."""
        self.last_problem = text
        self._on_error(text)
        self._node.get_logger().warning(
            f'no 3D detections: {text}', throttle_duration_sec=_LOG_PERIOD_S
        )


def _as_camera(node: Node, topic: str) -> CameraTopics:
    """Describe a topic for :class:`CameraSubscription`; it publishes nothing."""
    full = node.resolve_topic_name(topic)
    given = node.resolve_topic_name(topic, only_expand=True)
    return CameraTopics(
        full, given, topic, full, compressed=False, detections='', debug_image='', annotations=''
    )


def _describe_gap(gap_ns: int | None, tolerance_s: float) -> str:
    """Describe that no depth image has nearly the stamp of the detections."""
    if gap_ns is None:
        return 'no depth image has arrived for the detections'
    side = 'newer' if gap_ns > 0 else 'older'
    return (
        f'the nearest depth image is {abs(gap_ns) / 1e9:.3f} s {side} than the detections; '
        f'sync_tolerance is {tolerance_s:g} s: synchronize the clocks and cameras, raise '
        'sync_tolerance if that is precise enough, or queue_size if the detections are late'
    )
