# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Decision when memory for the largest image has become too large."""

from __future__ import annotations

__all__ = ['RecentPeak']


class RecentPeak:
    """
    Largest size of recent images, to return memory after a while of smaller ones.

    Not thread-safe.

    :param window: number of images after which the peak is looked at.
    """

    def __init__(self, window: int = 300) -> None:
        self._window = window
        self._seen = 0
        self._peak = 0
        self._kept = 0

    @property
    def kept(self) -> int:
        """Size in bytes that memory is kept for."""
        return self._kept

    def note(self, size: int) -> bool:
        """
        Note the size of an image in bytes.

        :return: True if all images of a window needed at most half of :attr:`kept`, which is now
            the largest of them.
        """
        self._kept = max(self._kept, size)
        self._peak = max(self._peak, size)
        self._seen += 1
        if self._seen < self._window:
            return False
        peak, self._peak, self._seen = self._peak, 0, 0
        if 2 * peak > self._kept:
            return False
        self._kept = peak
        return True
