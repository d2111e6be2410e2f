# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the input of the network: size, and preprocessing of the images."""

from __future__ import annotations

from dataclasses import dataclass
import re

from ..errors import ConfigError
from ..parameter_spec import parameter

__all__ = ['PreprocessingParameters']


@dataclass(frozen=True, kw_only=True)
class PreprocessingParameters:
    """Group of parameters of :class:`trt_detector.config.DetectorConfig`, which has the slots."""

    __slots__ = ()

    input_shape: str = parameter(
        'auto',
        'Height x width of the input of a model that leaves them open, e.g. 384x640; auto takes '
        'opt_shape, else the training size (DETR), else what fits the aspect ratio of the image '
        'within the profile.',
    )
    preprocess_preset: str = parameter(
        'auto',
        'Preprocessing preset; auto is the one of the recognized layout. The parameters below '
        'override single values of it.',
        choices=(
            'auto',
            'yolo',
            'yolox',
            'detr',
            'detr_imagenet',
            'torchvision',
            'tao',
            'tensorflow',
            'efficientdet',
            'nanodet_plus',
            'nanodet',
            'mmdet',
        ),
    )
    resize_mode: str = parameter(
        'auto',
        'Resizing: letterbox keeps the aspect ratio and pads, stretch fills the input.',
        choices=('auto', 'letterbox', 'stretch'),
    )
    letterbox_anchor: str = parameter(
        'auto',
        'Position of the picture in a letterbox.',
        choices=('auto', 'center', 'top_left'),
    )
    pad_value: int = parameter(
        -1, 'Gray level of the padding; -1 is the preset.', minimum=-1, maximum=255
    )
    input_scale: float = parameter(
        0.0,
        'Factor for pixel values of 0 to 255; 0 is the preset.',
        minimum=0.0,
    )
    input_mean: tuple[float, ...] = parameter(
        (), 'Mean per channel, subtracted after the scale; empty is the preset.'
    )
    input_std: tuple[float, ...] = parameter(
        (),
        'Standard deviation per channel, the divisor after the mean; empty is the preset.',
        minimum=1e-6,
    )
    color_order: str = parameter(
        'auto', 'Channel order of the network.', choices=('auto', 'rgb', 'bgr')
    )

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Return (height, width) that input_shape asks for, None for auto."""
        if self.input_shape == 'auto':
            return None
        height, width = self.input_shape.lower().split('x')
        return int(height), int(width)

    def check_input(self) -> None:
        """Refuse an input_shape that is no size, and means that are not one per channel."""
        if not re.fullmatch('auto|[1-9][0-9]{0,4}[xX][1-9][0-9]{0,4}', self.input_shape):
            raise ConfigError(
                f'input_shape is {self.input_shape!r}; expected auto, or height x width as 384x640'
            )
        for name, values in (('input_mean', self.input_mean), ('input_std', self.input_std)):
            if len(values) not in (0, 1, 3):
                raise ConfigError(
                    f'{name} is {list(values)}; expected three numbers, one for all channels, or '
                    'none'
                )
