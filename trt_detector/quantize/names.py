# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Names of a network's activations."""

from __future__ import annotations

import onnx

__all__ = ['tensor_names']


def tensor_names(model: onnx.ModelProto) -> frozenset[str]:
    """Return the names of the graph's inputs and of all that its nodes produce."""
    raise NotImplementedError
