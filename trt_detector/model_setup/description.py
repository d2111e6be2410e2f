# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Description of a detector in one line: its settings and the source of each."""

from __future__ import annotations

from ..decode import Evidence, Recognized
from ..engine import InferenceEngine
from ..preprocess import PreprocessSpec
from .preprocessing import Preprocessing
from .setup import ModelSetup

__all__ = ['describe_detector']

_EVIDENCE = {
    Evidence.METADATA: 'by metadata',
    Evidence.OUTPUTS: 'by names and types of the outputs',
    Evidence.OPERATORS: 'by operators',
    Evidence.THREE_ANCHORS: 'by three anchors per cell',
    Evidence.ANCHORS: 'by one anchor per cell',
    Evidence.FEW_ROWS: 'by the small number of rows',
    Evidence.OPEN_SHAPE: 'by the number of values',
    Evidence.POSSIBLE: 'by the number of values',
}


def describe_detector(
    setup: ModelSetup,
    engine: InferenceEngine,
    found: Recognized,
    preprocessing: Preprocessing,
    *,
    follows_images: bool,
) -> str:
    """
    Describe head, preprocessing, input size, classes and tiles, with their sources.

    :param follows_images: the input size is open and chosen per image.
    """
    names = setup.class_names(found)
    source = setup.names_source if setup.names else 'numbered, no names are given'
    height, width = engine.get_input_shape()
    size = 'follows the images' if follows_images else f'{width}x{height}'
    layout, config = engine.input_spec, setup.config
    tiles = f'; tiles {config.tiling}, overlap {config.tile_overlap:.0%}'
    return (
        f'head {found.name} ({_head_source(setup, found)}); '
        f'preprocessing {_describe_spec(preprocessing.spec)} ({preprocessing.source}); '
        f'input {size}, {layout.dtype} '
        f'({_size_source(setup, engine, preprocessing, follows_images=follows_images)}); '
        f'{len(names) or "unknown number of"} classes ({source})'
        f'{"" if config.tile_grid is None else tiles}'
    )


def _head_source(setup: ModelSetup, found: Recognized) -> str:
    """Tell how the head was recognized."""
    if setup.config.head != 'auto':
        return 'parameter head'
    return f'recognized {_EVIDENCE.get(found.evidence, "")}'.strip()


def _describe_spec(spec: PreprocessSpec) -> str:
    """Describe a preprocessing."""
    resize = spec.mode
    if spec.mode == 'letterbox':
        resize = f'letterbox {spec.anchor} with padding {spec.pad_value}'
    scale = f'1/{1 / spec.scale:g}' if spec.scale < 1 else f'{spec.scale:g}'
    parts = [resize, spec.color.upper(), f'scale {scale}']
    if any(spec.mean) or any(value != 1 for value in spec.std):
        parts.append(f'mean {_join(spec.mean)}, std {_join(spec.std)}')
    else:
        parts.append('no mean and std')
    return ', '.join(parts)


def _join(values: tuple[float, ...]) -> str:
    """Format numbers."""
    return '/'.join(f'{value:g}' for value in values)


def _size_source(
    setup: ModelSetup,
    engine: InferenceEngine,
    preprocessing: Preprocessing,
    *,
    follows_images: bool,
) -> str:
    """Tell the source of the input size."""
    config = setup.config
    if None not in engine.input_spec.height_width(engine.input_spec.shape):
        return 'fixed by the model'
    for name in ('input_shape', 'opt_shape'):
        if getattr(config, name) not in ('auto', ()):
            return f'parameter {name}'
    limit = setup.sources.get('imgsz', 'default of 640x640')
    if follows_images:
        return f'open, limit: {limit}'
    if preprocessing.size is not None:
        return 'preprocessor_config.json'
    return limit
