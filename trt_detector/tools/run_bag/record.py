# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Result of one image of a bag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...values.detections import Detections

__all__ = ['ImageHeader', 'ImageRecord']


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """
    Header of an image.

    :param sec: seconds of its stamp.
    :param nanosec: nanoseconds of its stamp.
    :param frame_id: of the camera.
    """

    sec: int
    nanosec: int
    frame_id: str

    @classmethod
    def from_message(cls, message: Any) -> ImageHeader:
        """Read the header of a deserialized message; CompressedVideo has its fields alone."""
        header = message.header if hasattr(message, 'header') else message
        stamp = header.stamp if hasattr(header, 'stamp') else header.timestamp
        return cls(int(stamp.sec), int(stamp.nanosec), str(header.frame_id))


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """
    Detections in one image of the bag, or the reason why it has none.

    :param topic: topic of the image.
    :param time_ns: time in the bag.
    :param header: of the image; None if the message cannot be deserialized.
    :param size_wh: width and height in pixels; (0, 0) if it is malformed.
    :param detections: in pixels of the image; None if it is malformed.
    :param error: the reason why it is malformed.
    """

    topic: str
    time_ns: int
    header: ImageHeader | None
    size_wh: tuple[int, int] = (0, 0)
    detections: Detections | None = None
    error: str = ''

    @property
    def stamp_ns(self) -> int:
        """Stamp of the image in nanoseconds; without one its time in the bag."""
        header = self.header
        stamp_ns = 0 if header is None else header.sec * 10**9 + header.nanosec
        return stamp_ns if stamp_ns > 0 else self.time_ns

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON keeps exactly: a float32 is a double without a loss."""
        header, found = self.header, self.detections
        value: dict[str, Any] = {'topic': self.topic, 'time': self.time_ns}
        if header is not None:
            value['header'] = [header.sec, header.nanosec, header.frame_id]
        if found is None:
            return value | {'error': self.error}
        value |= {
            'size': list(self.size_wh),
            'boxes': found.boxes_xyxy.tolist(),
            'scores': found.scores.tolist(),
            'classes': found.class_ids.tolist(),
            'invalid': found.invalid,
        }
        if found.angles is not None:
            value['angles'] = found.angles.tolist()
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ImageRecord:
        """Read what :meth:`to_json` returned."""
        header = ImageHeader(*value['header']) if 'header' in value else None
        if 'error' in value:
            return cls(value['topic'], value['time'], header, error=value['error'])
        angles = value.get('angles')
        found = Detections(
            boxes_xyxy=np.array(value['boxes'], np.float32).reshape(-1, 4),
            scores=np.array(value['scores'], np.float32),
            class_ids=np.array(value['classes'], np.int32),
            invalid=value['invalid'],
            angles=None if angles is None else np.array(angles, np.float32),
        )
        width, height = value['size']
        return cls(value['topic'], value['time'], header, (width, height), found)
