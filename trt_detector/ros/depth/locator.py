# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Locate the detections of one message in the depth image of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...depth.box3d import Box3D
from ...depth.camera_model import CameraModel
from ...depth.config import DepthConfig
from ...depth.depth_image import DepthImage
from ...depth.locate import locate_boxes
from ...errors import ImageError
from .messages import read_boxes

__all__ = ['LocatedDetections', 'Locator']


@dataclass(frozen=True, slots=True)
class LocatedDetections:
    """
    Detections of one array that have a place.

    :param boxes: pairs of Detection2D and box.
    :param reasons: why each of the others has none.
    """

    boxes: list[tuple[Any, Box3D]]
    reasons: list[str]


class Locator:
    """Locator with the newest CameraInfo; not thread-safe."""

    def __init__(self) -> None:
        #: Newest CameraInfo; None before the first.
        self.info: Any = None
        self._camera: tuple[bool, CameraModel] | None = None
        #: Pixels of the depth image per pixel of the image of the detections.
        self.scale: float | None = None

    def set_info(self, info: Any) -> None:
        """Set the CameraInfo of the image of the detections."""
        old, self.info = self.info, info
        if old is None or not _is_same_camera(old, info):
            self._camera = None

    def locate(self, detections: Any, depth: Any, config: DepthConfig) -> LocatedDetections:
        """
        Locate detections in the frame of a depth image.

        :param detections: Detection2DArray.
        :param depth: sensor_msgs/Image.
        :raises ImageError: if the messages do not fit together.
        """
        if self.info is None:
            raise ImageError(
                'no CameraInfo has arrived yet: check camera_info_topic, and that the camera '
                'publishes it'
            )
        _check_frames(detections.header.frame_id, depth.header.frame_id, config)
        if self._camera is None or self._camera[0] != config.rectified:
            camera = CameraModel.from_message(self.info, rectified=config.rectified)
            self._camera = (config.rectified, camera)
        camera = self._camera[1]
        image = DepthImage.from_message(depth)
        is_same_size = image.size_wh == (camera.width, camera.height)
        is_framed = bool(detections.header.frame_id and depth.header.frame_id)
        if config.check_frames and not is_same_size and not is_framed:
            raise ImageError(
                f'depth image is {image.size_wh[0]}x{image.size_wh[1]}, the CameraInfo is that of '
                f'an image of {camera.width}x{camera.height}, and no frame_id tells whether they '
                'are aligned: let both cameras set it, or set check_frames to false if they are'
            )
        places = locate_boxes(read_boxes(detections.detections), image, camera, config)
        self.scale = image.size_wh[0] / camera.width
        boxes, reasons = [], []
        for source, place in zip(detections.detections, places, strict=True):
            if isinstance(place, str):
                reasons.append(place)
            else:
                boxes.append((source, place))
        return LocatedDetections(boxes, reasons)


def _check_frames(detections: str, depth: str, config: DepthConfig) -> None:
    """Refuse a depth image in another frame, or raise ImageError."""
    if config.check_frames and detections and depth and detections != depth:
        raise ImageError(
            f'the detections are in frame {detections!r}, but the depth image is in {depth!r}: '
            'use the depth image that is aligned to the image of the detections (RealSense: '
            'align_depth.enable), or set check_frames to false if it is aligned'
        )


def _is_same_camera(one: Any, other: Any) -> bool:
    """Tell whether two CameraInfo describe the same camera."""
    names = ('width', 'height', 'distortion_model', 'binning_x', 'binning_y', 'roi')
    if any(getattr(one, name) != getattr(other, name) for name in names):
        return False
    return all(list(getattr(one, name)) == list(getattr(other, name)) for name in ('k', 'p', 'd'))
