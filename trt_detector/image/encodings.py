# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Encodings of images: their names in sensor_msgs and their memory layouts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

__all__ = ['ENCODINGS', 'SUPPORTED_ENCODINGS', 'Encoding']


@dataclass(frozen=True, slots=True)
class Encoding:
    """
    Memory layout of one encoding.

    :param channels: values per pixel in a row.
    :param dtype: 'u1' or 'u2'.
    :param order: channel order of :meth:`.image.Image.pixels`: 'bgr', 'rgb' or 'gray'.
    :param code: OpenCV's conversion to that order, None if none is needed.
    :param even_width: the width must be even.
    :param planes_420: a half-height plane of interleaved chroma follows the luma plane.
    """

    channels: int
    order: str
    dtype: str = 'u1'
    code: int | None = None
    even_width: bool = False
    planes_420: bool = False


def _encodings() -> dict[str, Encoding]:
    """List every supported encoding of sensor_msgs by name."""
    table = {
        'bgr8': Encoding(3, 'bgr'),
        '8UC3': Encoding(3, 'bgr'),
        'rgb8': Encoding(3, 'rgb'),
        'bgra8': Encoding(4, 'bgr', code=cv2.COLOR_BGRA2BGR),
        '8UC4': Encoding(4, 'bgr', code=cv2.COLOR_BGRA2BGR),
        'rgba8': Encoding(4, 'rgb', code=cv2.COLOR_RGBA2RGB),
        'mono8': Encoding(1, 'gray'),
        '8UC1': Encoding(1, 'gray'),
        'mono16': Encoding(1, 'gray', dtype='u2'),
        '16UC1': Encoding(1, 'gray', dtype='u2'),
        'bgr16': Encoding(3, 'bgr', dtype='u2'),
        'rgb16': Encoding(3, 'rgb', dtype='u2'),
        'bgra16': Encoding(4, 'bgr', dtype='u2', code=cv2.COLOR_BGRA2BGR),
        'rgba16': Encoding(4, 'rgb', dtype='u2', code=cv2.COLOR_RGBA2RGB),
        'nv12': Encoding(1, 'bgr', code=cv2.COLOR_YUV2BGR_NV12, even_width=True, planes_420=True),
        'nv21': Encoding(1, 'bgr', code=cv2.COLOR_YUV2BGR_NV21, even_width=True, planes_420=True),
    }
    for name in ('yuv422', 'uyvy'):
        table[name] = Encoding(2, 'bgr', code=cv2.COLOR_YUV2BGR_UYVY, even_width=True)
    for name in ('yuv422_yuy2', 'yuyv'):
        table[name] = Encoding(2, 'bgr', code=cv2.COLOR_YUV2BGR_YUY2, even_width=True)
    # OpenCV names a Bayer pattern by its second row and column, ROS by its first.
    bayer = {
        'rggb': cv2.COLOR_BayerBG2BGR,
        'bggr': cv2.COLOR_BayerRG2BGR,
        'gbrg': cv2.COLOR_BayerGR2BGR,
        'grbg': cv2.COLOR_BayerGB2BGR,
    }
    for pattern, code in bayer.items():
        table[f'bayer_{pattern}8'] = Encoding(1, 'bgr', code=code)
        table[f'bayer_{pattern}16'] = Encoding(1, 'bgr', dtype='u2', code=code)
    return table


ENCODINGS = _encodings()
"""Memory layout of every supported encoding, by its name in sensor_msgs."""

SUPPORTED_ENCODINGS = frozenset(ENCODINGS)
