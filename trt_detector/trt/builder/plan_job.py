# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""One plan to be had: the key that it is stored under, and how it is built."""

from __future__ import annotations

from dataclasses import dataclass, replace
import logging
import platform
import threading

from ... import __version__
from ...config import DetectorConfig
from ...errors import EngineError, PlanError
from ...gpu.device_info import DeviceInfo
from ...gpu.device_lock import building
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
    A plan for a device of this machine.

    :param config: the parameters.
    :param device: the GPU.
    :param library: the library that builds it.
    :param request: what to build.
    :param store: where it is kept.
    """

    config: DetectorConfig
    device: DeviceInfo
    library: TensorRTLibrary
    request: BuildRequest
    store: PlanStore

    def key(self) -> PlanKey:
        """Return everything that decides what the plan holds."""
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
        """Build the plan; call it with the device's context current."""
        timing = self.store.read_timing_cache(
            self.library.name, self.library.version, self._device_key()
        )
        request = replace(self.request, timing_cache=timing)
        with BuildProgress(on_progress, cancel) as progress, building(self.device.device_id):
            outcome = build_plan(self.library, request, progress)
            progress.say('checking the engine', 1.0)
            precision, summary = self._really_built(outcome)
        self._keep_timing_cache(outcome)
        details = dict(outcome.details)
        if summary:
            details[LAYER_PRECISION] = summary
        return BuiltPlan(outcome.plan, precision, details)

    def _device_key(self) -> DeviceKey:
        """Return the device as plans know it."""
        return DeviceKey(
            name=self.device.name,
            compute_capability=self.device.compute_capability,
            sm_count=self.device.sm_count,
            total_memory_bytes=self.device.total_memory_bytes,
        )

    def _flags(self) -> tuple[str, ...]:
        """Return what else the builder is told, and what else a plan depends on."""
        major, minor = self.device.cuda_driver
        baked: tuple[str, ...] = ()
        if self.request.model.target_sizes_input is not None:
            # The size is a constant inside such a network, and else only a request to the engine.
            baked = (f'input_size={self.request.input_size or self.request.shapes.size}',)
        return (
            f'workspace_fraction={self.config.workspace_fraction:g}',
            f'dla_core={self.request.target.dla_core}',
            f'cuda_driver={major}.{minor}',
            f'machine={platform.machine()}',
            *baked,
            *(f'exclude={pattern}' for pattern in self.request.choice.exclude),
        )

    def _really_built(self, outcome: BuildOutcome) -> tuple[str, str]:
        """
        Return the precision of the finished plan and how many layers have which.

        Precision flags allow a precision, they do not order it: there the engine's inspector has
        the last word. A strongly typed network is built in its own types.
        """
        try:
            layers = inspect_plan(self.library, outcome.plan, self.request.target.dla_core)
        except EngineError as error:
            _LOG.warning('the precision of the new plan cannot be checked: %s', error)
            return outcome.precision, ''
        summary = precision_summary(layers)
        if not self.library.has_precision_flags:
            return outcome.precision, summary
        return built_precision(layers) or outcome.precision, summary

    def _keep_timing_cache(self, outcome: BuildOutcome) -> None:
        """Store what the builder measured; the next build of this device is shorter by it."""
        if not outcome.timing_cache:
            return
        try:
            self.store.write_timing_cache(
                self.library.name, self.library.version, self._device_key(), outcome.timing_cache
            )
        except PlanError as error:
            _LOG.warning('the timing cache is not kept: %s', error)
