# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing of a network whose graph normalizes its pixels, or reverses their channels."""

from __future__ import annotations

from dataclasses import replace

from ..config import DetectorConfig
from ..decode import Recognized
from ..model_info import InputPixels
from ..preprocess import PreprocessSpec
from .preprocessing import Preprocessing

__all__ = ['adapt_to_graph']

_NONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
# A white pixel that is off by more than this factor.
_TOLERANCE = 2.0


def adapt_to_graph(
    chosen: Preprocessing, config: DetectorConfig, found: Recognized, pixels: InputPixels
) -> Preprocessing:
    """
    Leave to the graph what it does itself: it must not happen twice.

    Parameters outrank the graph; a warning tells if they contradict it.

    :param chosen: what the other sources give.
    :param found: the recognized head.
    :param pixels: arithmetic of the graph on its input.
    """
    by_preset = config.preprocess_preset != 'auto'
    given = bool(by_preset or config.input_scale or config.input_mean or config.input_std)
    told = by_preset or config.color_order != 'auto'
    warnings = [*chosen.warnings, _find_contradiction(chosen.spec, found, pixels, given=given)]
    if pixels.color and not told:
        spec = replace(chosen.spec, color=pixels.color)
        chosen = replace(chosen, spec=spec)
    elif pixels.color and pixels.color != chosen.spec.color:
        warnings.append(_describe_color(chosen.spec.color, pixels.color))
    elif pixels.reversed_channels and not told:
        warnings.append(_describe_reversal(chosen.spec.color))
    chosen = replace(chosen, warnings=tuple(text for text in warnings if text))
    if given or not pixels.is_scaled or pixels.maximum is None:
        return chosen
    mean, std = _NONE
    spec = replace(chosen.spec, scale=pixels.maximum / 255, mean=mean, std=std)
    if spec == chosen.spec:
        return chosen
    return replace(chosen, spec=spec, source=f'{chosen.source}, normalization in the graph')


def _find_contradiction(
    spec: PreprocessSpec, found: Recognized, pixels: InputPixels, *, given: bool
) -> str:
    """
    Find what the user has to decide about the range of the pixels; '' for nothing.

    :param given: parameters set the range.
    """
    arithmetic = f'the graph computes value * {pixels.gain:.4g} + {pixels.offset:.4g}'
    if not pixels.is_scaled:
        return _TORCHVISION if found.name == 'torchvision' and not given else ''
    if pixels.maximum is None and not given:
        return (
            f'{arithmetic} before its first layer, so it is not known whether it takes pixels of '
            f'0 to 1 or 0 to 255: {255 * spec.scale:g} is the largest now; set input_scale to 1 '
            'or to 0.003921569 (1/255)'
        )
    if pixels.maximum is not None and given and not _fits(spec, pixels.maximum):
        return (
            f'{arithmetic} before its first layer, which is made for pixels of 0 to '
            f'{pixels.maximum:g}, but parameters normalize them as well; leave preprocess_preset, '
            'input_scale, input_mean and input_std at their defaults if boxes are missing'
        )
    return ''


_TORCHVISION = (
    "TorchVision's detectors normalize their pixels in the graph, but this one does not: assumed "
    'is RGB of 0 to 1; set input_scale, input_mean, input_std and color_order to those of its '
    'training'
)


def _describe_color(given: str, own: str) -> str:
    """Describe parameters that give another order of channels than the graph."""
    return (
        f"the graph subtracts ImageNet's mean in the order {own.upper()}, but parameters give it "
        f'{given.upper()}; set color_order to {own} if boxes are missing'
    )


def _describe_reversal(color: str) -> str:
    """Describe a graph that reverses the channels."""
    other = 'bgr' if color == 'rgb' else 'rgb'
    return (
        f'the graph reverses the channels of its input: it gets {color.upper()}, so its first '
        f'layer sees {other.upper()}; set color_order to {other} if the network was trained on '
        f'{color.upper()}, else to {color}'
    )


def _fits(spec: PreprocessSpec, maximum: float) -> bool:
    """Tell whether pixels are in the range that a graph is made for."""
    mean, std = _NONE
    ratio = 255 * spec.scale / maximum
    return (spec.mean, spec.std) == (mean, std) and 1 / _TOLERANCE < ratio < _TOLERANCE
