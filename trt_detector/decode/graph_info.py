# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Properties of a graph from which its head layout is recognized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import math

from ..errors import ModelError
from ..values.literal import read_literal
from ..values.output_part import OutputPart
from ..values.tensor_spec import TensorSpec

__all__ = ['MAX_QUERIES', 'GraphInfo', 'agree', 'anchor_count']

# DETR models have fewer queries than any common input size has anchors.
MAX_QUERIES = 1000

# Strides of the feature maps of common detectors; 64 is P6, 4 is P2.
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
_COCO_CLASSES = 80
# Mask prototypes of YOLO.
_PROTOTYPE_STRIDE = 4
_COMMON_PROTOTYPES = 32
# Box, score and class.
_SELECTED_VALUES = 6
# Deformable attention of the DETR family; but upsamplers of some YOLO necks use GridSample, too.
_ATTENTION = frozenset({'GridSample', 'MultiscaleDeformableAttnPlugin_TRT'})
# The inverse sigmoid, with which a DETR refines its boxes.
_LOGARITHM = 'Log'
# The raw head of YOLO OBB turns its distances by the angle.
_ROTATION = frozenset({'Cos', 'Sin'})


def agree(*dimensions: int | None) -> bool:
    """Tell whether dimensions can be the same; None is a dynamic one."""
    return len(set(dimensions) - {None}) < 2


def anchor_count(input_size: tuple[int, int], strides: tuple[int, ...]) -> int:
    """
    Count the cells of all feature maps of an input.

    :param input_size: (height, width) in pixels.
    """
    height, width = input_size
    return sum(math.ceil(height / s) * math.ceil(width / s) for s in strides)


@dataclass(frozen=True, slots=True)
class GraphInfo:
    """
    Properties of a graph from which its head layout is recognized.

    :param outputs: in the order of the engine.
    :param metadata: key and value texts of the model file.
    :param input_size: (height, width) in pixels, None if unknown.
    :param operators: operator types of the whole graph, empty if unknown.
    :param tails: per output name, the operator types between it and the last convolutions or
        matrix products; no entry if unknown.
    :param parts: per output name, the tensors that are concatenated along its last axis; no entry
        if unknown.
    :param box_forms: per output name 'centers' or 'corners', if the graph tells how boxes are
        made.
    :param objectness: names of the outputs whose graph computes objectness before the scores.
    :param output_steps: per output name the distance between its values, if it is quantized.
    :param resizes_input: the graph scales its images to another size before its first layer.
    :param from_tensorflow: the exporter of the file converts TensorFlow's graphs.
    :param num_names: number of class names that the user or the model gives, None for none.
    :param task_source: file that the task comes from, '' if unknown.
    """

    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    input_size: tuple[int, int] | None = None
    operators: frozenset[str] = frozenset()
    tails: Mapping[str, frozenset[str]] = field(default_factory=dict)
    parts: Mapping[str, tuple[OutputPart, ...]] = field(default_factory=dict)
    box_forms: Mapping[str, str] = field(default_factory=dict)
    objectness: frozenset[str] = frozenset()
    output_steps: Mapping[str, float] = field(default_factory=dict)
    resizes_input: bool = False
    from_tensorflow: bool = False
    num_names: int | None = None
    task_source: str = ''

    @property
    def task(self) -> str:
        """Task from the exporter's metadata, e.g. 'detect', 'segment' or 'pose'."""
        return self.metadata.get('task', 'detect')

    @property
    def end2end(self) -> bool:
        """True if the metadata say that duplicates are already suppressed."""
        if self.metadata.get('end2end') == 'True':
            return True
        arguments = read_literal(self.metadata, 'args')
        return isinstance(arguments, dict) and arguments.get('nms') is True

    @property
    def family(self) -> str | None:
        """Family that the metadata name, 'detr' or 'yolo', None if they name none."""
        keys = ('head', 'model_type', 'description')
        texts = ' '.join(self.metadata.get(key, '') for key in keys).lower()
        if 'detr' in texts or 'd_fine' in texts or 'yolos' in texts:
            return 'detr'
        return 'yolo' if 'yolo' in texts or self.end2end else None

    @property
    def has_attention(self) -> bool:
        """True if the graph has an operator of deformable attention, as most DETRs have."""
        return bool(self.operators & _ATTENTION)

    def refines_boxes(self, output: TensorSpec) -> bool:
        """Tell whether an output's tail refines boxes as the DETR family does."""
        tail = self.tail(output) or frozenset()
        return self.has_attention and bool(tail & (_ATTENTION | {_LOGARITHM}))

    def rotates(self, output: TensorSpec) -> bool:
        """Tell whether an output's tail turns boxes by an angle, as YOLO OBB does."""
        return (self.tail(output) or frozenset()) >= _ROTATION

    def tail(self, output: TensorSpec) -> frozenset[str] | None:
        """Get the operators in an output's tail, None if unknown."""
        return self.tails.get(output.name)

    def selects(self, output: TensorSpec) -> bool | None:
        """Tell whether an output's tail selects the best boxes, None if unknown."""
        tail = self.tail(output)
        return None if tail is None else 'TopK' in tail or self.suppresses(output)

    def has_every_anchor(self, output: TensorSpec) -> bool:
        """
        Tell whether an output [N, A, ...] has a row per anchor, with duplicates.

        :param output: the graph may select in front of it; if that is unknown, the number tells.
        """
        count = output.shape[1]
        if self.selects(output):
            return False
        return bool(self.anchors_per_cell(count)) or (count or 0) > MAX_QUERIES

    def suppresses(self, output: TensorSpec) -> bool:
        """Tell whether an output's tail has an operator of non-maximum suppression."""
        tail = self.tail(output) or frozenset()
        return 'NonMaxSuppression' in tail or any('NMS' in operator for operator in tail)

    def anchors_per_cell(self, count: int | None) -> int | None:
        """
        Compute the number of predictions per cell from the number of all predictions.

        :param count: a dimension of an output, None if it is dynamic.
        :return: 1 or 3; 0 if count does not match the input size; None if that is unknown.
        """
        if count is None or self.input_size is None:
            return None
        counts = [anchor_count(self.input_size, strides) for strides in _STRIDES]
        if count in counts:
            return 1
        return 3 if count in (3 * c for c in counts) else 0

    def is_common(self, num_classes: int) -> bool:
        """Tell whether a number of classes is the most common one and no class names tell."""
        return self.num_names is None and num_classes == _COCO_CLASSES

    def may_be_objectness(self, num_classes: int) -> bool:
        """Tell whether a number of classes may be objectness and the most common number."""
        return self.num_names is None and num_classes == _COCO_CLASSES + 1

    def plane(self) -> tuple[int, TensorSpec] | None:
        """
        Find index and spec of the only output of rank 3; None if the outputs are others.

        One output of rank 4, the mask prototypes, may accompany it.
        """
        planes = [(n, out) for n, out in enumerate(self.outputs) if len(out.shape) == 3]
        maps = [out for out in self.outputs if _is_map(out)]
        known = len(planes) + len(maps) == len(self.outputs)
        return planes[0] if len(planes) == 1 and len(maps) < 2 and known else None

    def extra_values(self) -> int:
        """
        Count the values of a prediction after its class scores.

        They are the mask coefficients of a segmentation model or the keypoints of a pose model.
        """
        maps = [out for out in self.outputs if _is_map(out)]
        if self.task == 'pose':
            shape = read_literal(self.metadata, 'kpt_shape')
            if isinstance(shape, list | tuple) and all(type(n) is int and n > 0 for n in shape):
                return math.prod(shape)
            raise ModelError(
                "the model's task is 'pose', but its metadata have no 'kpt_shape', so the number "
                'of classes is unknown; export it again, or export a detector'
            )
        if maps:
            return self._count_coefficients(maps[0])
        if self.task == 'segment':
            raise ModelError(
                "the model's task is 'segment', but it has no output of mask prototypes "
                f'[N, masks, H, W] beside {self.describe()}, so the number of classes is unknown; '
                'export it again, or export a detector'
            )
        return 0

    def _count_coefficients(self, output: TensorSpec) -> int:
        """
        Count the mask coefficients of a prediction that belong to a map; 0 if it is another map.

        Prototypes have a quarter of the input's size, and their number fits the other values.

        :raises ModelError: if nothing tells whether the map holds prototypes.
        """
        quarter = None
        if self.input_size is not None:
            quarter = tuple(math.ceil(side / _PROTOTYPE_STRIDE) for side in self.input_size)
        channels = output.shape[3 if output.shape[1:3] == quarter else 1] or 0
        if self.task == 'segment' or quarter is None:
            return channels
        if quarter not in (output.shape[2:], output.shape[1:3]):
            return 0
        plane = self.plane()
        values = [] if plane is None else [dim for dim in plane[1].shape[1:] if dim]
        if _SELECTED_VALUES in values or self.metadata.get('task') == 'detect':
            return 0
        if self.num_names is not None:
            told = {self.num_names + box for box in (4, 5)}
            return 0 if told & set(values) else channels
        others = [dim for dim in values if not self.anchors_per_cell(dim)]
        if others and max(others) <= channels + 4:
            # There is no room for a box, a class and the coefficients.
            return 0
        if channels == _COMMON_PROTOTYPES or channels + _SELECTED_VALUES in values:
            return channels
        raise ModelError(
            f'{output} may be mask prototypes or another map, so the number of classes is '
            "unknown: give class_names, or put task: 'segment' or 'detect' into a YAML file of "
            "the model's name beside it"
        )

    def describe(self) -> str:
        """Describe the outputs in one text."""
        return '; '.join(str(output) for output in self.outputs) or 'none'


def _is_map(output: TensorSpec) -> bool:
    """Tell whether an output is a map [N, C, H, W]; boxes [N, A, 1, 4] are none."""
    return len(output.shape) == 4 and output.shape[2] != 1
