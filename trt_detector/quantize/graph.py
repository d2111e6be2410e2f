# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Which part of a detector's graph bears low precision, found by structure."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

__all__ = ['HeadAnalysis', 'analyse_head']


@dataclass(frozen=True, slots=True)
class HeadAnalysis:
    """
    The head tail of a detector and the convolutions before it.

    :param convolutions: names of the convolution nodes that may be quantized, in graph order.
    :param tail_nodes: names of the nodes after the last convolutions (DFL, sigmoid, decode
        arithmetic, TopK): sensitive to INT8.
    :param tail_tensors: names of the tensors that tail_nodes produce.
    :param decode_nodes: the nodes after the last layer with trained weights of any kind:
        they stay FP32 in an FP16 network. A subset of tail_nodes.
    :param decode_tensors: names of the tensors that decode_nodes produce.
    """

    convolutions: tuple[str, ...]
    tail_nodes: frozenset[str]
    tail_tensors: frozenset[str]
    decode_nodes: frozenset[str]
    decode_tensors: frozenset[str]


def analyse_head(model: onnx.ModelProto) -> HeadAnalysis:
    """
    Find the head tail of a detector.

    A node without a name is known by 'node_of_<its first output>', as TensorRT's parser names it.
    """
    raise NotImplementedError
