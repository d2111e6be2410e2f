# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Key and build of the plan for a device of this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
import logging
import platform
import threading

from ...config import DetectorConfig
from ...errors import PlanError
from ...gpu.device_info import DeviceInfo
from ...gpu.device_lock import build_in_progress
from ...plan import BuiltPlan, DeviceKey, PlanKey, PlanStore
from ...values.progress import ProgressCallback
from ..inspector import count_dla_layers, LayerInfo, precision_summary
from ..library import TensorRTLibrary
from ..plugins import hash_plugins
from .build_plan import build_plan, BuildOutcome
from .built_precision import get_built_precision, inspect_outcome
from .progress import BuildProgress
from .request import BuildRequest

__all__ = ['BUILD_RECIPE', 'PlanJob']

# Raise it with every change of this package that makes another plan of the same inputs: all stored
# plans are then built again.
BUILD_RECIPE = 2

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
            build_recipe=BUILD_RECIPE,
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
            layers = inspect_outcome(self.library, outcome, request.target.dla_core)
        self._keep_timing_cache(outcome)
        details = dict(outcome.details)
        if layers and request.target.dla_core >= 0:
            details['layers on the DLA'] = _dla_entry(layers)
        return BuiltPlan(
            outcome.plan,
            get_built_precision(self.library, outcome, layers),
            precision_summary(layers),
            details,
        )

    def _device_key(self) -> DeviceKey:
        """Return the fields of the device that are part of the key."""
        return DeviceKey(
            name=self.device.name,
            compute_capability=self.device.compute_capability,
            sm_count=self.device.sm_count,
        )

    def _flags(self) -> tuple[str, ...]:
        """Return the further settings that the plan depends on."""
        constant: tuple[str, ...] = ()
        if self.request.model.size_inputs:
            # The input size becomes a constant in such a network.
            constant = (f'input_size={self.request.input_size or self.request.shapes.size}',)
        return (
            f'workspace_fraction={self.config.workspace_fraction:g}',
            f'dla_core={self.request.target.dla_core}',
            f'machine={platform.machine()}',
            f'tf32={"on" if self.request.choice.allows_tf32 else "off"}',
            *constant,
            *(f'exclude={pattern}' for pattern in self.request.choice.exclude),
        )

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


def _dla_entry(layers: tuple[LayerInfo, ...]) -> str:
    """Return the report entry for the layers on the DLA; warn if there are none."""
    count = count_dla_layers(layers)
    if not count:
        _LOG.warning(
            'dla_core is set, but TensorRT runs every layer of this plan on the GPU; set it to '
            '-1, or export a model whose layers the DLA supports'
        )
    return f'{count} of {len(layers)}'
