# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the regions of a camera into an image."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .camera_regions import CameraRegions

__all__ = ['draw_regions']

_INCLUDE_BGR = (80, 220, 80)
_EXCLUDE_BGR = (60, 60, 255)
# Ignored parts keep this share of their brightness.
_IGNORED_GAIN = 0.4


def draw_regions(
    image_bgr: npt.NDArray[np.uint8], regions: CameraRegions | None
) -> npt.NDArray[np.uint8]:
    """
    Outline include regions in green and exclude regions in red, and darken masked parts.

    :param image_bgr: uint8 (height, width, 3) in BGR order.
    :return: a copy; the image itself if there is nothing to draw.
    """
    if regions is None or not (regions.include or regions.exclude or regions.masks):
        return image_bgr
    drawn = image_bgr.copy()
    height, width = drawn.shape[:2]
    for mask in regions.masks:
        ignored = cv2.resize(
            mask.ignored.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
        )
        dark = cv2.convertScaleAbs(drawn, alpha=_IGNORED_GAIN)
        np.copyto(drawn, dark, where=ignored[:, :, np.newaxis] > 0, casting='unsafe')
    line = max(2, round(min(height, width) / 200))
    scale = np.array((width - 1, height - 1))
    for color, group in ((_INCLUDE_BGR, regions.include), (_EXCLUDE_BGR, regions.exclude)):
        for region in group:
            corners = np.rint(np.array(region.points) * scale).astype(np.int32)
            cv2.polylines(drawn, [corners], True, color, line, cv2.LINE_AA)
    return drawn
