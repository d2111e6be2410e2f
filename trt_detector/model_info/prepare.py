# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preparation of a model for a runtime: a batch of images becomes its only input."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError
from ..values.tensor_spec import TensorSpec
from .content import hash_model, read_model_file
from .graph import all_nodes
from .info import ModelInfo

__all__ = ['prepare_model']


def prepare_model(model: ModelInfo, input_size: tuple[int, int] | None = None) -> bytes:
    """
    Return the ONNX file to run: the original bytes if nothing has to change.

    Deployed DETRs and Paddle's detectors take the sizes of each image in further inputs and scale
    the boxes to the original image. They become constants, as if every image had the size of the
    network's input: the boxes are then in pixels of the input like those of every other model.

    Transformers' DETR takes a mask of the pixels that are no padding: it becomes ones.

    TorchVision's detectors may take one image without a batch dimension: they get a batch of one.
    An open number of channels becomes 3.

    :param input_size: (height, width) that the network runs at; None is the model's own.
    :raises ModelError: if the size is unknown, or the file changed since it was described.
    """
    data = _read_bytes(model)
    sizes, mask = model.size_inputs, model.mask_input
    if not sizes and mask is None and not model.lacks_batch and not model.lacks_channels:
        return data
    image = model.image_input
    if len(image.shape) != 4:
        raise ModelError(
            f'{model.path} has the input {image}; expected an image [N, C, H, W] or [N, H, W, C]'
        )
    import onnx

    proto = onnx.load_model_from_string(data)
    for spec in sizes:
        size = input_size or model.input_size
        if size is None:
            raise ModelError(
                f'{model.path} scales its boxes to {spec.name}, and its input size is unknown; '
                'set input_shape, e.g. 640x640'
            )
        _bake(proto.graph, spec.name, size, image.shape[0] or 1)
    if mask is not None:
        _fill_mask(proto.graph, mask, image)
    if model.lacks_batch:
        _add_batch(proto.graph, image.name)
    if model.lacks_channels:
        _set_channels(proto.graph, image)
    return bytes(proto.SerializeToString())


def _bake(graph: Any, name: str, size: tuple[int, int], batch: int) -> None:
    """
    Turn an input into a constant, one row for each image of a fixed batch.

    One row serves a dynamic batch: it broadcasts.
    """
    import onnx

    kept = [value for value in graph.input if value.name != name]
    [value] = [value for value in graph.input if value.name == name]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    height, width = size
    row = {'im_shape': (height, width), 'scale_factor': (1, 1)}.get(name, (width, height))
    rows = np.tile(np.array([row], dtype), (batch, 1))
    graph.initializer.append(onnx.numpy_helper.from_array(rows, name))
    del graph.input[:]
    graph.input.extend(kept)


def _fill_mask(graph: Any, mask: TensorSpec, image: TensorSpec) -> None:
    """
    Compute the mask [N, H, W] of an image input in the graph: ones.

    A fixed height and width are the mask's own; open ones are those of the image.
    """
    import onnx
    from onnx import helper, numpy_helper

    kept = [value for value in graph.input if value.name != mask.name]
    [value] = [value for value in graph.input if value.name == mask.name]
    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    if dtype.kind not in 'biuf':
        raise ModelError(
            f'the mask {mask.name!r} has the element type {dtype}; expected a boolean, an integer '
            'or a float: export the model again'
        )
    del graph.input[:]
    graph.input.extend(kept)
    axes = {'batch': 0, 'height': 1 if image.channels_last else 2}
    axes['width'] = axes['height'] + 1
    own = dict(zip(axes, (None, *mask.shape[1:]), strict=True))
    nodes = [helper.make_node('Shape', [image.name], [f'{mask.name}_image_shape'])]
    parts = []
    for part, axis in axes.items():
        index, size = f'{mask.name}_{part}_axis', f'{mask.name}_{part}'
        fixed = own[part]
        numbers = np.array([axis if fixed is None else fixed], np.int64)
        graph.initializer.append(
            numpy_helper.from_array(numbers, index if fixed is None else size)
        )
        if fixed is None:
            inputs = [f'{mask.name}_image_shape', index]
            nodes.append(helper.make_node('Gather', inputs, [size], axis=0))
        parts.append(size)
    shape = f'{mask.name}_shape'
    one = numpy_helper.from_array(np.ones(1, dtype), f'{mask.name}_one')
    nodes.append(helper.make_node('Concat', parts, [shape], axis=0))
    nodes.append(helper.make_node('ConstantOfShape', [shape], [mask.name], value=one))
    others: list[onnx.NodeProto] = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])


def _set_channels(graph: Any, image: TensorSpec) -> None:
    """Fix the number of channels of an image input."""
    axis = 3 if image.channels_last else 1
    [value] = [value for value in graph.input if value.name == image.name]
    value.type.tensor_type.shape.dim[axis].dim_value = image.shape[axis] or 3


def _add_batch(graph: Any, name: str) -> None:
    """Add a batch dimension of one to an input of one image."""
    import onnx

    image, first = f'{name}_without_batch', f'{name}_first'
    for node in all_nodes(graph):
        for number, tensor in enumerate(node.input):
            if tensor == name:
                node.input[number] = image
    # Gather with a single index drops the dimension in every version of the operators.
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.int64), first))
    graph.node.insert(0, onnx.helper.make_node('Gather', [name, first], [image], axis=0))
    [value] = [value for value in graph.input if value.name == name]
    dimensions = value.type.tensor_type.shape.dim
    dimensions.insert(0, onnx.TensorShapeProto.Dimension(dim_value=1))


def _read_bytes(model: ModelInfo) -> bytes:
    """
    Return the bytes that were described, or read the file again and compare it.

    :raises ModelError: if it, or its external data, changed since.
    """
    if model.content.data is not None:
        return model.content.data
    file = read_model_file(model.path)
    if hash_model(file, model.external_data) != model.sha256:
        raise ModelError(f'{model.path} changed on disk while it was being opened; open it again')
    return file.data
