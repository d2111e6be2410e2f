# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of a JPEG at a fraction of its size, which takes a fraction of the time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ImageError

__all__ = ['decode_jpeg', 'find_reduction', 'reduce_size']

# The inverse cosine transform of a JPEG can compute 4, 2 or 1 instead of 8 pixels per axis.
# ANYCOLOR leaves a gray image gray.
_REDUCED = {
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_ANYCOLOR,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_ANYCOLOR,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_ANYCOLOR,
}
_FLAGS = {1: cv2.IMREAD_UNCHANGED, **_REDUCED}


def reduce_size(size_wh: tuple[int, int], reduction: int) -> tuple[int, int]:
    """
    Compute the (width, height) of an image that is decoded at a fraction of its size.

    The last pixel of a row or column may lie partly outside the image.
    """
    width, height = size_wh
    return -(-width // reduction), -(-height // reduction)


def find_reduction(size_wh: tuple[int, int], minimum_wh: tuple[int, int]) -> int:
    """
    Find the largest reduction that leaves an image at least as large as it is shown.

    :param size_wh: width and height of the image in pixels.
    :param minimum_wh: width and height in which it is shown.
    :return: 8, 4, 2 or 1.
    """
    for reduction in sorted(_REDUCED, reverse=True):
        width, height = reduce_size(size_wh, reduction)
        if width >= minimum_wh[0] and height >= minimum_wh[1]:
            return reduction
    return 1


def decode_jpeg(
    data: npt.NDArray[np.uint8], size_wh: tuple[int, int], reduction: int
) -> npt.NDArray[Any]:
    """
    Decode a JPEG in the orientation of the sensor.

    :param data: content of the file.
    :param size_wh: width and height in its header.
    :param reduction: 1, 2, 4 or 8.
    :return: uint8 of :func:`reduce_size`, (height, width, 3) in BGR order or (height, width).
    :raises ImageError: if it cannot be decoded, or is not of this size.
    """
    try:
        array = cv2.imdecode(data, _FLAGS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f'OpenCV cannot decode the image: {error.err}') from error
    if array is None:
        start = data[:8].tobytes().hex(' ')
        raise ImageError(f'OpenCV cannot decode {len(data)} bytes that start with {start}')
    width, height = reduce_size(size_wh, reduction)
    if array.shape[:2] != (height, width):
        raise ImageError(
            f'JPEG has {array.shape[1]}x{array.shape[0]} pixels; expected {width}x{height} by its '
            'header; it is damaged'
        )
    return np.asarray(array)
