# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Key and build of the plan for a device of this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
import logging
import platform
import threading

from ... import __version__
from ...config import DetectorConfig
from ...errors import EngineError, PlanError
from ...gpu.device_info import DeviceInfo
from ...gpu.device_lock import build_in_progress
from ...plan import BuiltPlan, DeviceKey, PlanKey, PlanStore
from ...values.progress import ProgressCallback
from ..inspector import built_precision, inspect_plan, LAYER_PRECISION, precision_summary
from ..library import TensorRTLibrary
from ..plugins import hash_plugins
from .build_plan import build_plan, BuildOutcome, BuildRequest
from .progress import BuildProgress

__all__ = ['PlanJob']

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlanJob:
    """
    Plan for a device of this machine.

    :param config: the parameters.
    :param device: the GPU.
    :param library: the library that builds the plan.
    :param request: what to build.
    :param store: store of the plan and of the timing cache.
    """

    config: DetectorConfig
    device: DeviceInfo
    library: TensorRTLibrary
    request: BuildRequest
    store: PlanStore

    def key(self) -> PlanKey:
        """Return the key of the plan: all inputs that decide its content."""
        request = self.request
        return PlanKey(
            model_name=request.model.path.stem,
            model_sha256=request.model.sha256,
            library=self.library.name,
            version=self.library.version,
            device=self._device_key(),
            precision=request.choice.precision,
            min_shape=request.shapes.minimum,
            opt_shape=request.shapes.optimum,
            max_shape=request.shapes.maximum,
            calib_cache_sha256=request.choice.cache_sha256,
            flags=self._flags(),
            plugin_sha256=hash_plugins(request.plugin_libraries),
            package_version=__version__,
        )

    def build(
        self, on_progress: ProgressCallback | None, cancel: threading.Event | None
    ) -> BuiltPlan:
        """Build the plan; the context of the device has to be current."""
        timing = self.store.read_timing_cache(
            self.library.name, self.library.version, self._device_key()
        )
        request = replace(self.request, timing_cache=timing)
        with (
            BuildProgress(on_progress, cancel) as progress,
            build_in_progress(self.device.device_id),
        ):
            outcome = build_plan(self.library, request, progress)
            progress.report('inspecting the engine', 1.0)
            precision, summary = self._really_built(outcome)
        self._keep_timing_cache(outcome)
        details = dict(outcome.details)
        if summary:
            details[LAYER_PRECISION] = summary
        return BuiltPlan(outcome.plan, precision, details)

    def _device_key(self) -> DeviceKey:
        """Return the fields of the device that are part of the key."""
        return DeviceKey(
            name=self.device.name,
            compute_capability=self.device.compute_capability,
            sm_count=self.device.sm_count,
            total_memory_bytes=self.device.total_memory_bytes,
        )

    def _flags(self) -> tuple[str, ...]:
        """Return the further settings that the plan depends on."""
        major, minor = self.device.cuda_driver
        constant: tuple[str, ...] = ()
        if self.request.model.target_sizes_input is not None:
            # The input size becomes a constant in such a network.
            constant = (f'input_size={self.request.input_size or self.request.shapes.size}',)
        return (
            f'workspace_fraction={self.config.workspace_fraction:g}',
            f'dla_core={self.request.target.dla_core}',
            f'cuda_driver={major}.{minor}',
            f'machine={platform.machine()}',
            *constant,
            *(f'exclude={pattern}' for pattern in self.request.choice.exclude),
        )

    def _really_built(self, outcome: BuildOutcome) -> tuple[str, str]:
        """
        Return the precision of the built plan and the number of layers per precision.

        Precision flags allow a precision but do not enforce it, so the engine inspector decides.
        A strongly typed network is built with its own types.
        """
        try:
            layers = inspect_plan(self.library, outcome.plan, self.request.target.dla_core)
        except EngineError as error:
            _LOG.warning('the precision of the new plan cannot be inspected: %s', error)
            return outcome.precision, ''
        summary = precision_summary(layers)
        if not self.library.has_precision_flags:
            return outcome.precision, summary
        return built_precision(layers) or outcome.precision, summary

    def _keep_timing_cache(self, outcome: BuildOutcome) -> None:
        """Store the timing cache, which shortens the next build for this device."""
        if not outcome.timing_cache:
            return
        try:
            self.store.write_timing_cache(
                self.library.name, self.library.version, self._device_key(), outcome.timing_cache
            )
        except PlanError as error:
            _LOG.warning('the timing cache is not stored: %s', error)
