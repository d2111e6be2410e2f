# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic that a graph does on its pixels before the first layer: its own normalization."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .channels import PixelChannels
from .operators import PixelOperators, SIZE_READERS

__all__ = ['InputPixels', 'find_input_pixels']

# A smaller mean is that of normalized pixels, learned by a batch normalization.
_SMALLEST_MEAN = 0.1
# In the units of the input: the mean of values of 0 to 1 is less, that of 0 to 255 is more.
_LARGEST_SHARE_MEAN = 2.0
# Factors without a mean: 1/255, or 1/255 by a standard deviation, is below the first; from the
# second on, values of 0 to 1 are only stretched.
_LARGEST_BYTE_GAIN = 0.04
_SMALLEST_SHARE_GAIN = 0.1
# Mean of red, green and blue in ImageNet, as shares of white; those of COCO, Caffe and VGG are
# within the tolerance.
_IMAGENET = np.array((0.485, 0.456, 0.406))
_SAME_MEAN = 0.02
_REVERSED = (2, 1, 0)
# In pixels; other networks begin with smaller or overlapping kernels.
_SMALLEST_PATCH = 8


@dataclass(frozen=True, slots=True)
class InputPixels:
    """
    Arithmetic on the pixels: a value v becomes v * gain + offset.

    :param gain: mean over the channels, 1 for none.
    :param offset: mean over the channels, 0 for none.
    :param reversed_channels: the graph turns BGR into RGB, or RGB into BGR.
    :param color: 'rgb' or 'bgr' if the mean that is subtracted from each channel tells the order
        of the input, else ''.
    :param resized: the graph scales the image to another size.
    :param patches: a first layer embeds patches of the image, as vision transformers do.
    """

    gain: float = 1.0
    offset: float = 0.0
    reversed_channels: bool = False
    color: str = ''
    resized: bool = False
    patches: bool = False

    @property
    def is_scaled(self) -> bool:
        """Whether the graph scales or shifts its pixels."""
        return self.gain != 1 or self.offset != 0

    @property
    def maximum(self) -> float | None:
        """Value of a white pixel that the arithmetic is made for: 255 or 1, None if unknown."""
        if not self.gain:
            return None
        mean = abs(self.offset / self.gain)
        if mean >= _SMALLEST_MEAN:
            return 255.0 if mean > _LARGEST_SHARE_MEAN else 1.0
        gain = abs(self.gain)
        if gain <= _LARGEST_BYTE_GAIN:
            return 255.0
        return 1.0 if gain >= _SMALLEST_SHARE_GAIN and gain != 1 and not self.offset else None


def find_input_pixels(
    graph: Any, name: str, *, channels_last: bool = False, channels: int = 3, rank: int = 4
) -> InputPixels:
    """
    Follow an image input through the arithmetic with constants up to the first layers.

    :param graph: GraphProto.
    :param name: of the image input.
    :param channels_last: it is [N, H, W, C].
    :param channels: their number, C.
    :param rank: 3 for an image without a batch dimension.
    :return: no arithmetic if the first layers do not all get the same.
    """
    axis = -1 if channels_last else -3
    layers: list[Any] = []
    found = [
        one.whole or one
        for one in _follow(graph, name, PixelChannels.of_input(channels, axis, rank), layers)
    ]
    patches = any(_embeds_patches(layer) for layer in layers)
    values = [_read_values(one, channels) for one in found]
    if not values or any(not np.array_equal(one, values[0]) for one in values):
        return InputPixels(resized=any(one.resized for one in found), patches=patches)
    gain, offset = values[0]
    first = found[0]
    pixels = InputPixels(
        float(gain.mean()),
        float(offset.mean()),
        reversed_channels=tuple(first.sources[:3].tolist()) == _REVERSED,
        resized=first.resized,
        patches=patches,
    )
    return replace(pixels, color=_find_color(gain, offset, pixels.maximum))


def _follow(
    graph: Any, name: str, start: PixelChannels, layers: list[Any]
) -> Iterable[PixelChannels]:
    """
    Yield what the first layers of a graph get, or its outputs if it has none.

    :param layers: gets the nodes of these layers.
    """
    tensors, ends = {name: start}, {name: start}
    operators = PixelOperators(graph)
    for node in graph.node:
        read = [tensor for tensor in node.input if tensor in tensors]
        if not read or node.op_type in SIZE_READERS:
            continue
        made = operators.apply(node, tensors)
        if made is None:
            # A first layer: what it reads counts, whatever else is computed from it.
            layers.append(node)
            yield from (tensors[tensor] for tensor in read)
            continue
        for tensor in read:
            ends.pop(tensor, None)
        results = dict(zip(node.output, made, strict=False))
        tensors |= results
        ends |= results
    yield from ends.values()


def _embeds_patches(layer: Any) -> bool:
    """Tell whether a layer is a convolution of large patches that do not overlap."""
    sizes = {entry.name: list(entry.ints) for entry in layer.attribute}
    kernel = sizes.get('kernel_shape', [])
    return (
        layer.op_type in ('Conv', 'FusedConv')
        and kernel == sizes.get('strides')
        and min(kernel, default=0) >= _SMALLEST_PATCH
    )


def _read_values(channels: PixelChannels, count: int) -> npt.NDArray[np.float64]:
    """
    Read gain and offset of every channel of the input, (2, count).

    Channels that a tensor has several times, such as a Focus layer, count by their mean.
    """
    values = np.zeros((2, count))
    for number in range(count):
        mine = channels.sources == number
        if mine.any():
            values[:, number] = channels.gain[mine].mean(), channels.offset[mine].mean()
    return values


def _find_color(
    gain: npt.NDArray[np.float64], offset: npt.NDArray[np.float64], white: float | None
) -> str:
    """Tell the order of the channels by their means; '' if they are not those of ImageNet."""
    if white is None or len(gain) != len(_IMAGENET) or not gain.all():
        return ''
    means = -offset / gain / white
    if np.abs(means - _IMAGENET).max() < _SAME_MEAN:
        return 'rgb'
    return 'bgr' if np.abs(means[::-1] - _IMAGENET).max() < _SAME_MEAN else ''
