# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What recognition knows of a graph."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
import math

from ..errors import ModelError
from ..values.tensor_spec import TensorSpec

__all__ = ['GraphInfo', 'anchor_count']

# Strides of the feature maps that detectors predict from; 64 is P6, 4 is P2.
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
_COCO_CLASSES = 80
# Operators that choose a few of many boxes.
_SELECTING = frozenset({'TopK', 'NonMaxSuppression'})
# Deformable attention: only the DETR family has it.
_ATTENTION = frozenset({'GridSample', 'MultiscaleDeformableAttnPlugin_TRT'})


def anchor_count(input_size: tuple[int, int], strides: tuple[int, ...]) -> int:
    """
    Return how many cells the feature maps of an input have together.

    :param input_size: (height, width) in pixels.
    """
    height, width = input_size
    return sum(math.ceil(height / s) * math.ceil(width / s) for s in strides)


@dataclass(frozen=True, slots=True)
class GraphInfo:
    """
    What recognition knows of a graph.

    :param outputs: in the order in which the engine gives them.
    :param metadata: key and value texts of the model file.
    :param input_size: (height, width) in pixels, None where it is not known.
    :param operators: operator types of the whole graph, empty where they are not known.
    :param tails: for an output's name the operator types between it and the last convolutions
        or matrix products, empty where they are not known.
    :param num_names: number of class names that the user or the model gives, None for none.
    """

    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    input_size: tuple[int, int] | None = None
    operators: frozenset[str] = frozenset()
    tails: Mapping[str, frozenset[str]] = field(default_factory=dict)
    num_names: int | None = None

    @property
    def task(self) -> str:
        """Return the task that the exporter wrote: 'detect', 'segment', 'pose' and so on."""
        return self.metadata.get('task', 'detect')

    @property
    def end2end(self) -> bool:
        """Return whether the metadata say that duplicates are already suppressed."""
        if self.metadata.get('end2end') == 'True':
            return True
        arguments = self._literal('args')
        return isinstance(arguments, dict) and arguments.get('nms') is True

    @property
    def detr(self) -> bool:
        """Return whether metadata or operators say that the graph is of the DETR family."""
        texts = (self.metadata.get('head', ''), self.metadata.get('description', ''))
        return any('rtdetr' in text.lower() for text in texts) or bool(self.operators & _ATTENTION)

    def tail(self, output: TensorSpec) -> frozenset[str] | None:
        """Return the operators of an output's tail, None where they are not known."""
        return self.tails.get(output.name)

    def selects(self, output: TensorSpec) -> bool | None:
        """Return whether an output's tail chooses the best boxes, None if that is unknown."""
        tail = self.tail(output)
        if tail is None:
            return None
        return bool(tail & _SELECTING) or any('NMS' in operator for operator in tail)

    def anchors(self, count: int | None) -> int | None:
        """
        Return how many predictions a cell has if count is the number of all predictions.

        :param count: a dimension of an output, None if it is dynamic.
        :return: 1, 3, 0 if count does not fit the input size, None if that is unknown.
        """
        if count is None or self.input_size is None:
            return None
        counts = [anchor_count(self.input_size, strides) for strides in _STRIDES]
        if count in counts:
            return 1
        return 3 if count in (3 * c for c in counts) else 0

    def is_usual(self, num_classes: int) -> bool:
        """Return whether most models have so many classes, where no class names tell."""
        return self.num_names is None and num_classes == _COCO_CLASSES

    def plane(self) -> tuple[int, TensorSpec] | None:
        """
        Return number and spec of the only output of rank 3, None if there is another thing.

        The prototypes of masks may stand beside it.
        """
        planes = [(n, out) for n, out in enumerate(self.outputs) if len(out.shape) == 3]
        maps = [out for out in self.outputs if len(out.shape) == 4]
        known = len(planes) + len(maps) == len(self.outputs)
        return planes[0] if len(planes) == 1 and len(maps) < 2 and known else None

    def extra_values(self) -> int:
        """
        Return how many values of a prediction stand behind its class scores.

        Mask coefficients of a segmentation model, keypoints of a pose model.
        """
        maps = [out.shape[1] for out in self.outputs if len(out.shape) == 4]
        if self.task == 'pose':
            shape = self._literal('kpt_shape')
            if isinstance(shape, list | tuple) and all(isinstance(n, int) for n in shape):
                return math.prod(shape)
            raise ModelError(
                "the model's task is 'pose', but its metadata have no 'kpt_shape': where the "
                'boxes end is not known; export it again, or as a detector'
            )
        if maps:
            return maps[0] or 0
        if self.task == 'segment':
            raise ModelError(
                "the model's task is 'segment', but it has no output of mask prototypes "
                f'[N, masks, H, W] beside {self.describe()}: where the boxes end is not known'
            )
        return 0

    def describe(self) -> str:
        """Return the outputs as one text."""
        return '; '.join(str(output) for output in self.outputs) or 'none'

    def _literal(self, key: str) -> object:
        """Return a metadata entry that exporters write as a Python literal, else None."""
        try:
            literal: object = ast.literal_eval(self.metadata[key])
        except (KeyError, ValueError, SyntaxError):
            return None
        return literal
