# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of a network's activations."""

from __future__ import annotations

import onnx

__all__ = ['tensor_names']


def tensor_names(model: onnx.ModelProto) -> frozenset[str]:
    """Return the names of the graph's inputs and of all that its nodes produce."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {value.name for value in graph.input if value.name not in constants}
    return frozenset(inputs | {name for node in graph.node for name in node.output if name})
