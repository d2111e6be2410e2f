# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of the detections of one camera by place and size."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

import numpy as np
import numpy.typing as npt

from ..image.image import Image
from ..values.detections import Detections
from .ignore_mask import IgnoreMask
from .region import Region

__all__ = ['CameraRegions']

# The lower and right edge of the image belong to it.
_LAST = float(np.nextafter(1.0, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class CameraRegions:
    """
    Regions, masks and sizes of one camera.

    :param include: the detection has to be in one of them, if there are any.
    :param exclude: the detection must be in none of them.
    :param masks: the detection must not be ignored by any of them.
    :param anchor: 'center' or 'bottom', the point of a box that counts.
    :param min_wh: minimum (width, height) of a box; numbers below 1 are shares of the image.
    :param max_wh: maximum (width, height), likewise; 0 is no limit.
    :param crop: detect in the bounding box of the include regions only.
    """

    include: tuple[Region, ...] = ()
    exclude: tuple[Region, ...] = ()
    masks: tuple[IgnoreMask, ...] = ()
    anchor: str = 'center'
    min_wh: tuple[float, float] = (0.0, 0.0)
    max_wh: tuple[float, float] = (0.0, 0.0)
    crop: bool = False

    def crop_image(self, image: Image) -> Image:
        """Crop an image for the detector; the image itself if it is needed as a whole."""
        box_xyxy = self.find_crop((image.width, image.height))
        return image if box_xyxy is None else image.crop(box_xyxy)

    def find_crop(self, size_wh: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """
        Find the part of an image in which to detect.

        :param size_wh: width and height of the image in pixels.
        :return: left, top, right, bottom: even numbers or edges of the image; None for all of it.
        """
        if not (self.crop and self.include):
            return None
        points = np.array([point for region in self.include for point in region.points])
        (left, top), (right, bottom) = points.min(axis=0) * size_wh, points.max(axis=0) * size_wh
        width, height = size_wh
        box = (
            math.floor(left / 2) * 2,
            math.floor(top / 2) * 2,
            min(math.ceil(right / 2) * 2, width),
            min(math.ceil(bottom / 2) * 2, height),
        )
        return None if box == (0, 0, width, height) else box

    def restore(self, detections: Detections, size_wh: tuple[int, int]) -> Detections:
        """
        Map detections from the cropped into the whole image.

        :param size_wh: width and height of the whole image in pixels.
        """
        box_xyxy = self.find_crop(size_wh)
        if box_xyxy is None:
            return detections
        offset = np.array(box_xyxy[:2] * 2, np.float32)
        return replace(detections, boxes_xyxy=detections.boxes_xyxy + offset)

    def select(self, detections: Detections, size_wh: tuple[int, int]) -> Detections:
        """
        Select the detections that are wanted.

        :param detections: in pixels of the image.
        :param size_wh: width and height of the image in pixels.
        """
        if not len(detections):
            return detections
        wanted = self._have_size(detections, size_wh)
        points = self._find_anchors(detections, size_wh)
        if self.include:
            wanted &= np.any([region.contains(points) for region in self.include], axis=0)
        for region in self.exclude:
            wanted &= ~region.contains(points)
        for mask in self.masks:
            wanted &= ~mask.contains(points)
        return detections if wanted.all() else detections.select(wanted)

    def _have_size(
        self, detections: Detections, size_wh: tuple[int, int]
    ) -> npt.NDArray[np.bool_]:
        """Mask the boxes within the limits."""
        boxes = detections.boxes_xyxy
        sides = boxes[:, 2:] - boxes[:, :2]
        wanted = np.ones(len(boxes), np.bool_)
        for axis, pixels in enumerate(size_wh):
            low, high = (
                limit if limit >= 1 else limit * pixels
                for limit in (self.min_wh[axis], self.max_wh[axis])
            )
            wanted &= sides[:, axis] >= low
            if high:
                wanted &= sides[:, axis] <= high
        return wanted

    def _find_anchors(
        self, detections: Detections, size_wh: tuple[int, int]
    ) -> npt.NDArray[np.float64]:
        """
        Find the points that count; of rotated boxes the centers.

        :return: (n, 2), as shares of the width and height of the image, 0 to less than 1.
        """
        boxes = detections.boxes_xyxy.astype(np.float64)
        points = (boxes[:, :2] + boxes[:, 2:]) / 2
        if self.anchor == 'bottom' and detections.angles is None:
            points[:, 1] = boxes[:, 3]
        return np.asarray(np.clip(points / size_wh, 0.0, _LAST))
