# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..image.image import Image
from ..values.tensor_spec import TensorSpec
from .input_layout import InputLayout
from .letterbox import Letterbox
from .spec import PreprocessSpec

__all__ = ['CpuPreprocessor']

# Encodings that are read as a view, of any and of one channel.
_GRAY_VIEWS = frozenset({'mono8', '8UC1'})
_VIEWS = _GRAY_VIEWS | {'bgr8', 'rgb8', '8UC3'}


class CpuPreprocessor:
    """
    Preprocessing with OpenCV and NumPy: the reference for the CUDA kernel.

    The resize is bilinear on 8-bit values. It belongs to one thread because it keeps a canvas.

    :param spec: preprocessing of the network.
    :param input_spec: the network's input: float32, float16 or uint8, NCHW or NHWC, 1 or 3
        channels.
    :param input_size: (height, width) of the input in pixels.
    :raises ModelError: if the input is not an image of 1 or 3 channels in such a dtype.
    """

    def __init__(
        self, spec: PreprocessSpec, input_spec: TensorSpec, input_size: tuple[int, int]
    ) -> None:
        self._spec = spec
        layout = InputLayout.of(input_spec)
        self._channels_last, self._channels = layout.channels_last, layout.channels
        height, width = input_size
        self._input_size = (width, height)
        self._letterbox: Letterbox | None = None
        self._canvas = np.empty((height, width, 3), np.uint8)
        self._gray_canvas = np.empty((height, width), np.uint8)
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]
        self._raw = input_spec.dtype == np.uint8
        std = np.asarray(spec.std, np.float32)
        self._gain = np.float32(spec.scale) / std
        self._bias = -np.asarray(spec.mean, np.float32) / std

    def __call__(self, image: Image, out: npt.NDArray[Any]) -> Letterbox:
        """Fill a target; see :class:`.preprocessor.Preprocessor`."""
        letterbox = self._fit(image.width, image.height)
        reduction = image.find_reduction(letterbox.resized_size)
        letterbox = replace(letterbox, reduction=reduction)
        self._fill(*self._read(image.decode(reduction)), letterbox, out)
        return letterbox

    def convert(self, image: Image) -> Image:
        """Convert an image to 8-bit pixels with the network's number of channels."""
        image = image.decode()
        if image.encoding in (_GRAY_VIEWS if self._channels == 1 else _VIEWS):
            return image
        pixels, order = self._read(image)
        encodings = {'bgr': 'bgr8', 'rgb': 'rgb8', 'gray': 'mono8'}
        return Image.from_array(pixels, encodings[order])

    def fill_parts(
        self, image: Image, boxes_xyxy: Sequence[tuple[int, int, int, int]], targets: Sequence[Any]
    ) -> tuple[Letterbox, ...]:
        """Fill targets with parts of an image; see :class:`.preprocessor.Preprocessor`."""
        pixels, order = self._read(image)
        letterboxes = []
        for (left, top, right, bottom), out in zip(boxes_xyxy, targets, strict=True):
            letterboxes.append(self._fit(right - left, bottom - top))
            self._fill(pixels[top:bottom, left:right], order, letterboxes[-1], out)
        return tuple(letterboxes)

    def _fit(self, width: int, height: int) -> Letterbox:
        """Compute the geometry of an image of a size."""
        return Letterbox.fit((width, height), self._input_size, self._spec)

    def _read(self, image: Image) -> tuple[npt.NDArray[np.uint8], str]:
        """Read the pixels and their channel order, gray if the network has one channel."""
        pixels, order = image.pixels()
        if self._channels == 1 and order != 'gray':
            code = cv2.COLOR_BGR2GRAY if order == 'bgr' else cv2.COLOR_RGB2GRAY
            pixels, order = np.asarray(cv2.cvtColor(pixels, code), np.uint8), 'gray'
        return pixels, order

    def _fill(
        self,
        pixels: npt.NDArray[np.uint8],
        order: str,
        letterbox: Letterbox,
        out: npt.NDArray[Any],
    ) -> None:
        """Fill a target with pixels."""
        if letterbox != self._letterbox:
            self._canvas[...] = self._spec.pad_value
            self._gray_canvas[...] = self._spec.pad_value
            self._letterbox = letterbox
        canvas = self._gray_canvas if order == 'gray' else self._canvas
        width, height = letterbox.resized_size
        left, top = letterbox.left, letterbox.top
        view = canvas[top : top + height, left : left + width]
        cv2.resize(pixels, (width, height), dst=view, interpolation=cv2.INTER_LINEAR)
        self._write(self._split(order), out)

    def _split(self, order: str) -> list[npt.NDArray[np.uint8]]:
        """Return the canvas as planes in the network's channel order."""
        if order == 'gray':
            return [self._gray_canvas] * self._channels
        cv2.split(self._canvas, self._planes)
        return self._planes if order == self._spec.color else self._planes[::-1]

    def _write(self, planes: list[npt.NDArray[np.uint8]], out: npt.NDArray[Any]) -> None:
        """Scale the planes into the target."""
        for channel, plane in enumerate(planes):
            target = out[:, :, channel] if self._channels_last else out[channel]
            if self._raw:
                target[...] = plane
                continue
            np.multiply(plane, self._gain[channel], out=target, casting='same_kind')
            if self._bias[channel]:
                target += self._bias[channel].astype(target.dtype)
