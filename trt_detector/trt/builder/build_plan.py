# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Build a plan from an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import time
from typing import Any

from ...errors import BuildError, CalibrationCacheError, ConfigError
from ..library import TensorRTLibrary
from ..logger import LogLines, make_logger
from ..plugins import load_plugins
from ..start import create_builder
from .calibrator import CacheService, make_calibrator
from .configuration import add_profile, create_builder_config, set_calibration_profile
from .parser import parse_network
from .precision import set_precision_flags
from .prepared_model import pin_layer_precision, prepare_network, PreparedModel
from .progress import BuildProgress, make_progress_monitor
from .request import BuildRequest

__all__ = ['BuildOutcome', 'build_plan']

# Operators with outputs whose shape depends on the data.
_DATA_DEPENDENT = frozenset({'NonMaxSuppression', 'NonZero', 'Unique', 'Loop'})
# In the log of a build that lacked GPU memory; the first one says so only indirectly.
_MEMORY_SIGNS = (
    'Could not find any implementation for node',
    'Tactic Device request',
    'insufficient to use tactic',
    'out of memory',
    'OutOfMemory',
)


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """
    Result of a build.

    :param plan: the serialized engine.
    :param precision: lowest precision that was allowed: 'fp32', 'fp16' or 'int8'; the built one
        if the plan was inspected.
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
    notes: tuple[str, ...]
    details: Mapping[str, str]
    timing_cache: bytes
    seconds: float


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
    steps = _BuildSteps(library, request, builder, network, prepared, lines)
    return steps.run(progress, start)


class _BuildSteps:
    """Builder, network and configuration of one build, kept alive until it ends."""

    def __init__(
        self,
        library: TensorRTLibrary,
        request: BuildRequest,
        builder: Any,
        network: Any,
        prepared: PreparedModel,
        lines: LogLines,
    ) -> None:
        self._lines = lines
        self._library = library
        self._request = request
        self._builder = builder
        self._network = network
        self._details = dict(prepared.details)
        self._prepared = prepared
        self._builder_config = create_builder_config(library, builder, lines)
        self._service: CacheService | None = None
        self._calibrator: Any = None

    def run(self, progress: BuildProgress, start: float) -> BuildOutcome:
        """Configure and build."""
        self._set_memory_and_details()
        self._set_profile()
        self._set_target()
        if not self._request.choice.allows_tf32:
            self._builder_config.clear_flag(self._library.enum('BuilderFlag', 'TF32'))
        if self._library.has_precision_flags:
            self._set_precision()
        timing_cache = self._set_timing_cache()
        monitor = None
        if self._library.has_progress_monitor:
            monitor = make_progress_monitor(self._library, progress)
            self._builder_config.progress_monitor = monitor
        progress.report(f'building the {self._request.choice.precision.upper()} engine', 0.0)
        self._lines.clear()
        plan = self._builder.build_serialized_network(self._network, self._builder_config)
        del monitor
        self._check_result(plan, progress)
        # The last steps of TensorRT may come too fast to be reported.
        progress.report(f'built the {self._request.choice.precision.upper()} engine', 1.0)
        return BuildOutcome(
            plan=bytes(plan),
            precision=self._request.choice.precision,
            backend=self._library.name,
            version=self._library.version,
            notes=self._request.choice.notes,
            details=self._details,
            timing_cache=_serialize(timing_cache),
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
        optimization_profile = add_profile(
            self._library, self._builder, self._builder_config, self._lines, tensor.name, shapes
        )
        if self._library.version_numbers[0] < 10 and self._library.name == 'tensorrt':
            # CUDA graphs need execution contexts of their own; 10 shares profiles by default.
            sharing = self._library.enum('PreviewFeature', 'PROFILE_SHARING_0806')
            self._builder_config.set_preview_feature(sharing, True)
        if self._library.has_calibrator and self._request.choice.cache is not None:
            set_calibration_profile(
                self._library, self._builder_config, self._lines, optimization_profile
            )

    def _set_target(self) -> None:
        """Set the GPU or DLA core to build for."""
        target = self._request.target
        # TensorRT for RTX then takes no memory while it runs, which CUDA graphs need.
        user_allocation = self._library.find('BuilderFlag', 'REQUIRE_USER_ALLOCATION')
        if user_allocation is not None and not self._request.model.operators & _DATA_DEPENDENT:
            self._builder_config.set_flag(user_allocation)
        if target.compute_capability is not None:
            self._set_compute_capability(target.compute_capability)
        if target.portable:
            # The lean runtime is installed on the target machine, so the plan does not bring it.
            for name in ('VERSION_COMPATIBLE', 'EXCLUDE_LEAN_RUNTIME'):
                self._builder_config.set_flag(self._library.enum('BuilderFlag', name))
        if target.any_ampere:
            self._builder_config.hardware_compatibility_level = self._library.enum(
                'HardwareCompatibilityLevel', 'AMPERE_PLUS'
            )
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
        if not self._builder_config.set_compute_capability(member, 0):
            raise BuildError(
                f'{self._library.label} rejects compute capability {wanted[0]}.{wanted[1]}'
                f'{self._lines.explain()}'
            )

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
        # One that is damaged, or of another version or device, is not accepted: then an empty one.
        for stored in dict.fromkeys((self._request.timing_cache, b'')):
            timing_cache = self._builder_config.create_timing_cache(stored)
            if timing_cache is not None and self._builder_config.set_timing_cache(
                timing_cache, False
            ):
                return timing_cache
        return None

    def _check_result(self, plan: Any, progress: BuildProgress) -> None:
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
                f'{self._lines.explain()}; create it again for this model with "ros2 run '
                'trt_detector calibrate"'
            )
        if plan is None:
            reason = self._lines.explain() or ': it reported no reason'
            raise BuildError(
                f'{self._library.label} could not build {self._request.model.path.name} '
                f'({self._request.choice.precision}, {self._request.shapes})'
                f'{reason}{_memory_remedy(self._lines)}'
            )


def _serialize(timing_cache: Any) -> bytes:
    """Serialize a timing cache; b'' if there is none, or it cannot be serialized."""
    serialized = None if timing_cache is None else timing_cache.serialize()
    return b'' if serialized is None else bytes(serialized)


def _memory_remedy(lines: LogLines) -> str:
    """Return the remedy for a build that lacked memory, '' for another failure."""
    texts = (*lines.errors(), *lines.warnings())
    if not any(sign in text for sign in _MEMORY_SIGNS for text in texts):
        return ''
    return (
        '; the GPU memory may be too small for this build: close other programs that use the GPU, '
        'raise workspace_fraction, or lower batch_size or max_shape'
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
