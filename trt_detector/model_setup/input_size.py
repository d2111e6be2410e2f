# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of the input size for a network that leaves height and width open."""

from __future__ import annotations

from collections.abc import Callable

from ..decode import Head, Recognized
from ..engine import InferenceEngine
from ..pipeline import ChooseInputSize
from ..preprocess import choose_input_size, Preprocessor
from ..values.tensor_spec import DEFAULT_INPUT_SIZE
from .preprocessing import Preprocessing
from .setup import ModelSetup

__all__ = ['input_size_chooser']

# If the model gives none.
_DEFAULT_STRIDE = 32


def input_size_chooser(
    setup: ModelSetup, engine: InferenceEngine, preprocessing: Preprocessing
) -> ChooseInputSize | None:
    """Return the function that sets an open input size, None if the size is known."""
    config, model = setup.config, setup.model
    smallest, largest = engine.get_input_shape_range()
    known = config.input_shape != 'auto' or bool(config.opt_shape) or smallest == largest
    if known or model is None or model.size_inputs or preprocessing.square:
        return None
    if config.min_shape:
        low = engine.input_spec.height_width(config.min_shape)
        smallest = (max(smallest[0], low[0]), max(smallest[1], low[1]))
    if config.max_shape:
        high = engine.input_spec.height_width(config.max_shape)
        largest = (min(largest[0], high[0]), min(largest[1], high[1]))
    stride = model.stride or _DEFAULT_STRIDE
    if preprocessing.edges is not None:
        stride = 1

    recognized: dict[tuple[int, int], Recognized] = {}

    def choose(
        image_size: tuple[int, int], before_change: Callable[[], None]
    ) -> tuple[Preprocessor, Head] | None:
        if preprocessing.edges is not None:
            limit = _scale_to_edges(image_size, preprocessing.edges)
        else:
            limit = model.input_size or DEFAULT_INPUT_SIZE
        size = choose_input_size(image_size, limit, stride, smallest, largest)
        if size == engine.get_input_shape():
            return None
        before_change()
        engine.set_input_shape(size)
        if size not in recognized:
            recognized[size] = setup.recognize_engine(engine)
        return setup.preprocessor(engine, preprocessing), recognized[size].head

    return choose


def _scale_to_edges(image_size: tuple[int, int], edges: tuple[int, int]) -> tuple[int, int]:
    """
    Scale an image to its shortest edge, unless the longest one would be too long.

    :param image_size: (width, height) in pixels.
    :param edges: (shortest, longest) in pixels.
    :return: (height, width) in pixels.
    """
    width, height = image_size
    gain = min(edges[0] / min(width, height), edges[1] / max(width, height))
    return max(1, round(height * gain)), max(1, round(width * gain))
