# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Geometry of an image in the network's input."""

from __future__ import annotations

from dataclasses import dataclass
import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..image.jpeg import reduce_size
from .spec import PreprocessSpec

__all__ = ['Letterbox', 'choose_input_size']


def choose_input_size(
    image_size: tuple[int, int],
    limit: tuple[int, int],
    stride: int,
    smallest: tuple[int, int],
    largest: tuple[int, int],
) -> tuple[int, int]:
    """
    Choose the smallest (height, width) that holds an image scaled into a limit.

    :param image_size: (width, height) of the image in pixels.
    :param limit: (height, width) that the image is scaled into, as far as the range allows.
    :param stride: the size is a multiple of it.
    :param smallest: minimum (height, width) of the network.
    :param largest: maximum (height, width) of the network.
    """
    height, width = (min(a, b) for a, b in zip(limit, largest, strict=True))
    gain = min(width / image_size[0], height / image_size[1])
    size = []
    for source, low, high in zip(image_size[::-1], smallest, largest, strict=True):
        wanted = math.ceil(max(1, round(source * gain)) / stride) * stride
        low = math.ceil(low / stride) * stride
        size.append(min(max(wanted, low), max(high // stride * stride, 1)))
    return size[0], size[1]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """
    Geometry of an image in the network's input; sizes are (width, height) in pixels.

    :param source_size: of the original image.
    :param input_size: of the network's input.
    :param resized_size: of the picture inside the input.
    :param left: padding columns on the left.
    :param top: padding rows above.
    :param reduction: the picture is made of an image decoded at this fraction of its size, see
        :meth:`..image.image.Image.decode`.
    """

    source_size: tuple[int, int]
    input_size: tuple[int, int]
    resized_size: tuple[int, int]
    left: int
    top: int
    reduction: int = 1

    @classmethod
    def fit(
        cls, source_size: tuple[int, int], input_size: tuple[int, int], spec: PreprocessSpec
    ) -> Letterbox:
        """
        Compute the geometry as the networks of this family were trained.

        Sizes are rounded, and the odd row or column of a centered padding goes right or below.
        """
        if spec.mode == 'stretch':
            return cls(source_size, input_size, input_size, 0, 0)
        gain = min(input_size[0] / source_size[0], input_size[1] / source_size[1])
        width = min(max(1, round(source_size[0] * gain)), input_size[0])
        height = min(max(1, round(source_size[1] * gain)), input_size[1])
        left = top = 0
        if spec.anchor == 'center':
            left = (input_size[0] - width) // 2
            top = (input_size[1] - height) // 2
        return cls(source_size, input_size, (width, height), left, top)

    @property
    def decoded_size(self) -> tuple[int, int]:
        """Size of the decoded image."""
        return reduce_size(self.source_size, self.reduction)

    def to_source(self, boxes_xyxy: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """
        Map boxes from the network's input into the original image and clip them to it.

        :param boxes_xyxy: (n, 4) in pixels.
        """
        gain, offset, limit = _find_mapping(self)
        mapped = (boxes_xyxy - offset) / gain
        np.maximum(mapped, 0, out=mapped)
        np.minimum(mapped, limit, out=mapped)
        return mapped.astype(np.float32)

    def rotated_to_source(
        self, boxes_xyxy: npt.NDArray[Any], angles: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """
        Map rotated boxes from the network's input into the original image, without clipping.

        If the image is stretched, a box becomes the rectangle along its mapped width.

        :param boxes_xyxy: (n, 4) in pixels, before the rotation about their centers.
        :param angles: (n,) in radians, from the x axis to the y axis.
        :return: boxes and angles in the original image.
        """
        gains, offsets, _ = _find_mapping(self)
        gain = gains[:2]
        centers = ((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 - offsets[:2]) / gain
        sizes = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
        cosine, sine = np.cos(angles), np.sin(angles)
        along = np.stack((cosine, sine), axis=1) * sizes[:, :1] / gain
        across = np.stack((-sine, cosine), axis=1) * sizes[:, 1:] / gain
        half = np.stack((np.linalg.norm(along, axis=1), np.linalg.norm(across, axis=1)), 1) / 2
        boxes = np.concatenate((centers - half, centers + half), axis=1)
        turned = np.arctan2(along[:, 1], along[:, 0])
        return boxes.astype(np.float32), turned.astype(np.float32)


@functools.lru_cache(maxsize=64)
def _find_mapping(
    letterbox: Letterbox,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Find scale, shift and limits of x1, y1, x2, y2, from the original image to the input."""
    # The decoded image may reach beyond the right and the lower edge of the original.
    covered = [side * letterbox.reduction for side in letterbox.decoded_size]
    gain_x = letterbox.resized_size[0] / covered[0]
    gain_y = letterbox.resized_size[1] / covered[1]
    return (
        np.array((gain_x, gain_y) * 2),
        np.array((letterbox.left, letterbox.top) * 2, np.float64),
        np.array(letterbox.source_size * 2, np.float64),
    )
