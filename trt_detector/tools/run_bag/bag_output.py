# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Write detections into a bag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
import sqlite3
from typing import Any

import numpy as np

from ...image.drawing import class_label
from ...image.image import Image
from ...values.detections import Detections
from ..bag.definitions import DETECTIONS, make_typestore
from ..bag.reader import BagMessage
from .record import ImageHeader, ImageRecord

__all__ = ['BagOutput']

# Humble reads it; version 9 is read by Jazzy and later only.
_VERSION = 8
_UNKNOWN_HASH = f'RIHS01_{"0" * 64}'


class BagOutput:
    """
    Bag with a Detection2DArray per image, with its header, at its time in the bag.

    :param path: folder to create.
    :param storage: 'mcap' or 'sqlite3'.
    :param single_file: the result is the storage file alone, without metadata.yaml.
    :param topics: topic of the detections by topic of the images.
    :param copied: connections (rosbags.interfaces.Connection) of the messages to copy.
    :param class_ids: class_id text of each class.
    """

    needs_pixels = False

    def __init__(
        self,
        path: Path,
        storage: str,
        *,
        single_file: bool,
        topics: Mapping[str, str],
        copied: Sequence[Any],
        class_ids: Sequence[str],
    ) -> None:
        self._path = path
        self._storage = storage
        self._single_file = single_file
        self._topics = topics
        self._copied = copied
        self._class_ids = class_ids
        self._typestore = make_typestore()
        types = self._typestore.types
        self._types = {name.rpartition('/')[2]: types[name] for name in _NAMES}
        # No detector of an image knows a pose in space: every message shares this one.
        self._no_pose = self._make_no_pose()
        self._writer: Any = None
        self._connections: dict[tuple[str, str], Any] = {}

    def open(self) -> None:
        """Create the bag and its topics."""
        from rosbags.rosbag2 import StoragePlugin, Writer

        plugin = StoragePlugin[self._storage.upper()]
        self._writer = Writer(self._path, version=_VERSION, storage_plugin=plugin)
        self._writer.open()
        for topic in self._topics.values():
            self._connections[topic, DETECTIONS] = self._writer.add_connection(
                topic, DETECTIONS, typestore=self._typestore
            )
        for source in self._copied:
            key = (source.topic, source.msgtype)
            if key not in self._connections:
                self._connections[key] = self._writer.add_connection(
                    *key,
                    msgdef=source.msgdef.data,
                    rihs01=self._find_hash(source),
                    offered_qos_profiles=source.ext.offered_qos_profiles,
                )

    def write(self, record: ImageRecord, image: Image | None) -> None:  # noqa: ARG002
        """Write the detections of an image."""
        if record.header is None or record.detections is None:
            return
        message = self._make_message(record.header, record.detections)
        connection = self._connections[self._topics[record.topic], DETECTIONS]
        data = self._typestore.serialize_cdr(message, DETECTIONS)
        with _disk_errors():
            self._writer.write(connection, record.time_ns, data)

    def copy(self, message: BagMessage) -> None:
        """Copy a message of the bag."""
        connection = self._connections[message.topic, message.type]
        with _disk_errors():
            self._writer.write(connection, message.time_ns, message.data)

    def finish(self) -> Path:
        """Write the index, and return the folder or the storage file."""
        with _disk_errors():
            self._writer.close()
        if not self._single_file:
            return self._path
        (file,) = (file for file in self._path.iterdir() if file.suffix in ('.mcap', '.db3'))
        return file

    def abort(self) -> None:
        """Close the file without an index."""
        if self._writer is not None:
            with suppress(sqlite3.Error, OSError):
                self._writer.abort()

    def _find_hash(self, connection: Any) -> str:
        """Return the hash of a copied type; it is computed if the bag has the definition only."""
        if connection.digest:
            return str(connection.digest)
        try:
            typestore = make_typestore([(connection.msgtype, connection.msgdef)])
            return str(typestore.hash_rihs01(connection.msgtype))
        except Exception:  # noqa: BLE001 an unknown type; a player does not need its hash
            return _UNKNOWN_HASH

    def _make_message(self, header: ImageHeader, found: Detections) -> Any:
        """Make the Detection2DArray of one image, as the node does."""
        types = self._types
        stamp = types['Time'](sec=header.sec, nanosec=header.nanosec)
        shared = types['Header'](stamp=stamp, frame_id=header.frame_id)
        count = len(found)
        rows = zip(
            found.boxes_xyxy.tolist(),
            found.scores.tolist(),
            found.class_ids.tolist(),
            [0.0] * count if found.angles is None else found.angles.tolist(),
            [0] * count if found.track_ids is None else found.track_ids.tolist(),
            strict=True,
        )
        detections = []
        for (left, top, right, bottom), score, class_id, theta, track in rows:
            center = types['Point2D'](x=(left + right) / 2, y=(top + bottom) / 2)
            box = types['BoundingBox2D'](
                center=types['Pose2D'](position=center, theta=theta),
                size_x=right - left,
                size_y=bottom - top,
            )
            name = class_label(class_id, self._class_ids)
            result = types['ObjectHypothesisWithPose'](
                hypothesis=types['ObjectHypothesis'](class_id=name, score=score),
                pose=self._no_pose,
            )
            detections.append(
                types['Detection2D'](
                    header=shared, results=[result], bbox=box, id=str(track) if track else ''
                )
            )
        return types['Detection2DArray'](header=shared, detections=detections)

    def _make_no_pose(self) -> Any:
        """Make a pose of zeros, as a new message of ROS has it."""
        types = self._types
        return types['PoseWithCovariance'](
            pose=types['Pose'](
                position=types['Point'](x=0.0, y=0.0, z=0.0),
                orientation=types['Quaternion'](x=0.0, y=0.0, z=0.0, w=1.0),
            ),
            covariance=np.zeros(36),
        )


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Raise errors of SQLite as OSError, as those of other files are."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f'the new bag cannot be written: {error}') from error


_NAMES = (
    'builtin_interfaces/msg/Time',
    'std_msgs/msg/Header',
    'geometry_msgs/msg/Point',
    'geometry_msgs/msg/Quaternion',
    'geometry_msgs/msg/Pose',
    'geometry_msgs/msg/PoseWithCovariance',
    'vision_msgs/msg/Point2D',
    'vision_msgs/msg/Pose2D',
    'vision_msgs/msg/BoundingBox2D',
    'vision_msgs/msg/ObjectHypothesis',
    'vision_msgs/msg/ObjectHypothesisWithPose',
    'vision_msgs/msg/Detection2D',
    DETECTIONS,
)
