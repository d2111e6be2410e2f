# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert messages to images, and detections to messages."""

from __future__ import annotations

import array
from collections.abc import Sequence
from dataclasses import replace
import reprlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage as CompressedImageMessage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from ..errors import ImageError
from ..image.compressed import MAX_IMAGE_PIXELS
from ..image.drawing import class_label
from ..image.image import Image, SUPPORTED_ENCODINGS
from ..image.message import check_pixel_count, open_message
from ..image.shared_values import SharedValues
from ..values.detections import Detections
from .serialized.image_message import DamagedMessage, make_image_message, ReceivedImage
from .sharing.shared_message import SharedMessage

__all__ = [
    'DetectionsMessage',
    'make_compressed_image',
    'make_image',
    'make_label_info',
    'read_image',
]

_JPEG_QUALITY = 80
_POOL_SIZE = 300
# An error of cv_bridge can repeat an encoding of any length.
_ERROR_LENGTH = 200


def read_image(message: Any, max_pixels: int = MAX_IMAGE_PIXELS) -> Image:
    """
    Read the image of a sensor_msgs Image or CompressedImage, of rclpy or as it was received.

    A raw image shares the bytes of the message. A JPEG is decoded when it is used. Encodings that
    this package does not know are converted by cv_bridge. A
    :class:`.sharing.shared_message.SharedMessage` is read by the first thread that asks; all get
    the same image.

    :param max_pixels: limit of width times height.
    :raises ImageError: if the message holds no image that can be read, or a larger one.
    """
    if isinstance(message, SharedMessage):
        image: Image = message.images.get(
            max_pixels, lambda: _share(read_image(message.message, max_pixels))
        )
        return image
    if isinstance(message, DamagedMessage):
        raise ImageError(message.reason)
    is_raw = isinstance(message, ImageMessage | ReceivedImage)
    if is_raw and message.encoding not in SUPPORTED_ENCODINGS:
        check_pixel_count(message, max_pixels)
        return _read_with_cv_bridge(message)
    return open_message(message, max_pixels=max_pixels)


def _share(image: Image) -> Image:
    """Let several detectors share what is computed from an image."""
    return replace(image, shared=SharedValues())


def _read_with_cv_bridge(message: ImageMessage | ReceivedImage) -> Image:
    """
    Convert an image with cv_bridge.

    :raises ImageError: if cv_bridge is missing or cannot convert it.
    """
    known = ', '.join(sorted(SUPPORTED_ENCODINGS))
    try:
        # Imported here: it fails if NumPy is not the version that cv_bridge was compiled against,
        # and the encodings of common cameras do not need it.
        from cv_bridge import CvBridge

        if isinstance(message, ReceivedImage):
            message = make_image_message(message)
        picture = CvBridge().imgmsg_to_cv2(message, desired_encoding='bgr8')
    except Exception as error:
        raise ImageError(
            f'encoding is {reprlib.repr(message.encoding)}; expected one of {known}, or one that '
            f'cv_bridge converts to bgr8 ({type(error).__name__}: {str(error)[:_ERROR_LENGTH]})'
        ) from error
    return Image.from_array(np.asarray(picture, np.uint8))


class DetectionsMessage:
    """
    Detection2DArray whose Detection2D objects are reused.

    Creating a hundred Detection2D takes rclpy longer than sending them. Not thread-safe.

    :param class_ids: class_id text of each class; a class beyond them gets its number.
    """

    def __init__(self, class_ids: Sequence[str]) -> None:
        self._class_ids = class_ids
        self._pool: list[Detection2D] = []
        self._has_ids = False

    def fill(self, header: Header, detections: Detections) -> Detection2DArray:
        """
        Fill the message with the detections of one image; it is valid until the next call.

        :param header: header of the image; the array and each detection share this object.
        :param detections: in pixels of the original image.
        """
        count = len(detections)
        while len(self._pool) < count:
            self._pool.append(_blank_detection())
        # One crowded image must not keep its memory forever.
        del self._pool[max(count, _POOL_SIZE) :]
        rows = zip(
            self._pool,
            detections.boxes_xyxy.tolist(),
            detections.scores.tolist(),
            detections.class_ids.tolist(),
            [0.0] * count if detections.angles is None else detections.angles.tolist(),
            strict=False,
        )
        for message, (left, top, right, bottom), score, class_id, theta in rows:
            message.header = header
            box = message.bbox
            box.center.position.x = (left + right) / 2
            box.center.position.y = (top + bottom) / 2
            box.center.theta = theta
            box.size_x = right - left
            box.size_y = bottom - top
            hypothesis = message.results[0].hypothesis
            hypothesis.class_id = class_label(class_id, self._class_ids)
            hypothesis.score = score
        self._set_ids(detections)
        return Detection2DArray(header=header, detections=self._pool[:count])

    def _set_ids(self, detections: Detections) -> None:
        """Write the track ids; one without a track is empty, as all are if no tracker is on."""
        ids = detections.track_ids
        if ids is None and not self._has_ids:
            return
        self._has_ids = ids is not None
        numbers = [0] * len(detections) if ids is None else ids.tolist()
        for message, number in zip(self._pool, numbers, strict=False):
            message.id = str(number) if number else ''


def _blank_detection() -> Detection2D:
    """Create a detection with one hypothesis."""
    return Detection2D(results=[ObjectHypothesisWithPose()])


def make_label_info(
    header: Header, class_names: Sequence[str], score_threshold: float
) -> LabelInfo:
    """Create the table of class numbers and names, without those that class_map merged."""
    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=number, class_name=name)
            for number, name in enumerate(class_names)
            if name
        ],
        threshold=score_threshold,
    )


def make_image(header: Header, picture: npt.NDArray[np.uint8]) -> ImageMessage:
    """
    Create a bgr8 message.

    :param picture: uint8 (height, width, 3) in BGR order; copied.
    """
    height, width = picture.shape[:2]
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(picture).data.cast('B'))
    return ImageMessage(
        header=header, height=height, width=width, encoding='bgr8', step=width * 3, data=data
    )


def make_compressed_image(
    header: Header, picture: npt.NDArray[np.uint8]
) -> CompressedImageMessage:
    """
    Create a JPEG message.

    :param picture: uint8 (height, width, 3) in BGR order.
    """
    _, encoded = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    data = array.array('B', encoded.tobytes())
    return CompressedImageMessage(header=header, format='bgr8; jpeg compressed bgr8', data=data)
