# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Depth image, read without a copy."""

from __future__ import annotations

from dataclasses import dataclass
import reprlib
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ImageError

__all__ = ['DepthImage']

# Type and meters per unit. REP 118 has 32-bit float in meters and 16-bit unsigned in millimeters;
# some drivers name the latter mono16, and depth_image_proc takes it as millimeters, too.
_ENCODINGS = {'16UC1': ('u2', 1e-3), 'mono16': ('u2', 1e-3), '32FC1': ('f4', 1.0)}


@dataclass(frozen=True, slots=True, eq=False)
class DepthImage:
    """
    Depths along the camera's axis, one per pixel.

    :param stored: (height, width) as in the message, of any byte order.
    :param meters_per_unit: factor to meters.
    """

    stored: npt.NDArray[Any]
    meters_per_unit: float

    @classmethod
    def from_message(cls, message: Any) -> DepthImage:
        """
        Make a depth image over the bytes of a sensor_msgs/Image, without a copy.

        :raises ImageError: if the encoding is no depth, or size, step and data do not fit
            together.
        """
        if message.encoding not in _ENCODINGS:
            raise ImageError(
                f'depth image has the encoding {reprlib.repr(message.encoding)}; expected 16UC1 '
                'or mono16 in millimeters, or 32FC1 in meters: check depth_topic'
            )
        kind, unit = _ENCODINGS[message.encoding]
        dtype = np.dtype(kind).newbyteorder('>' if message.is_bigendian else '<')
        width, height, step = message.width, message.height, message.step
        if width < 1 or height < 1:
            raise ImageError(f'depth image is {width}x{height}; expected at least 1x1 pixels')
        if step < width * dtype.itemsize:
            raise ImageError(
                f'step of the depth image is {step}; expected at least {width * dtype.itemsize} '
                f'bytes for a row of {width} pixels in {message.encoding}'
            )
        expected = step * (height - 1) + width * dtype.itemsize
        if len(message.data) < expected:
            raise ImageError(
                f'depth image has {len(message.data)} bytes; expected {expected} for '
                f'{width}x{height} {message.encoding} with step {step}'
            )
        raw = np.frombuffer(message.data, np.uint8)
        stored: npt.NDArray[Any] = np.ndarray(
            (height, width), dtype, buffer=raw.data, strides=(step, dtype.itemsize)
        )
        return cls(stored, unit)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.stored.shape
        return width, height

    def sample(
        self, columns: npt.NDArray[np.intp], rows: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.float64]:
        """
        Read the depths of some pixels.

        :param columns: any shape; inside the image.
        :param rows: the same shape.
        :return: meters in that shape; NaN for 0, negative and infinite values, which mark pixels
            without a measurement.
        """
        depths = self.stored[rows, columns].astype(np.float64)
        depths[~np.isfinite(depths) | (depths <= 0)] = np.nan
        return np.asarray(depths * self.meters_per_unit)
