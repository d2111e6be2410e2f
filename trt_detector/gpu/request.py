# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What to build, from the parameters and the model."""

from __future__ import annotations

from ..config import DetectorConfig
from ..errors import ConfigError
from ..model_info import ModelInfo
from .build import BuildRequest, BuildTarget
from .device_info import get_gpu_memory_bytes
from .precision import choose_precision
from .shapes import profile_shapes, ProfileShapes

__all__ = ['make_request']


def make_request(
    config: DetectorConfig,
    model: ModelInfo,
    *,
    fast_fp16: bool,
    batch_size: int,
    compute_capability: tuple[int, int] | None = None,
) -> BuildRequest:
    """Return what to build from the parameters."""
    shapes = profile_shapes(
        model.image_input,
        batch_size,
        size=config.input_size or model.input_size,
        min_shape=config.min_shape,
        opt_shape=config.opt_shape,
        max_shape=config.max_shape,
    )
    _check_batch(config, model, shapes)
    _check_size(config, shapes)
    memory = get_gpu_memory_bytes(config.device_id)
    return BuildRequest(
        model=model,
        shapes=shapes,
        choice=choose_precision(config, model, fast_fp16=fast_fp16),
        workspace_bytes=int(config.workspace_fraction * memory),
        target=BuildTarget(compute_capability, config.dla_core),
        plugin_libraries=config.plugin_libraries,
        input_size=config.input_size,
    )


def _check_size(config: DetectorConfig, shapes: ProfileShapes) -> None:
    """
    Refuse an input_shape that the profile does not hold.

    :raises ConfigError: with both.
    """
    if config.input_size is not None and not shapes.holds(shapes.with_size(config.input_size)):
        raise ConfigError(
            f'input_shape is {config.input_shape}, but the engine takes {shapes}; leave it at '
            'auto, or choose min_shape and max_shape around it'
        )


def _check_batch(config: DetectorConfig, model: ModelInfo, shapes: ProfileShapes) -> None:
    """
    Refuse a batch_size that the model or max_shape cannot hold.

    :raises ConfigError: with both numbers.
    """
    wanted, largest = config.batch_size, shapes.maximum[0]
    fixed = model.image_input.shape[0]
    if fixed is not None and wanted not in (0, fixed):
        raise ConfigError(
            f'batch_size is {wanted}, but {model.path.name} has a fixed batch of {fixed}; set '
            'batch_size to 0, or export with a dynamic batch'
        )
    if fixed is None and wanted > largest:
        raise ConfigError(
            f'batch_size is {wanted}, but max_shape {list(shapes.maximum)} takes {largest} '
            'image(s); raise its first number or lower batch_size'
        )
