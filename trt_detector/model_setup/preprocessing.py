# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of the preprocessing from parameters, files beside the model and its head layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import DetectorConfig
from ..decode import Recognized
from ..errors import ModelError
from ..model_info import (
    ProcessorConfig,
    read_model_type,
    read_paddle_config,
    read_processor_config,
)
from ..preprocess import PreprocessSpec, PRESETS
from ..values.tensor_spec import TensorSpec

__all__ = ['Preprocessing', 'choose_preprocessing']

# model_type of Hugging Face's config.json, lower case, without separators.
_NORMALIZED_TYPES = (
    'detr', 'conditionaldetr', 'deformabledetr', 'dabdetr', 'dino', 'groundingdino', 'deta',
    'rfdetr', 'yolos', 'tabletransformer',
)  # fmt: skip
_PLAIN_TYPES = ('rtdetr', 'rtdetrv2', 'dfine', 'deim')
# Layouts of the DETR family that do not tell whether pixels are normalized.
_UNDECIDED_LAYOUTS = ('detr_sigmoid', 'detr')
_RF_DETR_OUTPUTS = frozenset({'dets', 'labels'})
# Checked with the configurations of DEIMv2; RF-DETR and YOLOS need the same.
_TRANSFORMER = (
    "the first layer is that of a vision transformer, so ImageNet's mean and std are assumed, as "
    'DEIMv2 with DINOv3, LW-DETR and YOLOS need them; set preprocess_preset to detr if it was '
    'trained without'
)
_SPEC_PARAMETERS = (
    'resize_mode', 'letterbox_anchor', 'pad_value', 'input_scale', 'input_mean', 'input_std',
    'color_order',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """
    Preprocessing of a model.

    :param spec: resize and pixel values.
    :param source: sources of the choice, for messages.
    :param size: (height, width) that the model was trained at, None if unknown.
    :param edges: (shortest, longest) edge that images were scaled to, None if unknown.
    :param square: the model runs at one size: an open input size does not follow the image.
    :param warnings: sentences for the user: assumptions, files that could not be used.
    """

    spec: PreprocessSpec
    source: str
    size: tuple[int, int] | None
    edges: tuple[int, int] | None
    square: bool
    warnings: tuple[str, ...] = ()


def choose_preprocessing(
    config: DetectorConfig,
    path: Path,
    metadata: Mapping[str, str],
    found: Recognized,
    outputs: Sequence[TensorSpec],
    *,
    patches: bool = False,
) -> Preprocessing:
    """
    Choose the preprocessing: parameters, a file of the exporter, model type, head layout.

    The files are the preprocessor_config.json of Transformers and PaddleDetection's infer_cfg.yml.

    :param path: the model, whose folder has the files.
    :param metadata: of the model.
    :param found: the recognized head.
    :param outputs: of the network.
    :param patches: the network begins as a vision transformer.
    """
    detr = found.preset.startswith('detr')
    changed = [name for name in _SPEC_PARAMETERS if getattr(config, name) != _default(name)]
    by_parameter = f', parameters {", ".join(changed)}' if changed else ''
    try:
        processor = read_processor_config(path) or read_paddle_config(path)
        failed: tuple[str, ...] = ()
    except ModelError as error:
        processor, failed = None, (f'{error} (it was ignored)',)
    size = processor.size if processor is not None and detr else None
    edges = processor.edges if processor is not None and detr else None
    if config.preprocess_preset != 'auto':
        spec = PreprocessSpec.from_config(config, PRESETS[config.preprocess_preset])
        source = f'parameter preprocess_preset {config.preprocess_preset}{by_parameter}'
        return Preprocessing(spec, source, size, edges, detr and edges is None)
    preset, source, warnings = _choose_preset(path, metadata, found, outputs, patches=patches)
    if processor is None:
        base = PRESETS[preset]
    else:
        base, told = _apply_processor(PRESETS[preset], processor, detr)
        if told:
            source, warnings = processor.path.name, ()
    spec = PreprocessSpec.from_config(config, base)
    if config.input_mean and config.input_std:
        warnings = ()
    return Preprocessing(
        spec,
        source + by_parameter,
        size,
        edges,
        detr and edges is None,
        (*failed, *warnings),
    )


def _choose_preset(
    path: Path,
    metadata: Mapping[str, str],
    found: Recognized,
    outputs: Sequence[TensorSpec],
    *,
    patches: bool,
) -> tuple[str, str, tuple[str, ...]]:
    """Choose the preset without processor file: its name, its source, and what is assumed."""
    by_layout = f'head layout {found.name}'
    if found.assumption:
        return found.preset, f'{by_layout}, assumed', (found.assumption,)
    if not found.preset.startswith('detr'):
        return found.preset, by_layout, ()
    warnings: tuple[str, ...] = ()
    kind = metadata.get('model_type', '')
    try:
        kind = kind or read_model_type(path)
    except ModelError as error:
        warnings = (f'{error} (it was ignored)',)
    plain_kind = kind.lower().replace('-', '').replace('_', '')
    if plain_kind in _NORMALIZED_TYPES:
        return 'detr_imagenet', f'model_type {kind}', warnings
    if plain_kind in _PLAIN_TYPES:
        return 'detr', f'model_type {kind}', warnings
    texts = (metadata.get('head', ''), metadata.get('description', ''))
    if any('rtdetr' in text.lower() for text in texts):
        return 'detr', 'metadata of RT-DETR', warnings
    if {output.name for output in outputs} >= _RF_DETR_OUTPUTS:
        return 'detr_imagenet', 'output names of RF-DETR', warnings
    if patches and found.preset == 'detr':
        return 'detr_imagenet', f'{by_layout}, assumed', (*warnings, _TRANSFORMER)
    if found.name in _UNDECIDED_LAYOUTS:
        assumption = (
            'nothing tells whether the network takes normalized pixels: assumed is the scale '
            '1/255 without mean and std, as RT-DETR and D-FINE need it; Deformable, Conditional '
            'and DAB-DETR and DINO need preprocess_preset: detr_imagenet (or their '
            'preprocessor_config.json beside the model)'
        )
        return found.preset, f'{by_layout}, assumed', (*warnings, assumption)
    return found.preset, by_layout, warnings


def _apply_processor(
    base: PreprocessSpec, processor: ProcessorConfig, detr: bool
) -> tuple[PreprocessSpec, bool]:
    """
    Apply a processor file to a preset.

    :param detr: the resize of the file counts as well, not only its pixel values.
    :return: the preprocessing, and whether the file gives mean and std.
    """
    changes: dict[str, Any] = {}
    if processor.scale is not None:
        changes['scale'] = processor.scale
    if processor.mean is not None and processor.std is not None:
        changes |= {'mean': processor.mean, 'std': processor.std}
    if detr and processor.pad_size is not None:
        # The padding is 0 after the normalization, which is the gray level of the mean before it.
        mean = processor.mean or (0.0, 0.0, 0.0)
        level = sum(mean) / 3 / (processor.scale or base.scale)
        changes |= {
            'mode': 'letterbox',
            'anchor': 'top_left',
            'pad_value': min(max(round(level), 0), 255),
        }
    return replace(base, **changes), 'mean' in changes


def _default(name: str) -> Any:
    """Return the default of a parameter."""
    return DetectorConfig.__dataclass_fields__[name].default
