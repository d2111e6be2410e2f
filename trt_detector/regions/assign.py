# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Regions of each camera from the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import logging

from ..errors import ConfigError
from ..parameter_spec import check_all, suggest
from .camera_regions import CameraRegions
from .ignore_mask import IgnoreMask
from .parameters import RegionParameters
from .region import parse_region

__all__ = ['assign_regions']

_LOG = logging.getLogger(__name__)


def assign_regions(
    parameters: RegionParameters, cameras: Sequence[Sequence[str]]
) -> tuple[CameraRegions, ...] | None:
    """
    Assign regions, masks and sizes to the cameras.

    :param cameras: names of each camera: full and given names of its image topic.
    :return: those of each camera; None if nothing is selected at all.
    :raises ConfigError: if a camera is unknown, or a mask cannot be read.
    """
    warning = parameters.describe_missing_crop()
    if warning:
        _LOG.warning('%s', warning)
    min_wh, max_wh = parameters.size_limits
    if not (parameters.regions or parameters.ignore_mask or any(min_wh) or any(max_wh)):
        return None
    regions = [parse_region(text) for text in parameters.regions]
    masks = [IgnoreMask(text) for text in parameters.ignore_mask]
    named = [('regions', each.camera) for each in regions]
    named += [('ignore_mask', each.camera) for each in masks]
    check_all(partial(_check_camera, *pair, cameras) for pair in named if pair[1])
    return tuple(
        CameraRegions(
            include=tuple(r for r in regions if r.include and r.camera in ('', *names)),
            exclude=tuple(r for r in regions if not r.include and r.camera in ('', *names)),
            masks=tuple(mask for mask in masks if mask.camera in ('', *names)),
            anchor=parameters.region_anchor,
            min_wh=min_wh,
            max_wh=max_wh,
            crop=parameters.crop_to_regions,
        )
        for names in cameras
    )


def _check_camera(parameter: str, camera: str, cameras: Sequence[Sequence[str]]) -> None:
    """Refuse the name of no camera."""
    known = [name for names in cameras for name in names]
    if not known:
        raise ConfigError(
            f'{parameter} names the camera {camera!r}, and these images are of no camera: leave '
            'it out'
        )
    if camera not in known:
        topics = ', '.join(names[0] for names in cameras)
        raise ConfigError(
            f'{parameter} names the camera {camera!r}; expected an image topic of this node: '
            f'{topics}{suggest(camera, known)}'
        )
