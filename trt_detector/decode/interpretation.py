# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Heads whose values mean something else than their layout says: parameters boxes and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from ..errors import ModelError
from ..values.detections import Detections
from .graph_info import GraphInfo
from .head import DecodeOptions, Head, HeadLayout, RawValues

__all__ = ['InterpretedHead', 'interpret']


class InterpretedHead:
    """
    Head that decodes with another meaning of the network's values.

    It decodes whole outputs only: a device cannot select candidates for it.

    :param head: the head of the layout.
    :param raw: meaning of the values.
    """

    def __init__(self, head: Head, raw: RawValues) -> None:
        self._head = head
        self._raw = raw
        given = [text for text in (raw.boxes, raw.scores) if text != 'auto']
        self.layout = f'{head.layout}, {", ".join(given)}'

    @property
    def num_classes(self) -> int | None:
        """Number of classes, None if the outputs do not tell."""
        return self._head.num_classes

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        return self._head.decode(outputs, replace(options, raw=self._raw))


def interpret(head: Head, layout: HeadLayout, info: GraphInfo, boxes: str, scores: str) -> Head:
    """
    Apply the parameters boxes and scores to a head.

    :return: the head itself if both are 'auto'.
    :raises ModelError: if normalized boxes need an input size that is unknown.
    """
    if boxes == 'auto' and scores == 'auto':
        return head
    scale = None
    if boxes != 'auto' and (boxes == 'normalized') != layout.normalized:
        if info.input_size is None:
            raise ModelError(
                f'boxes is {boxes!r}, but the input size is not known; set input_shape'
            )
        height, width = info.input_size
        scale = (1 / width, 1 / height) if layout.normalized else (float(width), float(height))
    return InterpretedHead(head, RawValues(boxes, scores, scale))
