# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Operators before the first layer of a graph that keep channels of pixels apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph_constants import GraphConstants
from .channels import PixelChannels

__all__ = ['SIZE_READERS', 'PixelOperators']

SIZE_READERS = frozenset({'Shape', 'Size'})
"""They read the size of an image, not its values."""

# They change neither the values, but for rounding and limits, nor the order of the channels.
_TRANSPARENT = frozenset({
    'Cast', 'Ceil', 'Clip', 'DequantizeLinear', 'Floor', 'Identity', 'Max', 'Min', 'Pad',
    'QuantizeLinear', 'Reshape', 'Resize', 'Round', 'Squeeze', 'Unsqueeze', 'Upsample',
})  # fmt: skip
_RESIZING = frozenset({'Resize', 'Upsample'})
_ARITHMETIC = frozenset({'Add', 'Div', 'Mul', 'Sub'})
_LIMITING = frozenset({'Max', 'Min'})
_BATCH_NORM_EPSILON = 1e-5
# A Focus layer has 12.
_MOST_CHANNELS = 48

_Made = list[PixelChannels] | None


class PixelOperators:
    """
    Operators of a graph, applied to the channels of its image input.

    :param graph: GraphProto.
    """

    def __init__(self, graph: Any) -> None:
        self._constants = GraphConstants(graph)

    def apply(self, node: Any, tensors: Mapping[str, PixelChannels]) -> _Made:
        """
        Apply a node.

        :param tensors: what is computed from the input so far, by name; the node reads one of
            them or more.
        :return: its outputs, None if it is a layer of the network.
        """
        kind = node.op_type
        if kind == 'Concat':
            return self._concatenate(node, tensors)
        if kind in _ARITHMETIC or kind in _LIMITING:
            return self._calculate(node, tensors)
        channels = tensors.get(node.input[0])
        if channels is None or any(name in tensors for name in node.input[1:]):
            return None
        if kind in _TRANSPARENT:
            return [self._move(node, channels)]
        apply = {
            'BatchNormalization': self._normalize,
            'Conv': self._convolve,
            'Gather': self._gather,
            'Slice': self._slice,
            'Split': self._split,
            'Transpose': self._transpose,
        }.get(kind)
        return None if apply is None else apply(node, channels)

    def _calculate(self, node: Any, tensors: Mapping[str, PixelChannels]) -> _Made:
        """Apply an operator with a constant, one or one per channel."""
        if len(node.input) != 2:
            return None
        first = node.input[0] in tensors
        channels = tensors[node.input[0 if first else 1]]
        number = self._constants.read(node.input[1 if first else 0])
        if number is None or number.size not in (1, channels.count):
            return None
        if not np.isfinite(number).all():
            return None
        one = np.ones(1)
        if node.op_type in _LIMITING:
            return [channels]
        if node.op_type == 'Add':
            return [channels.scale(one, number)]
        if node.op_type == 'Sub':
            return [channels.scale(one, -number) if first else channels.scale(-one, number)]
        if not number.all() or (node.op_type == 'Div' and not first):
            return None
        return [channels.scale(number if node.op_type == 'Mul' else 1 / number)]

    def _concatenate(self, node: Any, tensors: Mapping[str, PixelChannels]) -> _Made:
        """Join the channels of several tensors, or tensors with the same channels."""
        if any(name not in tensors for name in node.input):
            return None
        first, *others = (tensors[name] for name in node.input)
        if first.count + sum(one.count for one in others) > _MOST_CHANNELS:
            return None
        if first.is_channel_axis(_attribute(node, 'axis', 0)):
            return [first.join(others)]
        return [first] if all(one.count == first.count for one in others) else None

    def _move(self, node: Any, channels: PixelChannels) -> PixelChannels:
        """Apply an operator that keeps values and channels."""
        rank = channels.rank
        if node.op_type == 'Reshape':
            shape = self._constants.read_array(node.input[1]) if len(node.input) > 1 else None
            rank = rank if shape is None else shape.size
        elif node.op_type in ('Squeeze', 'Unsqueeze'):
            axes = self._numbers(node, 'axes', 1) or [0]
            rank += len(axes) * (1 if node.op_type == 'Unsqueeze' else -1)
        resized = channels.resized or node.op_type in _RESIZING
        return replace(channels, rank=rank, resized=resized)

    def _transpose(self, node: Any, channels: PixelChannels) -> _Made:
        """Follow the channels to their new axis."""
        order = _attribute(node, 'perm', list(range(channels.rank))[::-1])
        axis = channels.axis + channels.rank
        if axis not in order or len(order) != channels.rank:
            return None
        return [replace(channels, axis=list(order).index(axis) - channels.rank)]

    def _gather(self, node: Any, channels: PixelChannels) -> _Made:
        """Select channels by their numbers; a single number drops a dimension."""
        indices = self._constants.read_array(node.input[1]) if len(node.input) > 1 else None
        if indices is None or indices.ndim > 1:
            return None
        rank = channels.rank + indices.ndim - 1
        if channels.is_channel_axis(_attribute(node, 'axis', 0)):
            return _select(replace(channels, rank=rank), indices.reshape(-1).astype(int).tolist())
        return [replace(channels, rank=rank)]

    def _slice(self, node: Any, channels: PixelChannels) -> _Made:
        """Select a range of channels, or a part of the image."""
        starts, ends = self._numbers(node, 'starts', 1), self._numbers(node, 'ends', 2)
        axes = self._numbers(node, 'axes', 3) or list(range(len(starts)))
        steps = self._numbers(node, 'steps', 4) or [1] * len(axes)
        mine = [n for n, axis in enumerate(axes) if channels.is_channel_axis(axis)]
        if not mine:
            return [channels] if axes else None
        if len(mine) > 1 or not len(starts) == len(ends) == len(axes) == len(steps):
            return None
        [n] = mine
        if not steps[n]:
            return None
        return _select(channels, list(range(channels.count))[starts[n] : ends[n] : steps[n]])

    def _split(self, node: Any, channels: PixelChannels) -> _Made:
        """Share the channels out, or parts of the image."""
        parts = len(node.output)
        if not channels.is_channel_axis(_attribute(node, 'axis', 0)):
            return [channels] * parts
        sizes = self._numbers(node, 'split', 1) or [channels.count // parts] * parts
        if sum(sizes) != channels.count or len(sizes) != parts or min(sizes) < 1:
            return None
        ends = np.cumsum(sizes).tolist()
        return [
            channels.select(range(end - size, end)) for size, end in zip(sizes, ends, strict=True)
        ]

    def _normalize(self, node: Any, channels: PixelChannels) -> _Made:
        """Apply a batch normalization."""
        numbers = [self._constants.read(name) for name in node.input[1:5]]
        known = [one for one in numbers if one is not None and one.size == channels.count]
        if len(known) != 4:
            return None
        scale, bias, mean, variance = known
        gain = scale / np.sqrt(variance + _attribute(node, 'epsilon', _BATCH_NORM_EPSILON))
        return [channels.scale(gain, bias - mean * gain)] if gain.all() else None

    def _convolve(self, node: Any, channels: PixelChannels) -> _Made:
        """Apply a convolution of one pixel with one channel of the input per output."""
        weights = self._constants.read_array(node.input[1]) if len(node.input) > 1 else None
        if weights is None or weights.ndim != 4 or weights.shape[2:] != (1, 1):
            return None
        matrix = weights[:, :, 0, 0]
        if matrix.shape == (channels.count, 1) and channels.count > 1:
            matrix = np.diag(matrix[:, 0])
        if matrix.shape != (channels.count,) * 2 or ((matrix != 0).sum(axis=1) != 1).any():
            return None
        bias: npt.NDArray[np.float64] | None = np.zeros(1)
        if len(node.input) > 2:
            bias = self._constants.read(node.input[2])
        if bias is None:
            return None
        chosen = (matrix != 0).argmax(axis=1)
        selected = channels.select(chosen.tolist())
        return [selected.scale(matrix[np.arange(channels.count), chosen], bias)]

    def _numbers(self, node: Any, name: str, position: int) -> list[int]:
        """Read integers of an attribute, or of the input that later versions have instead."""
        values = _attribute(node, name, None)
        if values is None and len(node.input) > position:
            values = self._constants.read_array(node.input[position])
        if values is None:
            return []
        return [int(value) for value in np.asarray(values).reshape(-1)]


def _select(channels: PixelChannels, indices: Sequence[int]) -> _Made:
    """Select channels by indices; None if there are none, or one does not exist."""
    count = channels.count
    if not indices or any(not -count <= index < count for index in indices):
        return None
    return [channels.select(indices)]


def _attribute(node: Any, name: str, default: Any) -> Any:
    """Read an attribute: a number, or a list of them."""
    for entry in node.attribute:
        if entry.name == name:
            return list(entry.ints) or list(entry.floats) or (entry.f or entry.i)
    return default
