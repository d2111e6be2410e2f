# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The model as a runtime gets it: with the image as its only input."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError
from .read import ModelInfo

__all__ = ['prepare_model']


def prepare_model(model: ModelInfo, input_size: tuple[int, int] | None = None) -> bytes:
    """
    Return the ONNX file to run; the bytes of the original where nothing has to change.

    Deployed DETRs ask for the original size of each image in a second input and scale the boxes
    to it. It becomes a constant, the size of the network's input: the boxes are then in pixels
    of the input like those of every other model, and every runtime sees one input.

    :param input_size: (height, width) that the network runs at; None takes the model's own.
    :raises ModelError: if the size is not known.
    """
    data = model.path.read_bytes()
    if model.target_sizes_input is None:
        return data
    size = input_size or model.input_size
    if size is None:
        raise ModelError(
            f'{model.path} scales its boxes to {model.target_sizes_input.name}, and its input '
            'size is not known; set opt_shape'
        )
    import onnx

    proto = onnx.load_model_from_string(data)
    _bake(proto.graph, model.target_sizes_input.name, size, model.image_input.shape[0] or 1)
    return bytes(proto.SerializeToString())


def _bake(graph: Any, name: str, size: tuple[int, int], batch: int) -> None:
    """
    Turn an input into a constant: width and height for each image of a fixed batch.

    One row serves a dynamic batch: it broadcasts.
    """
    import onnx

    kept = [value for value in graph.input if value.name != name]
    [value] = [value for value in graph.input if value.name == name]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    height, width = size
    rows = np.tile(np.array([[width, height]], dtype), (batch, 1))
    graph.initializer.append(onnx.numpy_helper.from_array(rows, name))
    del graph.input[:]
    graph.input.extend(kept)
