# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Convolutions that can run in INT8, and the share of them that a calibration cache covers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from ..errors import CalibrationCacheError
from .calibration_cache import CalibrationCache
from .graph import analyse_head, HeadAnalysis
from .graph_index import GraphIndex, node_name

__all__ = [
    'CacheCoverage',
    'find_float_convolutions',
    'find_missing_scale',
    'measure_coverage',
]

MINIMUM_SHARE = 0.5
"""Minimum share of the convolutions that a cache has to cover: less is another model's cache."""

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class CacheCoverage:
    """
    Convolutions of a network with and without a scale in a calibration cache.

    Convolutions that stay in floating point for another reason are not counted.

    :param covered: names of the convolutions whose input has a scale.
    :param missing: name to the reason of the others.
    """

    covered: tuple[str, ...]
    missing: Mapping[str, str]

    @property
    def total(self) -> int:
        """Return the number of convolutions that could run in INT8."""
        return len(self.covered) + len(self.missing)

    def check(self) -> None:
        """
        Refuse a cache that covers too little of the network.

        :raises CalibrationCacheError: with the share and examples.
        """
        if len(self.covered) < MINIMUM_SHARE * self.total:
            raise CalibrationCacheError(
                f'the calibration cache covers {len(self.covered)} of {self.total} convolutions '
                f'that can run in INT8; expected at least {MINIMUM_SHARE:.0%}: the others would '
                f'run in floating point ({self._examples()}). It is probably the cache of another '
                'model or export: calibrate this file with "ros2 run trt_detector calibrate"; '
                'to keep layers in floating point on purpose, name them in quantize_exclude'
            )

    @property
    def warning(self) -> str:
        """Return the sentence on convolutions without a scale, '' if there are none."""
        if not self.missing:
            return ''
        return (
            f'{len(self.missing)} of {self.total} convolutions run in floating point, not in '
            f'INT8: the calibration cache has no scale for them ({self._examples()}); calibrate '
            'this ONNX file again, or name them in quantize_exclude'
        )

    def _examples(self) -> str:
        """List some convolutions without a scale."""
        shown = [f'{name}: {why}' for name, why in list(self.missing.items())[:_EXAMPLES]]
        return '; '.join(shown) + ('; ...' if len(self.missing) > _EXAMPLES else '')


def measure_coverage(
    model: onnx.ModelProto, cache: CalibrationCache, exclude: Collection[str]
) -> CacheCoverage:
    """
    Find the convolutions of a network whose input has a scale.

    TensorRT runs a layer in floating point if the cache has no scale for one of its tensors, and
    reports that as warnings only.

    :param exclude: names of nodes that stay in floating point on purpose.
    """
    index, head = GraphIndex(model.graph), analyse_head(model)
    kept = find_float_convolutions(index, head, exclude)
    covered: list[str] = []
    missing: dict[str, str] = {}
    for node in index.nodes:
        name = node_name(node)
        if name not in head.convolutions or name in kept:
            continue
        reason = find_missing_scale(node, cache)
        if reason:
            missing[name] = reason
        else:
            covered.append(name)
    return CacheCoverage(tuple(covered), missing)


def find_float_convolutions(
    index: GraphIndex, head: HeadAnalysis, exclude: Collection[str]
) -> dict[str, str]:
    """
    Find the convolutions that stay in floating point with any calibration cache.

    :param exclude: names of nodes that stay in floating point on purpose.
    :return: name to reason.
    """
    kept = {}
    for node in index.nodes:
        name = node_name(node)
        if name not in head.convolutions:
            continue
        if name in exclude:
            reason = 'it is excluded'
        elif name in head.output_convolutions:
            reason = 'an output convolution: INT8 would cost accuracy and gain little'
        else:
            reason = _float_reason(index, node)
        if reason:
            kept[name] = reason
    return kept


def find_missing_scale(node: onnx.NodeProto, cache: CalibrationCache) -> str:
    """Return the reason why the input of a convolution has no usable scale, '' if it has one."""
    source = node.input[0]
    if source not in cache.scales:
        return f'its input {source!r} is not in the calibration cache'
    if cache.scales[source] < np.finfo(np.float32).tiny:
        return f'the scale of its input {source!r} is 0: calibration saw only zeros there'
    return ''


def _float_reason(index: GraphIndex, node: onnx.NodeProto) -> str:
    """Return the reason to leave a convolution in float, '' if there is none."""
    if node.op_type != 'Conv':
        return 'a transposed convolution gains little and is left in float'
    weight_name = node.input[1]
    weights = index.constant(weight_name)
    if weights is None:
        return f'its weights {weight_name!r} are computed, not constant'
    if weights.dtype != np.float32 or weights.ndim != 4 or not weights.size:
        return f'its weights are {weights.dtype} of shape {list(weights.shape)}, not a 2-D kernel'
    if not np.isfinite(weights).all():
        return f'its weights {weight_name!r} are not all finite'
    if weights.shape[1] == 1 and _groups(node) > 1:
        return 'a depthwise convolution moves more data than it computes: INT8 gains nothing'
    return ''


def _groups(node: onnx.NodeProto) -> int:
    """Return the number of groups of a convolution."""
    return next((int(a.i) for a in node.attribute if a.name == 'group'), 1)
