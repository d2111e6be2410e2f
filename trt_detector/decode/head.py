# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What every head layout offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..detections import Detections
from ..tensor_spec import TensorSpec

__all__ = ['DecodeOptions', 'Head', 'HeadLayout', 'select_classes']


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """
    Which detections are reported.

    :param score_threshold: least score, 0 to 1.
    :param iou_threshold: of two boxes of one class whose intersection over union is larger, the
        better one stays.
    :param max_detections: most detections in one image, at least 1.
    :param classes: the class ids to report, None for all.
    """

    score_threshold: float = 0.25
    iou_threshold: float = 0.45
    max_detections: int = 300
    classes: frozenset[int] | None = None


class Head(Protocol):
    """Decodes the outputs of one layout."""

    @property
    def layout(self) -> str:
        """Return the layout's name, as recognition and the log write it."""

    @property
    def num_classes(self) -> int | None:
        """Return the number of classes, None where the outputs do not tell it."""

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """
        Decode a batch.

        :param outputs: one array an output of the network, first dimension the batch.
        :return: one result an image, boxes in pixels of the network's input, best first. The
            boxes are copies: they stay valid when the outputs are written again.
        """


class HeadLayout(Protocol):
    """Recognizes one layout."""

    name: str
    description: str

    def match(self, outputs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> Head | None:
        """
        Return a decoder if the outputs are of this layout.

        :param outputs: names, shapes and dtypes of the network's outputs.
        :param metadata: key and value texts of the model file.
        """


def select_classes(
    class_ids: npt.NDArray[Any], classes: frozenset[int] | None
) -> npt.NDArray[np.bool_]:
    """
    Return which rows are of a class to report.

    :param class_ids: (n,), any integer or float dtype.
    """
    if classes is None:
        return np.ones(len(class_ids), np.bool_)
    return np.isin(class_ids, list(classes))
