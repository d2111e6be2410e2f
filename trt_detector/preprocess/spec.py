# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing that networks expect, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..config import DetectorConfig

__all__ = ['PRESETS', 'PreprocessSpec']

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
# ImageNet's mean of blue, green and red on the scale of 0 to 255.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
# ImageNet's in BGR and for values of 0 to 255, as NanoDet's configuration files have them.
_NANODET_MEAN = (103.53, 116.28, 123.675)
_NANODET_STD = (57.375, 57.12, 58.395)


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """
    Preprocessing that a network expects.

    A value v of 0 to 255 becomes (v * scale - mean) / std, per channel in the order of the
    network.

    :param mode: 'letterbox' keeps the aspect ratio and pads, 'stretch' fills the whole input.
    :param anchor: position of the picture in a letterbox: 'center' or 'top_left'.
    :param pad_value: gray level of the padding, 0 to 255.
    :param color: channel order of the network, 'rgb' or 'bgr'.
    """

    mode: str = 'letterbox'
    anchor: str = 'center'
    pad_value: int = 114
    color: str = 'rgb'
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @classmethod
    def from_config(cls, config: DetectorConfig, base: PreprocessSpec) -> PreprocessSpec:
        """Override single values of a preprocessing by the parameters."""
        changes: dict[str, Any] = {
            'mode': config.resize_mode,
            'anchor': config.letterbox_anchor,
            'color': config.color_order,
        }
        changes = {name: value for name, value in changes.items() if value != 'auto'}
        if changes.get('color', base.color) != base.color:
            # Mean and std belong to the colors, not to their places.
            changes |= {'mean': base.mean[::-1], 'std': base.std[::-1]}
        if config.pad_value >= 0:
            changes['pad_value'] = config.pad_value
        if config.input_scale > 0:
            changes['scale'] = config.input_scale
        for name, values in (('mean', config.input_mean), ('std', config.input_std)):
            if values:
                changes[name] = values * 3 if len(values) == 1 else values
        return replace(base, **changes)


# Preprocessing that the networks of a family were trained with.
PRESETS: Mapping[str, PreprocessSpec] = MappingProxyType(
    {
        'yolo': PreprocessSpec(),
        'yolox': PreprocessSpec(anchor='top_left', color='bgr', scale=1.0),
        'detr': PreprocessSpec(mode='stretch'),
        'detr_imagenet': PreprocessSpec(mode='stretch', mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
        'torchvision': PreprocessSpec(anchor='top_left'),
        'tao': PreprocessSpec(
            anchor='top_left', pad_value=0, color='bgr', scale=1.0, mean=_CAFFE_MEAN
        ),
        'tensorflow': PreprocessSpec(mode='stretch', scale=1.0),
        'efficientdet': PreprocessSpec(anchor='top_left', pad_value=0, scale=1.0),
        'nanodet_plus': PreprocessSpec(
            mode='stretch', color='bgr', scale=1.0, mean=_NANODET_MEAN, std=_NANODET_STD
        ),
        'nanodet': PreprocessSpec(
            pad_value=0, color='bgr', scale=1.0, mean=_NANODET_MEAN, std=_NANODET_STD
        ),
        'mmdet': PreprocessSpec(
            anchor='top_left', pad_value=0, mean=_IMAGENET_MEAN, std=_IMAGENET_STD
        ),
    }
)
