# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of the input size: given by parameters, of the training, or by the images."""

from __future__ import annotations

from collections.abc import Callable

from ..config import DetectorConfig
from ..decode import Head, Recognized
from ..engine import InferenceEngine
from ..errors import ConfigError
from ..model_info import ModelInfo
from ..pipeline import ChooseInputSize
from ..preprocess import choose_input_size, Preprocessor
from ..values.tensor_spec import DEFAULT_INPUT_SIZE
from .preprocessing import Preprocessing
from .setup import ModelSetup

__all__ = [
    'apply_input_shape',
    'apply_trained_size',
    'find_input_size',
    'input_size_chooser',
    'set_trained_size',
]

# If the model gives none.
_DEFAULT_STRIDE = 32


def find_input_size(config: DetectorConfig, model: ModelInfo) -> tuple[int, int] | None:
    """Return (height, width) to run at: the parameter outranks the model's metadata."""
    if config.opt_shape:
        return model.image_input.height_width(config.opt_shape)
    return model.input_size


def apply_input_shape(config: DetectorConfig, model: ModelInfo, batch_size: int) -> DetectorConfig:
    """
    Write parameter input_shape as opt_shape, which every engine follows.

    :raises ConfigError: if the model fixes another size, or opt_shape contradicts.
    """
    size, image = config.input_size, model.image_input
    if size is None or len(image.shape) != 4:
        return config
    own = image.height_width(image.shape)
    if any(dim not in (None, wanted) for dim, wanted in zip(own, size, strict=True)):
        raise ConfigError(
            f'input_shape is {config.input_shape!r}, but {model.path.name} has the input {image}; '
            'set input_shape to auto, or export with a dynamic size'
        )
    if config.opt_shape:
        if image.height_width(config.opt_shape) != size:
            raise ConfigError(
                f'input_shape is {config.input_shape!r} and opt_shape is '
                f'{list(config.opt_shape)}; give one of them'
            )
        return config
    batch = image.shape[0] or batch_size
    if image.channels_last:
        return config.with_changes(opt_shape=(batch, *size, image.shape[3] or 3))
    return config.with_changes(opt_shape=(batch, image.shape[1] or 3, *size))


def apply_trained_size(
    config: DetectorConfig, model: ModelInfo, preprocessing: Preprocessing, batch_size: int
) -> DetectorConfig:
    """Set the input size of a network that leaves it open and runs at one size only."""
    shape = model.image_input.shape
    given = config.opt_shape or config.min_shape or config.max_shape
    if not preprocessing.square or given or len(shape) != 4:
        return config
    own = model.image_input.height_width(shape)
    if None not in own:
        return config
    trained = preprocessing.size or model.input_size or DEFAULT_INPUT_SIZE
    height, width = own[0] or trained[0], own[1] or trained[1]
    return apply_input_shape(
        config.with_changes(input_shape=f'{height}x{width}'), model, batch_size
    )


def set_trained_size(
    config: DetectorConfig, engine: InferenceEngine, preprocessing: Preprocessing
) -> bool:
    """Set the size that an open engine was trained at; return whether it changed."""
    if preprocessing.size is None or config.input_shape != 'auto' or config.opt_shape:
        return False
    smallest, largest = engine.get_input_shape_range()
    size = tuple(
        min(max(wanted, low), high)
        for wanted, low, high in zip(preprocessing.size, smallest, largest, strict=True)
    )
    if size == engine.get_input_shape():
        return False
    engine.set_input_shape((size[0], size[1]))
    return True


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
