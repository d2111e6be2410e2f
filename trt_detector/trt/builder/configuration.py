# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of a builder, whose methods report failures by their return value only."""

from __future__ import annotations

from typing import Any

from ...errors import BuildError
from ..library import TensorRTLibrary
from ..logger import LogLines
from ..profile import ProfileShapes

__all__ = ['add_profile', 'create_builder_config', 'set_calibration_profile']


def create_builder_config(library: TensorRTLibrary, builder: Any, lines: LogLines) -> Any:
    """
    Create an IBuilderConfig.

    :raises BuildError: with the error lines of TensorRT.
    """
    builder_config = builder.create_builder_config()
    if builder_config is None:
        raise BuildError(f'{library.label} cannot create a configuration{lines.explain()}')
    return builder_config


def add_profile(
    library: TensorRTLibrary,
    builder: Any,
    builder_config: Any,
    lines: LogLines,
    name: str,
    shapes: ProfileShapes,
) -> Any:
    """
    Add the optimization profile of an input.

    :param library: the library that builds.
    :param builder: IBuilder.
    :param builder_config: IBuilderConfig that the profile is added to.
    :param lines: log lines of TensorRT.
    :param name: name of the input.
    :param shapes: minimum, optimum and maximum.
    :return: the IOptimizationProfile, which belongs to the builder.
    :raises BuildError: with the error lines of TensorRT if it rejects the shapes.
    """
    optimization_profile = builder.create_optimization_profile()
    try:
        optimization_profile.set_shape(name, shapes.minimum, shapes.optimum, shapes.maximum)
    except RuntimeError as error:
        raise BuildError(
            f'{library.label} rejects the shapes {shapes} for input {name!r}: {error}'
            f'{lines.explain()}'
        ) from error
    if builder_config.add_optimization_profile(optimization_profile) < 0:
        raise BuildError(
            f'{library.label} rejects the profile {shapes} of input {name!r}{lines.explain()}'
        )
    return optimization_profile


def set_calibration_profile(
    library: TensorRTLibrary, builder_config: Any, lines: LogLines, optimization_profile: Any
) -> None:
    """
    Set the profile that a calibration uses.

    :raises BuildError: with the error lines of TensorRT.
    """
    if not builder_config.set_calibration_profile(optimization_profile):
        raise BuildError(
            f'{library.label} rejects the profile for the calibration{lines.explain()}'
        )
