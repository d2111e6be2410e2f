# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of calibration frames: pictures, a video, a rosbag2, or a live topic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
import time
from typing import Any, Protocol

import cv2
import numpy as np

from ...errors import BagError, ImageError
from ...image.files import picture_files
from ...image.image import Image
from ...image.message import read_message
from ...quantize.sampling import SourceFrame
from ...values.user_path import expand_user
from ..bag.reader import BagMessage, BagReader
from ..ros_tool import SOURCE_ROS, start_ros
from ..topic_check import check_topic_name, COMPRESSED_TYPE, explain_no_image

__all__ = ['BagSource', 'FrameSource', 'PictureSource', 'TopicSource', 'VideoSource']


class FrameSource(Protocol):
    """Source of frames; created, read and closed in one thread."""

    @property
    def total(self) -> int | None:
        """Return the number of frames, None if it is unknown."""

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the frames in order; a frame can be loaded until the next is requested."""

    def close(self) -> None:
        """Free everything."""


class PictureSource:
    """
    Picture files.

    :param paths: folders and files.
    :raises ImageError: if there are none.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files = picture_files(paths)

    @property
    def total(self) -> int | None:
        """Return the number of files."""
        return len(self._files)

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the files."""
        for number, path in enumerate(self._files):
            yield SourceFrame(number, path.name, partial(Image.from_file, path))

    def close(self) -> None:
        """Do nothing: each file is closed after it is read."""


class VideoSource:
    """
    A video file, read with OpenCV.

    :raises ImageError: if OpenCV cannot open it.
    """

    def __init__(self, path: Path) -> None:
        path = expand_user(path)
        if not path.is_file():
            raise ImageError(f'--video {path} is not a file')
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ImageError(
                f'--video {path}: OpenCV cannot open it; convert it, e.g. to H.264 in MP4, or '
                'extract pictures and name their folder with --images'
            )

    @property
    def total(self) -> int | None:
        """Return the number of frames that the file declares."""
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return count if count > 0 else None

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the frames; only those that are loaded are decoded in full."""
        number = 0
        while self._capture.grab():
            yield SourceFrame(number, f'{self._path.name} frame {number}', self._retrieve)
            number += 1

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _retrieve(self) -> Image:
        """Return the frame that was grabbed last."""
        done, pixels = self._capture.retrieve()
        if not done or pixels is None:
            raise ImageError(f'{self._path.name}: OpenCV cannot decode a frame')
        return Image.from_array(np.ascontiguousarray(pixels))


class BagSource:
    """
    The images of a rosbag2, sqlite3 or mcap; no ROS 2 is needed to read them.

    :param path: of the bag.
    :param topics: of the images; empty takes every image topic.
    :raises BagError: if it cannot be read, or has no such images.
    """

    def __init__(self, path: Path, topics: Sequence[str]) -> None:
        self._reader = BagReader(path)
        try:
            self._topics = self._reader.select_images(topics)
        except BagError:
            self._reader.close()
            raise

    @property
    def total(self) -> int | None:
        """Return the number of images."""
        return sum(topic.count for topic in self._topics)

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the images in recording order."""
        messages = self._reader.read({topic.name for topic in self._topics})
        for number, message in enumerate(messages):

            def load(message: BagMessage = message) -> Image:
                return read_message(self._reader.deserialize(message))

            yield SourceFrame(number, f'{message.topic} {message.time_ns} ns', load)

    def close(self) -> None:
        """Close the bag."""
        self._reader.close()


class TopicSource:
    """
    Every k-th image of a live topic.

    :param topic: of sensor_msgs/Image or CompressedImage.
    :param every: k.
    :param timeout_s: seconds without an image after which the input ends.
    :raises ImageError: if there is no ROS 2.
    :raises ConfigError: if the name of the topic is invalid.
    """

    def __init__(self, topic: str, every: int, timeout_s: float) -> None:
        try:
            import rclpy
        except ImportError as error:
            raise ImageError(f'--topic needs ROS 2 ({error}): {SOURCE_ROS}') from error
        self._topic = check_topic_name(topic)
        self._rclpy: Any = rclpy
        self._every = every
        self._timeout_s = timeout_s
        self._context = rclpy.Context()
        start_ros(context=self._context)
        self._node: Any = rclpy.create_node('trt_detector_calibrate', context=self._context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._newest: Any = None
        self._received = 0

    @property
    def total(self) -> int | None:
        """Return None: the number is unknown."""
        return None

    def frames(self) -> Iterator[SourceFrame]:
        """
        Yield images until none arrives within the timeout.

        :raises ImageError: if not even one arrives, with the likely reason.
        """
        self._subscribe()
        number = 0
        while (message := self._wait()) is not None:

            def load(message: Any = message) -> Image:
                return read_message(message)

            yield SourceFrame(number, f'{self._topic} image {self._received}', load)
            number += 1
        if not number:
            raise ImageError(explain_no_image(self._node, self._topic, self._timeout_s))

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._rclpy.shutdown(context=self._context)

    def _subscribe(self) -> None:
        """Wait for a publisher, and subscribe to messages of its type."""
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import CompressedImage
        from sensor_msgs.msg import Image as ImageMessage

        deadline_s = time.monotonic() + self._timeout_s
        while not (found := self._node.get_publishers_info_by_topic(self._topic)):
            if time.monotonic() > deadline_s:
                raise ImageError(explain_no_image(self._node, self._topic, self._timeout_s))
            self._executor.spin_once(timeout_sec=0.1)
        is_compressed = COMPRESSED_TYPE in {info.topic_type for info in found}
        message_type = CompressedImage if is_compressed else ImageMessage
        self._node.create_subscription(
            message_type, self._topic, self._keep, qos_profile_sensor_data
        )

    def _keep(self, message: Any) -> None:
        """Keep every k-th image."""
        if self._received % self._every == 0:
            self._newest = message
        self._received += 1

    def _wait(self) -> Any:
        """Wait for the next image to take, None after the timeout."""
        deadline = time.monotonic() + self._timeout_s
        self._newest = None
        while self._newest is None and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.1)
        return self._newest
