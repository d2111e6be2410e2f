# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Input of a build, derived from the parameters."""

from __future__ import annotations

from dataclasses import dataclass

from ...config import DetectorConfig
from ...errors import ConfigError
from ...gpu.device_info import get_gpu_memory_bytes
from ...model_info import ModelInfo
from ..profile import profile_shapes, ProfileShapes
from .precision import choose_precision, PrecisionChoice

__all__ = ['BuildRequest', 'BuildTarget', 'make_request']


@dataclass(frozen=True, slots=True)
class BuildTarget:
    """
    Device to build for.

    :param compute_capability: (major, minor); None for the GPU of this machine.
    :param dla_core: Deep Learning Accelerator core, -1 for the GPU itself.
    :param portable: whether the lean runtime of the same version can run the plan.
    :param any_ampere: whether every GPU since Ampere can run the plan, not only this kind.
    """

    compute_capability: tuple[int, int] | None = None
    dla_core: int = -1
    portable: bool = False
    any_ampere: bool = False


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """
    Input of a build.

    :param model: the ONNX file.
    :param shapes: the optimization profile.
    :param choice: the precision.
    :param workspace_bytes: maximum workspace memory of a layer.
    :param target: device to build for.
    :param plugin_libraries: paths of plugin libraries to load.
    :param timing_cache: timing cache of an earlier build, b'' for none.
    :param input_size: (height, width) that the network runs at, None for the profile's optimum.
    """

    model: ModelInfo
    shapes: ProfileShapes
    choice: PrecisionChoice
    workspace_bytes: int
    target: BuildTarget
    plugin_libraries: tuple[str, ...]
    timing_cache: bytes = b''
    input_size: tuple[int, int] | None = None


def make_request(
    config: DetectorConfig,
    model: ModelInfo,
    *,
    fast_fp16: bool,
    batch_size: int,
    target: BuildTarget | None = None,
) -> BuildRequest:
    """
    Derive the build request from the parameters.

    :param config: the parameters.
    :param model: the ONNX file.
    :param fast_fp16: whether the device is faster at FP16 than at FP32.
    :param batch_size: images per run, if the model has a dynamic batch.
    :param target: device to build for; None for the GPU of this machine and config.dla_core.
    :raises ConfigError: if parameters contradict each other or the model.
    :raises CalibrationCacheError: if the calibration cache cannot be read.
    """
    shapes = profile_shapes(
        model.image_input,
        batch_size,
        size=config.input_size or model.input_size,
        min_shape=config.min_shape,
        opt_shape=config.opt_shape,
        max_shape=config.max_shape,
    )
    if config.dla_core >= 0:
        shapes = _fixed_for_dla(config, shapes)
    _check_batch(config, model, shapes)
    _check_size(config, shapes)
    memory = get_gpu_memory_bytes(config.device_id)
    return BuildRequest(
        model=model,
        shapes=shapes,
        choice=choose_precision(config, model, fast_fp16=fast_fp16),
        workspace_bytes=int(config.workspace_fraction * memory),
        target=target or BuildTarget(dla_core=config.dla_core),
        plugin_libraries=config.plugin_libraries,
        input_size=config.input_size,
    )


def _fixed_for_dla(config: DetectorConfig, shapes: ProfileShapes) -> ProfileShapes:
    """
    Reduce a profile to one shape: layers with a dynamic shape silently leave the DLA for the GPU.

    :raises ConfigError: if parameters ask for a range of shapes.
    """
    given = {shape for shape in (config.min_shape, config.opt_shape, config.max_shape) if shape}
    if len(given) > 1:
        raise ConfigError(
            f'dla_core is {config.dla_core}, and a DLA runs one fixed shape only, but min_shape, '
            f'opt_shape and max_shape ask for {shapes}; set max_shape only'
        )
    # Fewer images are padded to the full batch.
    return ProfileShapes(shapes.maximum, shapes.maximum, shapes.maximum)


def _check_size(config: DetectorConfig, shapes: ProfileShapes) -> None:
    """
    Reject an input_shape outside of the profile.

    :raises ConfigError: with both.
    """
    if config.input_size is not None and not shapes.holds(shapes.with_size(config.input_size)):
        raise ConfigError(
            f'input_shape is {config.input_shape}, but the engine takes {shapes}; leave it at '
            'auto, or choose min_shape and max_shape around it'
        )


def _check_batch(config: DetectorConfig, model: ModelInfo, shapes: ProfileShapes) -> None:
    """
    Reject a batch_size that the model or max_shape does not allow.

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
