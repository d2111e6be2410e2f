# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that select detections by their place and size, and rename their classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..errors import ConfigError
from ..parameter_spec import check_all, parameter
from .region import parse_region

__all__ = ['RegionParameters']

_SIZE = 'numbers below 1 are shares of the width and height of the image, others are pixels'


@dataclass(frozen=True, kw_only=True)
class RegionParameters:
    """Group of parameters of :class:`trt_detector.config.DetectorConfig`, which has the slots."""

    __slots__ = ()

    regions: tuple[str, ...] = parameter(
        (),
        "Polygons as '[camera:] include|exclude x,y x,y x,y ...' in shares of the image's width "
        'and height; detections outside all include regions of their camera, or inside an exclude '
        'region, are not published. A region without an image topic is for every camera.',
        live=True,
    )
    region_anchor: str = parameter(
        'center',
        'Point of a box that decides whether it is in a region or a mask: its center, or the '
        'middle of its lower edge, where an object stands on the ground.',
        choices=('center', 'bottom'),
        live=True,
    )
    ignore_mask: tuple[str, ...] = parameter(
        (),
        "Picture files as '[camera:] path', stretched over the image; detections on white are not "
        'published.',
        live=True,
    )
    min_size: tuple[float, ...] = parameter(
        (),
        f'Minimum width and height of a box, or one number for both; {_SIZE}.',
        minimum=0.0,
        live=True,
    )
    max_size: tuple[float, ...] = parameter(
        (),
        f'Maximum width and height of a box, or one number for both; {_SIZE}; 0 is no limit.',
        minimum=0.0,
        live=True,
    )

    class_map: tuple[str, ...] = parameter(
        (),
        "Other names for classes as 'source:target': car:vehicle and truck:vehicle publish both "
        'as one class, suppressed together. All other parameters know the new names only.',
    )
    crop_to_regions: bool = parameter(
        False,
        'Detect only in the bounding box of the include regions of a camera: the input of the '
        'network shows it larger. Images of a camera without one are not cropped.',
        live=True,
    )

    def check_regions(self) -> None:
        """
        Refuse regions and sizes that cannot be meant.

        :raises ConfigError: with every error.
        """
        check_all((*(partial(parse_region, text) for text in self.regions), self._check_sizes))

    def describe_missing_crop(self) -> str:
        """Describe that crop_to_regions has no include region to crop to; '' if it has one."""
        if not self.crop_to_regions or any(parse_region(text).include for text in self.regions):
            return ''
        return (
            'crop_to_regions is true, but there is no include region: nothing is cropped; add one '
            "to regions, e.g. 'include 0,0.5 1,0.5 1,1 0,1', or set crop_to_regions to false"
        )

    def _check_sizes(self) -> None:
        """Refuse sizes that are not one or two numbers, or that no box can have."""
        for name, size in (('min_size', self.min_size), ('max_size', self.max_size)):
            if len(size) > 2:
                raise ConfigError(
                    f'{name} is {list(size)}; expected a width and a height, one number for both, '
                    'or none'
                )
        if 1.0 in self.max_size:
            raise ConfigError(
                f'max_size is {list(self.max_size)}, and 1 is one pixel: numbers below 1 are '
                'shares of the image; 0 is no limit'
            )
        sides = zip(_both(self.min_size), _both(self.max_size), strict=True)
        for side, (low, high) in zip(('width', 'height'), sides, strict=True):
            if (low < 1) == (high < 1) and 0 < high < low:
                raise ConfigError(
                    f'min_size asks for a {side} of at least {low:g} and max_size for at most '
                    f'{high:g}: no box has both'
                )

    @property
    def size_limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Minimum and maximum (width, height); numbers below 1 are shares, a maximum 0 is none."""
        return _both(self.min_size), _both(self.max_size)


def _both(size: tuple[float, ...]) -> tuple[float, float]:
    """Complete a width and height; (0, 0) if there are none."""
    return (size[0], size[-1]) if size else (0.0, 0.0)
