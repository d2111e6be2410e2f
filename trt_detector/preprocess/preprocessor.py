# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Interface of preprocessing on the CPU and on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..image.image import Image
from .letterbox import Letterbox

__all__ = ['Preprocessor']


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
