# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Serialize Detection2DArray messages without message objects.

rclpy spends about 10 us on each detection, because it converts its 60 fields one by one, and most
of them are constant here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import logging
import struct

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from ..image.drawing import class_label
from ..values.detections import Detections
from .messages import DetectionsMessage

__all__ = ['DetectionsSerializer', 'choose_encoder']

_LOG = logging.getLogger(__name__)

# Plain CDR, little-endian. Alignment counts from the end of this header.
_ENCAPSULATION = b'\x00\x01\x00\x00'
_STAMP = struct.Struct('<iI')
_LENGTH = struct.Struct('<I')
_SCORE = struct.Struct('<d')
_BOX = struct.Struct('<5d')
# Position, orientation (no rotation) and covariance, which a 2D detector does not know.
_POSE = struct.pack('<43d', *[0.0] * 6, 1.0, *[0.0] * 36)
_NO_ID = _LENGTH.pack(1) + b'\0'


class DetectionsSerializer:
    """
    Serializer of the detections of one camera, as bytes for rclpy's publishers.

    :param class_ids: class_id text of each class; a class beyond them gets its number.
    """

    def __init__(self, class_ids: Sequence[str]) -> None:
        self._class_ids = class_ids
        self._frame_id = ''
        # Bytes between the header and the score by class and start of the detection modulo 8.
        self._middles: dict[tuple[int, int], bytes] = {}

    def serialize(self, header: Header, detections: Detections) -> bytes:
        """
        Serialize the detections of one image.

        :param header: header of the image; the array and each detection get it.
        :param detections: in pixels of the original image.
        """
        if header.frame_id != self._frame_id:
            self._middles.clear()
            self._frame_id = header.frame_id
        stamp = header.stamp
        start = _STAMP.pack(stamp.sec, stamp.nanosec) + _encode_text(header.frame_id)
        count = len(detections)
        parts = [_ENCAPSULATION, start, _pad(len(start), 4), _LENGTH.pack(count)]
        position = sum(map(len, parts)) - len(_ENCAPSULATION)
        ids = detections.track_ids
        rows = zip(
            detections.boxes_xyxy.tolist(),
            detections.scores.tolist(),
            detections.class_ids.tolist(),
            [0.0] * count if detections.angles is None else detections.angles.tolist(),
            [0] * count if ids is None else ids.tolist(),
            strict=True,
        )
        for (left, top, right, bottom), score, class_id, theta, number in rows:
            padding = _pad(position, 4)
            position += len(padding)
            middle = self._middles.get((class_id, position % 8))
            if middle is None:
                middle = self._make_middle(class_id, position, len(start))
            box = _BOX.pack(
                (left + right) / 2, (top + bottom) / 2, theta, right - left, bottom - top
            )
            text = _encode_text(str(number)) if number else _NO_ID
            parts += (padding, start, middle, _SCORE.pack(score), _POSE, box, text)
            # The numbers end at a multiple of 8.
            position = len(text)
        return b''.join(parts)

    def _make_middle(self, class_id: int, position: int, start_bytes: int) -> bytes:
        """Make the bytes between the header of a detection and its score: one class_id."""
        begin = position + start_bytes
        middle = _pad(begin, 4) + _LENGTH.pack(1)
        middle += _encode_text(class_label(class_id, self._class_ids))
        middle += _pad(begin + len(middle), 8)
        self._middles[class_id, position % 8] = middle
        return middle


def choose_encoder(
    class_ids: Sequence[str],
) -> Callable[[Header, Detections], bytes | Detection2DArray]:
    """
    Choose how detections become what rclpy publishes.

    :param class_ids: class_id text of each class.
    :return: the serializer, if the middleware reads its bytes as the message; else the conversion
        to message objects.
    """
    serializer, message = DetectionsSerializer(class_ids), DetectionsMessage(class_ids)
    header = Header(frame_id='camera')
    header.stamp.sec, header.stamp.nanosec = 7, 9
    detections = _make_examples()
    expected, encoded = message.fill(header, detections), serializer.serialize(header, detections)
    # Not the bytes: those between the fields are not defined.
    if (
        len(encoded) == len(serialize_message(expected))
        and deserialize_message(encoded, Detection2DArray) == expected
    ):
        return serializer.serialize
    _LOG.info('rclpy serializes the detections: this middleware has another layout of messages')
    return message.fill


def _make_examples() -> Detections:
    """Make detections whose parts have several lengths."""
    count = 3
    boxes = np.arange(4 * count, dtype=np.float32).reshape(count, 4)
    scores = np.linspace(0.9, 0.5, count, dtype=np.float32)
    ids = np.array([0, 12, 1234567], np.int64)
    angles = np.linspace(0, 1, count, dtype=np.float32)
    return Detections(
        boxes, scores, np.arange(count, dtype=np.int32), angles=angles, track_ids=ids
    )


def _encode_text(text: str) -> bytes:
    """Encode a string: number of bytes, UTF-8, and a zero, at which rclpy ends a text, too."""
    encoded = text.partition('\0')[0].encode() + b'\0'
    return _LENGTH.pack(len(encoded)) + encoded


def _pad(position: int, alignment: int) -> bytes:
    """Return the zeros from a position to the next multiple of the alignment."""
    return bytes(-position % alignment)
