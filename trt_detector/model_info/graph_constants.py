# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Small constants of an ONNX graph, in initializers and Constant nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['GraphConstants']

# They change neither the values nor their order.
_TRANSPARENT = frozenset({'Cast', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze'})
_LONGEST_PATH = 8
# A value, or one per channel.
_LARGEST = 3


class GraphConstants:
    """
    Numbers of a graph that do not depend on its input.

    :param graph: GraphProto.
    """

    def __init__(self, graph: Any) -> None:
        self._tensors: Mapping[str, Any] = {tensor.name: tensor for tensor in graph.initializer}
        self._makers: Mapping[str, Any] = {
            node.output[0]: node for node in graph.node if node.output
        }

    def read(self, name: str) -> npt.NDArray[np.float64] | None:
        """
        Read a constant as a flat array of one to three numbers.

        :return: None if it is no such constant, or lies in a file.
        """
        values = self.read_array(name)
        return values.reshape(-1) if values is not None and values.size <= _LARGEST else None

    def read_array(self, name: str) -> npt.NDArray[np.float64] | None:
        """
        Read a small constant in its own shape, before those operators that change the shape.

        :return: None if it is no such constant, has more than 9 numbers, or lies in a file.
        """
        import onnx

        maker = self._makers.get(name)
        for _ in range(_LONGEST_PATH):
            if maker is None or maker.op_type not in _TRANSPARENT or not maker.input:
                break
            name = maker.input[0]
            maker = self._makers.get(name)
        tensor = self._tensors.get(name)
        if tensor is None and maker is not None and maker.op_type == 'Constant':
            tensor = next((entry.t for entry in maker.attribute if entry.name == 'value'), None)
        if tensor is None or tensor.external_data:
            return None
        try:
            values = onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError):
            # Damaged: only the runtime can say what is wrong with the graph, and does.
            return None
        if not 0 < values.size <= _LARGEST**2 or values.dtype.kind not in 'iuf':
            return None
        return values.astype(np.float64)
