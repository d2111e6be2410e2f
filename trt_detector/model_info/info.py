# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Interface and metadata of an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ModelError
from ..values.output_part import OutputPart
from ..values.tensor_spec import TensorSpec
from .content import ModelContent
from .pixels import InputPixels

__all__ = ['ModelInfo', 'complete_image_shape', 'find_image_inputs']

# Inputs [N, 2] beside the image: width and height of the original image (RT-DETR, D-FINE, DEIM);
# height and width of the network's input, and its scale in y and x to the original (Paddle).
_SIZE_INPUTS = ('orig_target_sizes', 'im_shape', 'scale_factor')
# [N, H, W]: 1 for each pixel that belongs to the image and not to padding (Transformers' DETR).
_MASK_INPUT = 'pixel_mask'


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """
    Interface and metadata of an ONNX file.

    :param path: the file.
    :param sha256: over the file and its external data, hexadecimal.
    :param inputs: the graph's inputs without its weights.
    :param outputs: the graph's outputs.
    :param metadata: key and value texts of the exporter, completed by the metadata files beside
        the model.
    :param class_names: names by class id, None if nothing gives any.
    :param input_size: (height, width) in pixels of the one image input, from its shape or from
        the metadata; None if neither tells.
    :param stride: from the metadata, None if they have none.
    :param producer: exporter of the file.
    :param operators: operator types in use, subgraphs included.
    :param precision: 'int8' for a graph with Q/DQ nodes, 'fp16' for half weights, else 'fp32'.
    :param external_data: files beside the model with its weights.
    :param tails: per output name, the operator types between it and the last convolutions or
        matrix products.
    :param parts: per output name, the tensors that are concatenated to it, for outputs of rows
        of seven values.
    :param box_forms: per output name 'centers' or 'corners', if the arithmetic of its boxes tells.
    :param objectness: names of the outputs that have objectness before the class scores.
    :param output_steps: per output name the distance between its values, for outputs that a
        quantized graph rounds with one scale.
    :param input_pixels: arithmetic of the graph on its pixels before its first layer.
    :param sources: per metadata entry the file that it comes from, for messages.
    :param warnings: sentences about metadata that could not be used.
    :param content: bytes of the file, released when the engine is open. None of a file with
        external data, which runtimes read themselves.
    """

    path: Path
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str]
    class_names: tuple[str, ...] | None
    input_size: tuple[int, int] | None
    stride: int | None
    producer: str
    operators: frozenset[str]
    precision: str
    external_data: tuple[Path, ...]
    tails: Mapping[str, frozenset[str]]
    parts: Mapping[str, tuple[OutputPart, ...]]
    box_forms: Mapping[str, str]
    objectness: frozenset[str]
    output_steps: Mapping[str, float]
    input_pixels: InputPixels
    sources: Mapping[str, str]
    warnings: tuple[str, ...]
    content: ModelContent = field(repr=False, compare=False)

    @property
    def image_input(self) -> TensorSpec:
        """
        Return the only input, as :func:`.prepare.prepare_model` gives it to a runtime.

        :raises ModelError: if the graph has none or several.
        """
        images = find_image_inputs(self.inputs)
        if len(images) != 1:
            found = '; '.join(str(spec) for spec in self.inputs) or 'none'
            raise ModelError(f'{self.path} has the inputs {found}; expected one image')
        return complete_image_shape(images[0])

    @property
    def lacks_batch(self) -> bool:
        """Return whether the graph takes one image without a batch dimension."""
        image = self.image_input
        return len(image.shape) == 4 and len(find_image_inputs(self.inputs)[0].shape) == 3

    @property
    def lacks_channels(self) -> bool:
        """Return whether the graph leaves the number of channels open."""
        return not self.lacks_batch and self.image_input not in self.inputs

    @property
    def size_inputs(self) -> tuple[TensorSpec, ...]:
        """Inputs for the size of the images, which become constants."""
        images = find_image_inputs(self.inputs)
        return tuple(spec for spec in self.inputs if spec not in images and not _is_mask(spec))

    @property
    def mask_input(self) -> TensorSpec | None:
        """Input for the mask of the images' pixels, which is computed in the graph."""
        images = find_image_inputs(self.inputs)
        masks = (spec for spec in self.inputs if _is_mask(spec) and spec not in images)
        return next(masks, None)


def find_image_inputs(inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Drop the inputs [N, 2] for the sizes of the images, and the mask [N, H, W] of DETR."""
    images = tuple(
        spec
        for spec in inputs
        if not (spec.name in _SIZE_INPUTS and spec.shape[1:] == (2,)) and not _is_mask(spec)
    )
    return images or inputs


def _is_mask(spec: TensorSpec) -> bool:
    return spec.name == _MASK_INPUT and len(spec.shape) == 3


def complete_image_shape(image: TensorSpec) -> TensorSpec:
    """
    Complete the shape of an image input.

    [C, H, W] and [H, W, C] get a batch of one, and an open number of channels becomes 3.
    """
    shape = image.shape
    if len(shape) == 4 and shape[1] not in (1, 3) and shape[3] not in (1, 3):
        if shape[1] is None:
            return replace(image, shape=(shape[0], 3, *shape[2:]))
        if shape[3] is None:
            return replace(image, shape=(*shape[:3], 3))
    if len(shape) == 3 and (shape[0] in (1, 3) or shape[2] in (1, 3)):
        return replace(image, shape=(1, *shape))
    return image
