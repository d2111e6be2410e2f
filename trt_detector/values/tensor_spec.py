# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Name, shape and dtype of a network's input or output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import printable

__all__ = ['DEFAULT_INPUT_SIZE', 'TensorSpec', 'is_channels_last']

# (height, width) of an input that leaves them open, if neither a parameter nor the model gives it.
DEFAULT_INPUT_SIZE = (640, 640)


def is_channels_last(shape: Sequence[int | None]) -> bool:
    """Tell whether the shape of an image input is [N, H, W, C], not [N, C, H, W]."""
    return shape[3] in (1, 3) and shape[1] not in (1, 3)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """
    Name, shape and element type of one input or output of a network.

    :param name: the tensor's name in the graph.
    :param shape: one entry per dimension, None for a dynamic one.
    :param dtype: element type.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[np.generic]

    @property
    def channels_last(self) -> bool:
        """True if an image input is [N, H, W, C], not [N, C, H, W]."""
        return is_channels_last(self.shape)

    def height_width(self, shape: Sequence[Any]) -> tuple[Any, Any]:
        """Get height and width of a shape in the layout of this image input."""
        height, width = shape[1:3] if self.channels_last else shape[2:4]
        return height, width

    def __str__(self) -> str:
        dims = ', '.join('?' if dim is None else str(dim) for dim in self.shape)
        return f'{printable(self.name)} [{dims}] {self.dtype}'
