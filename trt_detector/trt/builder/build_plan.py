# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Build a plan from an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import time
from typing import Any

from ...config import DetectorConfig
from ...errors import BuildError, CalibrationCacheError, ConfigError
from ...gpu.device_info import get_gpu_memory_bytes
from ...model_info import ModelInfo
from ..library import TensorRTLibrary
from ..logger import LogLines, make_logger
from ..plugins import load_plugins
from ..profile import profile_shapes, ProfileShapes
from ..start import create_builder
from .calibrator import CacheService, make_calibrator
from .parser import parse_network
from .precision import (
    choose_precision,
    pin_layer_precision,
    PrecisionChoice,
    prepare_network,
    PreparedModel,
    set_precision_flags,
)
from .progress import BuildProgress, make_progress_monitor

__all__ = ['BuildOutcome', 'BuildRequest', 'BuildTarget', 'build_plan', 'make_request']


@dataclass(frozen=True, slots=True)
class BuildTarget:
    """
    Device to build for.

    :param compute_capability: (major, minor); None for the GPU of this machine.
    :param dla_core: Deep Learning Accelerator core, -1 for the GPU itself.
    """

    compute_capability: tuple[int, int] | None = None
    dla_core: int = -1


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
    target: BuildTarget = BuildTarget()
    plugin_libraries: tuple[str, ...] = ()
    timing_cache: bytes = b''
    input_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """
    Result of a build.

    :param plan: the serialized engine.
    :param precision: lowest precision that was allowed: 'fp32', 'fp16' or 'int8'.
    :param backend: name of the library, 'tensorrt' or 'tensorrt_rtx'.
    :param version: version of the library.
    :param notes: sentences for the user.
    :param details: report entries for the manifest.
    :param timing_cache: timing cache for the next build, b'' if there is none.
    :param seconds: duration of the build.
    """

    plan: bytes
    precision: str
    backend: str
    version: str
    notes: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    timing_cache: bytes = b''
    seconds: float = 0.0


def build_plan(
    library: TensorRTLibrary, request: BuildRequest, progress: BuildProgress
) -> BuildOutcome:
    """
    Build a plan.

    A cancelled build ends with the current step of TensorRT; 8.6 reports no steps and finishes.

    :param library: the library that builds.
    :param request: what to build.
    :param progress: receives the progress and the cancellation.
    :raises BackendUnavailableError: if the library cannot start.
    :raises ConfigError: if the library or device does not support the request.
    :raises CalibrationCacheError: if the cache does not fit the network, or TensorRT rejects it.
    :raises ModelError: if the model cannot be read or converted.
    :raises BuildError: with the error lines of TensorRT; BuildCancelledError if cancelled.
    """
    start = time.monotonic()
    lines = LogLines()
    logger = make_logger(library, lines)
    progress.report('loading the model')
    load_plugins(library, logger, request.plugin_libraries)
    size = request.input_size or request.shapes.size
    prepared = prepare_network(library, request.model, request.choice, size)
    progress.check()
    builder = create_builder(library, logger, lines)
    _check_dla(library, builder, request)
    progress.report('parsing the model')
    network = parse_network(library, builder, prepared.data, prepared.path, logger, lines)
    progress.check()
    steps = _BuildSteps(library, request, builder, network, prepared)
    return steps.run(progress, lines, start)


class _BuildSteps:
    """Builder, network and configuration of one build, kept alive until it ends."""

    def __init__(
        self,
        library: TensorRTLibrary,
        request: BuildRequest,
        builder: Any,
        network: Any,
        prepared: PreparedModel,
    ) -> None:
        self._library = library
        self._request = request
        self._builder = builder
        self._network = network
        self._details = dict(prepared.details)
        self._prepared = prepared
        self._builder_config = builder.create_builder_config()
        self._service: CacheService | None = None
        self._calibrator: Any = None

    def run(self, progress: BuildProgress, lines: LogLines, start: float) -> BuildOutcome:
        """Configure and build."""
        self._set_memory_and_details()
        self._set_profile()
        self._set_target()
        if self._library.has_precision_flags:
            self._set_precision()
        timing_cache = self._set_timing_cache()
        monitor = None
        if self._library.has_progress_monitor:
            monitor = make_progress_monitor(self._library, progress)
            self._builder_config.progress_monitor = monitor
        progress.report(f'building the {self._request.choice.precision.upper()} engine', 0.0)
        lines.clear()
        plan = self._builder.build_serialized_network(self._network, self._builder_config)
        del monitor
        self._check_result(plan, progress, lines)
        # The last steps of TensorRT may come too fast to be reported.
        progress.report(f'built the {self._request.choice.precision.upper()} engine', 1.0)
        return BuildOutcome(
            plan=bytes(plan),
            precision=self._request.choice.precision,
            backend=self._library.name,
            version=self._library.version,
            notes=self._request.choice.notes,
            details=self._details,
            timing_cache=bytes(timing_cache.serialize()) if timing_cache is not None else b'',
            seconds=time.monotonic() - start,
        )

    def _set_memory_and_details(self) -> None:
        """Limit the workspace, and store names and precisions of layers in the plan."""
        self._builder_config.set_memory_pool_limit(
            self._library.enum('MemoryPoolType', 'WORKSPACE'), self._request.workspace_bytes
        )
        detailed = self._library.find('ProfilingVerbosity', 'DETAILED')
        if detailed is not None:
            self._builder_config.profiling_verbosity = detailed

    def _set_profile(self) -> None:
        """Add the optimization profile of the input."""
        if self._network.num_inputs != 1:
            names = [self._network.get_input(i).name for i in range(self._network.num_inputs)]
            raise BuildError(f'the network has the inputs {names}; expected one image')
        shapes = self._request.shapes
        tensor = self._network.get_input(0)
        own = tuple(tensor.shape)
        fits = len(own) == len(shapes.optimum) and all(
            dim < 0 or dim == wanted for dim, wanted in zip(own, shapes.optimum, strict=True)
        )
        if not fits:
            raise BuildError(f'input {tensor.name!r} is {list(own)}; the profile is {shapes}')
        if all(dim >= 0 for dim in own):
            return
        optimization_profile = self._builder.create_optimization_profile()
        optimization_profile.set_shape(tensor.name, shapes.minimum, shapes.optimum, shapes.maximum)
        self._builder_config.add_optimization_profile(optimization_profile)
        if self._library.has_calibrator and self._request.choice.cache is not None:
            self._builder_config.set_calibration_profile(optimization_profile)

    def _set_target(self) -> None:
        """Set the GPU or DLA core to build for."""
        target = self._request.target
        if target.compute_capability is not None:
            self._set_compute_capability(target.compute_capability)
        if target.dla_core >= 0:
            self._builder_config.default_device_type = self._library.enum('DeviceType', 'DLA')
            self._builder_config.DLA_core = target.dla_core
            # Layers that DLA does not support run on the GPU; every detector has some.
            self._builder_config.set_flag(self._library.enum('BuilderFlag', 'GPU_FALLBACK'))

    def _set_compute_capability(self, wanted: tuple[int, int]) -> None:
        """Set the compute capability of a GPU that need not be in this machine."""
        known = self._library.target_capabilities()
        if wanted not in known:
            listed = ', '.join(f'{a}.{b}' for a, b in known) or 'only the GPU of this machine'
            raise ConfigError(
                f'compute capability is {wanted[0]}.{wanted[1]}; {self._library.label} builds '
                f'for: {listed}'
            )
        member = self._library.enum('ComputeCapability', f'SM{wanted[0]}{wanted[1]}')
        self._builder_config.num_compute_capabilities = 1
        self._builder_config.set_compute_capability(member, 0)

    def _set_precision(self) -> None:
        """Set precision flags, calibration cache and the precision of sensitive layers."""
        choice = self._request.choice
        set_precision_flags(self._library, self._builder_config, choice.precision)
        if choice.cache is not None:
            self._service = CacheService(self._library, choice.cache)
            self._calibrator = make_calibrator(self._library, self._service)
            self._builder_config.int8_calibrator = self._calibrator
            if self._service.note:
                self._details['calibration header'] = self._service.note
        on_dla = self._request.target.dla_core >= 0
        pinned = pin_layer_precision(
            self._library, self._builder_config, self._network, self._prepared, strict=not on_dla
        )
        if pinned:
            self._details['kept at higher precision'] = f'{pinned} layers'

    def _set_timing_cache(self) -> Any:
        """Set the timing cache; return it, None if the library has none."""
        if not self._library.has_timing_cache:
            return None
        timing_cache = self._builder_config.create_timing_cache(self._request.timing_cache)
        if timing_cache is None and self._request.timing_cache:
            # It is damaged, or of another version or device: start with an empty one.
            timing_cache = self._builder_config.create_timing_cache(b'')
        accepted = timing_cache is not None and self._builder_config.set_timing_cache(
            timing_cache, False
        )
        return timing_cache if accepted else None

    def _check_result(self, plan: Any, progress: BuildProgress, lines: LogLines) -> None:
        """
        Check the result of a build.

        :raises CalibrationCacheError: if TensorRT did not use the calibration cache.
        :raises BuildError: if there is no plan, with the reason.
        """
        progress.check()
        service = self._service
        if service is not None and (service.asked_for_batch or not service.was_read):
            what = 'asked for images' if service.asked_for_batch else 'did not read it'
            raise CalibrationCacheError(
                f'{self._library.label} did not accept the calibration cache and {what}'
                f'{lines.explain()}; create it again for this model with "ros2 run trt_detector '
                'calibrate"'
            )
        if plan is None:
            raise BuildError(
                f'{self._library.label} could not build {self._request.model.path.name} '
                f'({self._request.choice.precision}, {self._request.shapes})'
                f'{lines.explain() or ": it reported no reason"}'
            )


def _check_dla(library: TensorRTLibrary, builder: Any, request: BuildRequest) -> None:
    """
    Reject a DLA core that does not exist or cannot run the precision.

    :raises ConfigError: with the DLA cores of this machine.
    """
    core = request.target.dla_core
    if core < 0:
        return
    cores = builder.num_DLA_cores if library.has_dla else 0
    if core >= cores:
        there = f'{cores} DLA core(s)' if cores else 'no DLA core'
        raise ConfigError(
            f'dla_core is {core}, but {library.label} finds {there} on this machine (AGX Orin, '
            'Orin NX and Xavier have some; Orin Nano, Thor and PCs have none); set it to -1 for '
            'the GPU'
        )
    if request.choice.precision == 'fp32':
        raise ConfigError(
            f'dla_core is {core} and the precision fp32, which a DLA cannot run; set precision to '
            'fp16 or int8'
        )


def make_request(
    config: DetectorConfig,
    model: ModelInfo,
    *,
    fast_fp16: bool,
    batch_size: int,
    compute_capability: tuple[int, int] | None = None,
) -> BuildRequest:
    """
    Derive the build request from the parameters.

    :param config: the parameters.
    :param model: the ONNX file.
    :param fast_fp16: whether the device is faster at FP16 than at FP32.
    :param batch_size: images per run, if the model has a dynamic batch.
    :param compute_capability: GPU to build for, None for the GPU of this machine.
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
