# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic that a graph does on its pixels before the first layer: its own normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .graph_constants import GraphConstants

__all__ = ['InputPixels', 'find_input_pixels']

# They change neither the values nor the order of the channels.
_TRANSPARENT = frozenset({
    'Cast', 'DequantizeLinear', 'Identity', 'QuantizeLinear', 'Reshape', 'Resize', 'Squeeze',
    'Transpose', 'Unsqueeze',
})  # fmt: skip
_ARITHMETIC = frozenset({'Add', 'Div', 'Mul', 'Sub'})
# They read the size of an image, not its values.
_SIZE_READERS = frozenset({'Shape', 'Size'})
_LONGEST_PATH = 24
# In the units of the input: the mean of values of 0 to 1 is less, that of 0 to 255 is more.
_LARGEST_SHARE_MEAN = 2.0
# Factors without a mean: 1/255, or 1/255 by a standard deviation, is below the first; from the
# second on, values of 0 to 1 are only stretched.
_LARGEST_BYTE_GAIN = 0.04
_SMALLEST_SHARE_GAIN = 0.1


@dataclass(frozen=True, slots=True)
class InputPixels:
    """
    Arithmetic on the pixels: a value v becomes v * gain + offset.

    :param gain: mean over the channels, 1 for none.
    :param offset: mean over the channels, 0 for none.
    :param reversed_channels: the graph turns BGR into RGB, or RGB into BGR.
    """

    gain: float = 1.0
    offset: float = 0.0
    reversed_channels: bool = False

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
        if self.offset:
            return 255.0 if mean > _LARGEST_SHARE_MEAN else 1.0
        gain = abs(self.gain)
        if gain <= _LARGEST_BYTE_GAIN:
            return 255.0
        return 1.0 if gain >= _SMALLEST_SHARE_GAIN and gain != 1 else None


def find_input_pixels(graph: Any, name: str, *, channels_last: bool = False) -> InputPixels:
    """
    Follow an image input through the arithmetic with constants up to the first layer.

    :param graph: GraphProto.
    :param name: of the image input.
    :param channels_last: it is [N, H, W, C].
    """
    channel_axes = (1, -3, 3, -1) if channels_last else (1, -3)
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for tensor in node.input:
            readers.setdefault(tensor, []).append(node)
    constants = GraphConstants(graph)
    gain, offset, reversals = np.ones(1), np.zeros(1), 0
    for _ in range(_LONGEST_PATH):
        nodes = [node for node in readers.get(name, ()) if node.op_type not in _SIZE_READERS]
        if len(nodes) != 1 or not nodes[0].output:
            break
        [node] = nodes
        if node.op_type in _ARITHMETIC and len(node.input) == 2:
            changed = _apply(node, name, constants, gain, offset)
            if changed is None:
                break
            gain, offset = changed
        elif _reverses_channels(node, name, constants, channel_axes):
            # The channels of gain and offset change their order too; their means do not.
            gain, offset, reversals = gain[::-1], offset[::-1], reversals + 1
        elif node.op_type not in _TRANSPARENT or node.input[0] != name:
            break
        name = node.output[0]
    return InputPixels(float(gain.mean()), float(offset.mean()), reversals % 2 == 1)


def _apply(
    node: Any,
    name: str,
    constants: GraphConstants,
    gain: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Apply a node with a constant to gain and offset; None if its other input is none."""
    first = node.input[0] == name
    number = constants.read(node.input[1 if first else 0])
    if number is None or not np.isfinite(number).all():
        return None
    if node.op_type == 'Add':
        return gain, offset + number
    if node.op_type == 'Sub':
        return (gain, offset - number) if first else (-gain, number - offset)
    if node.op_type == 'Mul':
        return (gain * number, offset * number) if number.all() else None
    if not first or not number.all():
        return None
    return gain / number, offset / number


def _reverses_channels(
    node: Any, name: str, constants: GraphConstants, axes: tuple[int, ...]
) -> bool:
    """Tell whether a node gathers the channels 2, 1, 0, or reads their axis backward."""
    if node.op_type not in ('Gather', 'Slice') or node.input[0] != name or len(node.input) < 2:
        return False
    if node.op_type == 'Gather':
        order = constants.read(node.input[1])
        axis = next((entry.i for entry in node.attribute if entry.name == 'axis'), 0)
        return order is not None and order.tolist() == [2, 1, 0] and axis in axes
    if len(node.input) < 5:
        return False
    axis, step = (constants.read(tensor) for tensor in node.input[3:5])
    if axis is None or step is None:
        return False
    return step.tolist() == [-1] and axis.tolist()[0] in axes
