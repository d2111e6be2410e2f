# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Channels of a tensor that a graph computes from the channels of its image input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ['PixelChannels']

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PixelChannels:
    """
    Channels of a tensor: each is a channel of the input, times a gain, plus an offset.

    :param sources: (k,) numbers of the input's channels.
    :param gain: (k,).
    :param offset: (k,).
    :param axis: of the channels, counted from the last one: a negative number.
    :param rank: number of dimensions.
    :param whole: the last tensor on the way to this one with all channels, None for itself.
    :param resized: the height and width are not those of the input.
    """

    sources: npt.NDArray[np.intp]
    gain: _Values
    offset: _Values
    axis: int
    rank: int
    whole: PixelChannels | None = None
    resized: bool = False

    @classmethod
    def of_input(cls, count: int, axis: int, rank: int) -> PixelChannels:
        """Make those of the input itself."""
        return cls(np.arange(count), np.ones(count), np.zeros(count), axis, rank)

    @property
    def count(self) -> int:
        """Number of channels."""
        return len(self.sources)

    def is_channel_axis(self, axis: int) -> bool:
        """Tell whether an axis of the tensor, which may be negative, is that of the channels."""
        return (axis - self.rank if axis >= 0 else axis) == self.axis

    def scale(self, gain: _Values, offset: _Values | float = 0.0) -> PixelChannels:
        """Multiply by (1,) or (k,) gains, and add offsets."""
        return replace(self, gain=self.gain * gain, offset=self.offset * gain + offset)

    def select(self, indices: Sequence[int]) -> PixelChannels:
        """Select channels by their indices."""
        chosen = list(indices)
        return replace(
            self,
            sources=self.sources[chosen],
            gain=self.gain[chosen],
            offset=self.offset[chosen],
            whole=self._find_whole(self.sources[chosen]),
        )

    def join(self, others: Sequence[PixelChannels]) -> PixelChannels:
        """Append the channels of other tensors."""
        parts = (self, *others)
        sources = np.concatenate([part.sources for part in parts])
        return replace(
            self,
            sources=sources,
            gain=np.concatenate([part.gain for part in parts]),
            offset=np.concatenate([part.offset for part in parts]),
            whole=self._find_whole(sources),
        )

    def _find_whole(self, sources: npt.NDArray[np.intp]) -> PixelChannels | None:
        """Find the last tensor with every channel: None if it is one of these sources."""
        last = self.whole or self
        return None if set(last.sources.tolist()) <= set(sources.tolist()) else last
