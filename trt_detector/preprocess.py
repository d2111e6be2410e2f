# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing: an image of any size to the network's input, and boxes back to the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import functools
import math
from types import MappingProxyType
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from .config import DetectorConfig
from .errors import ModelError
from .image.image import Image
from .image.jpeg import reduce_size
from .values.tensor_spec import TensorSpec

__all__ = [
    'PRESETS',
    'CpuPreprocessor',
    'InputLayout',
    'Letterbox',
    'PreprocessSpec',
    'Preprocessor',
    'choose_input_size',
]


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """
    Preprocessing that a network expects.

    A value v of 0 to 255 becomes (v * scale - mean) / std, per channel in the order of the
    network.

    :param mode: 'letterbox' keeps the aspect ratio and pads, 'stretch' fills the whole input.
    :param anchor: position of the picture in a letterbox: 'center' or 'top_left'.
    :param pad_value: gray level of the padding, 0 to 255.
    :param color: channel order of the network, 'rgb' or 'bgr'.
    """

    mode: str = 'letterbox'
    anchor: str = 'center'
    pad_value: int = 114
    color: str = 'rgb'
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @classmethod
    def from_config(cls, config: DetectorConfig, base: PreprocessSpec) -> PreprocessSpec:
        """Override single values of a preprocessing by the parameters."""
        changes: dict[str, Any] = {
            'mode': config.resize_mode,
            'anchor': config.letterbox_anchor,
            'color': config.color_order,
        }
        changes = {name: value for name, value in changes.items() if value != 'auto'}
        if config.pad_value >= 0:
            changes['pad_value'] = config.pad_value
        if config.input_scale > 0:
            changes['scale'] = config.input_scale
        for name, values in (('mean', config.input_mean), ('std', config.input_std)):
            if values:
                changes[name] = values * 3 if len(values) == 1 else values
        return replace(base, **changes)


# Encodings that are read as a view, of any and of one channel.
_GRAY_VIEWS = frozenset({'mono8', '8UC1'})
_VIEWS = _GRAY_VIEWS | {'bgr8', 'rgb8', '8UC3'}

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
# ImageNet's mean of blue, green and red on the scale of 0 to 255.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
# ImageNet's in BGR and for values of 0 to 255, as NanoDet's configuration files have them.
_NANODET_MEAN = (103.53, 116.28, 123.675)
_NANODET_STD = (57.375, 57.12, 58.395)

# Preprocessing that the networks of a family were trained with.
PRESETS: Mapping[str, PreprocessSpec] = MappingProxyType(
    {
        'yolo': PreprocessSpec(),
        'yolox': PreprocessSpec(anchor='top_left', color='bgr', scale=1.0),
        'detr': PreprocessSpec(mode='stretch'),
        'detr_imagenet': PreprocessSpec(mode='stretch', mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
        'torchvision': PreprocessSpec(anchor='top_left'),
        'tao': PreprocessSpec(
            anchor='top_left', pad_value=0, color='bgr', scale=1.0, mean=_CAFFE_MEAN
        ),
        'tensorflow': PreprocessSpec(mode='stretch', scale=1.0),
        'efficientdet': PreprocessSpec(anchor='top_left', pad_value=0, scale=1.0),
        'nanodet_plus': PreprocessSpec(
            mode='stretch', color='bgr', scale=1.0, mean=_NANODET_MEAN, std=_NANODET_STD
        ),
        'nanodet': PreprocessSpec(
            pad_value=0, color='bgr', scale=1.0, mean=_NANODET_MEAN, std=_NANODET_STD
        ),
        'mmdet': PreprocessSpec(
            anchor='top_left', pad_value=0, mean=_IMAGENET_MEAN, std=_IMAGENET_STD
        ),
    }
)


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
        :meth:`.image.image.Image.decode`.
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


@dataclass(frozen=True, slots=True)
class InputLayout:
    """
    Memory layout of a network's image input.

    :param channels: 1 or 3.
    :param channels_last: whether it is [N, H, W, C].
    :param dtype: float32, float16 or uint8.
    """

    channels: int
    channels_last: bool
    dtype: np.dtype[np.generic]

    @classmethod
    def of(cls, input_spec: TensorSpec) -> InputLayout:
        """
        Return the layout of an input.

        :raises ModelError: if the input is not an image.
        """
        shape, dtype = input_spec.shape, input_spec.dtype
        if len(shape) == 4 and dtype in (np.float32, np.float16, np.uint8):
            if shape[1] in (1, 3):
                return cls(int(shape[1] or 3), False, dtype)
            if shape[3] in (1, 3):
                return cls(int(shape[3] or 3), True, dtype)
        raise ModelError(
            f'input is {input_spec}; expected [N, C, H, W] or [N, H, W, C] with 1 or 3 channels '
            'in float32, float16 or uint8'
        )


class Preprocessor(Protocol):
    """Callable that writes an image into one target of a batch slot."""

    def __call__(self, image: Image, out: Any) -> Letterbox:
        """
        Fill a target.

        :param image: of any size and encoding.
        :param out: one target in the dtype and layout of the network's input, (C, H, W) or
            (H, W, C); every value of it is written. An array, unless the preprocessor opens slots
            of its own.
        :return: geometry of the image in the target.
        """

    def convert(self, image: Image) -> Image:
        """Convert an image, unless fill_parts() reads its encoding directly."""

    def fill_parts(
        self, image: Image, boxes_xyxy: Sequence[tuple[int, int, int, int]], targets: Sequence[Any]
    ) -> tuple[Letterbox, ...]:
        """
        Fill targets with parts of one image.

        :param image: from :meth:`convert`.
        :param boxes_xyxy: left, top, right and bottom of each part in pixels: even numbers, or
            edges of the image.
        :param targets: one for each part, as for a whole image.
        :return: geometry of each part in its target.
        """


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
        """Fill a target, as :class:`Preprocessor` describes."""
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
        """Fill targets with parts of an image, as :class:`Preprocessor` describes."""
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
