# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Installed TensorRT libraries and their features.

TensorRT (8.6 to 11), its lean runtime and TensorRT for RTX share one API whose members differ
between versions, so enumerators are looked up by name and features are read from the module.
"""

from __future__ import annotations

from dataclasses import dataclass
import importlib
import re
from typing import Any

from ..errors import BackendUnavailableError
from ..gpu.device_info import DeviceInfo
from ..quantize import cache_version_number
from ..values.version import parse_version
from .cuda_version import read_cuda_major

__all__ = ['BUILDERS', 'LIBRARIES', 'TensorRTLibrary', 'find_library', 'load_library']

# In the order in which backend 'auto' tries them, and those of them that can build.
LIBRARIES = ('tensorrt', 'tensorrt_rtx', 'tensorrt_lean')
BUILDERS = ('tensorrt', 'tensorrt_rtx')

_OLDEST = (8, 6)
_INSTALL = {
    'tensorrt': (
        'install TensorRT: on a Jetson "sudo apt install nvidia-jetpack" (and a virtual '
        'environment made with --system-site-packages), on a PC "pip install tensorrt"'
    ),
    'tensorrt_rtx': 'install TensorRT for RTX: pip install tensorrt-rtx-cu13',
    'tensorrt_lean': (
        'for a robot that only runs plans of "build_engine --portable", install the lean runtime '
        '(45 MB): pip install tensorrt-lean-cu13'
    ),
}
_LABELS = {
    'tensorrt': 'TensorRT',
    'tensorrt_rtx': 'TensorRT for RTX',
    'tensorrt_lean': 'TensorRT lean runtime',
}


@dataclass(frozen=True, slots=True)
class TensorRTLibrary:
    """
    Imported TensorRT library.

    :param name: one of :data:`LIBRARIES`.
    :param trt: the module.
    :param version: full version.
    :param cuda_major: major version of CUDA that it was built with, None if unknown.
    """

    name: str
    trt: Any
    version: str
    cuda_major: int | None

    @property
    def label(self) -> str:
        """Return name and version for messages."""
        return f'{_LABELS[self.name]} {self.version}'

    @property
    def version_numbers(self) -> tuple[int, int, int]:
        """Return (major, minor, patch)."""
        return parse_version(self.version)

    @property
    def cache_version(self) -> int:
        """Return the version as written in the header of a calibration cache."""
        return cache_version_number(self.version)

    @property
    def has_builder(self) -> bool:
        """Return whether it can build plans; the lean runtime cannot."""
        return hasattr(self.trt, 'Builder')

    @property
    def has_inspector(self) -> bool:
        """Return whether the layers of an engine can be inspected."""
        return hasattr(self.trt, 'EngineInspector')

    @property
    def has_runtime_cache(self) -> bool:
        """Return whether kernels are compiled at run time and can be cached (RTX)."""
        return hasattr(self.trt, 'IRuntimeCache')

    @property
    def has_precision_flags(self) -> bool:
        """Return whether builder flags set the precision, instead of the types in the network."""
        return self.find('BuilderFlag', 'FP16') is not None

    @property
    def has_calibrator(self) -> bool:
        """Return whether the builder reads calibration caches itself."""
        return hasattr(self.trt, 'IInt8EntropyCalibrator2')

    @property
    def has_progress_monitor(self) -> bool:
        """Return whether a build reports progress and can be cancelled."""
        return hasattr(self.trt, 'IProgressMonitor')

    @property
    def has_channel_scales(self) -> bool:
        """Return whether INT8 convolutions apply scales per channel; RTX writes FP32 instead."""
        return self.name != 'tensorrt_rtx'

    @property
    def has_plugins(self) -> bool:
        """Return whether plugin libraries can be loaded."""
        return hasattr(self.trt, 'init_libnvinfer_plugins') and self.name == 'tensorrt'

    @property
    def has_dla(self) -> bool:
        """Return whether the library can use a Deep Learning Accelerator."""
        return self.name == 'tensorrt'

    @property
    def has_timing_cache(self) -> bool:
        """Return whether a timing cache speeds up the next build; RTX times no kernels."""
        return self.name == 'tensorrt'

    @property
    def has_target_setting(self) -> bool:
        """Return whether plans can be built for a GPU that is not in this machine."""
        return hasattr(self.trt, 'ComputeCapability')

    def find(self, class_name: str, member: str) -> Any | None:
        """Return an enumerator, None if this version does not have it."""
        return getattr(getattr(self.trt, class_name, None), member, None)

    def enum(self, class_name: str, member: str) -> Any:
        """
        Return an enumerator.

        :raises BackendUnavailableError: if this version does not have it.
        """
        value = self.find(class_name, member)
        if value is None:
            raise BackendUnavailableError(
                f'{self.label} has no {class_name}.{member}; versions 8.6 to 11 of TensorRT and '
                '1.x of TensorRT for RTX are supported'
            )
        return value

    def network_flags(self) -> int:
        """Return the creation flags of a network that is parsed from ONNX."""
        explicit_batch = self.find('NetworkDefinitionCreationFlag', 'EXPLICIT_BATCH')
        # 8.6 requires it for ONNX, 10 ignores it, 11 does not have it.
        if explicit_batch is not None and self.version_numbers[0] < 10:
            return 1 << int(explicit_batch)
        return 0

    def target_capabilities(self) -> tuple[tuple[int, int], ...]:
        """Return the compute capabilities that it can build for, empty if it lists none."""
        members = getattr(getattr(self.trt, 'ComputeCapability', None), '__members__', {})
        numbers = sorted(int(name[2:]) for name in members if re.fullmatch(r'SM\d+', name))
        return tuple(divmod(number, 10) for number in numbers)


def load_library(name: str) -> TensorRTLibrary:
    """
    Import a TensorRT library.

    :param name: one of :data:`LIBRARIES`.
    :raises BackendUnavailableError: if it cannot be imported or is too old, with the remedy.
    """
    try:
        trt = importlib.import_module(name)
        version = str(trt.__version__)
        parse_version(version)
    except (ImportError, OSError, AttributeError, ValueError) as error:
        # OSError: a shared library that the module needs (e.g. of the driver) is missing.
        # AttributeError: a folder of that name was imported as a package.
        raise BackendUnavailableError(
            f'{name} cannot be imported ({type(error).__name__}: {error}); {_INSTALL[name]}'
        ) from error
    library = TensorRTLibrary(name, trt, version, read_cuda_major(name, trt))
    if name == 'tensorrt' and library.version_numbers[:2] < _OLDEST:
        raise BackendUnavailableError(
            f'{library.label} is too old; 8.6 or later is needed (JetPack 6.0 or later has it)'
        )
    return library


def find_library(backend: str, device: DeviceInfo | None) -> TensorRTLibrary:
    """
    Import the TensorRT library of a backend.

    :param backend: one of :data:`LIBRARIES`, 'auto' for the first of :data:`BUILDERS` that works.
    :param device: the GPU and driver that it has to support; None for any.
    :raises BackendUnavailableError: with the reason why each cannot be used.
    """
    reasons = []
    for name in BUILDERS if backend == 'auto' else (backend,):
        try:
            library = load_library(name)
            if device is not None:
                _check_support(library, device)
        except BackendUnavailableError as error:
            reasons.append(str(error))
        else:
            return library
    raise BackendUnavailableError('; '.join(reasons))


def _check_support(library: TensorRTLibrary, device: DeviceInfo) -> None:
    """
    Reject a GPU or driver that the library does not support.

    :raises BackendUnavailableError: with the supported compute capabilities or CUDA versions.
    """
    # Without this check TensorRT crashes: see :func:`.start.create_runtime`.
    if library.cuda_major is not None and device.cuda_driver[0] < library.cuda_major:
        driver = '.'.join(str(number) for number in device.cuda_driver)
        raise BackendUnavailableError(
            f'{library.label} was built for CUDA {library.cuda_major}, but the NVIDIA driver '
            f'supports CUDA {driver} only; update the driver, or install TensorRT for CUDA '
            f'{device.cuda_driver[0]}'
        )
    known = library.target_capabilities()
    if known and device.compute_capability not in known:
        major, minor = device.compute_capability
        listed = ', '.join(f'{a}.{b}' for a, b in known)
        raise BackendUnavailableError(
            f'{library.label} supports compute capabilities {listed}; {device.name} has '
            f'{major}.{minor}; set backend to tensorrt'
        )
