# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
The one place that knows which TensorRT is installed and what it can do.

There are two libraries with one API: TensorRT (8.6 to 11) and TensorRT for RTX. Members came and
went between versions, so enumerators are looked up and abilities are read from the module.
"""

from __future__ import annotations

from dataclasses import dataclass
import importlib
import re
from typing import Any

from ..errors import BackendUnavailableError

__all__ = ['LIBRARIES', 'TensorRTLibrary', 'load_library']

# In the order in which backend 'auto' tries them.
LIBRARIES = ('tensorrt', 'tensorrt_rtx')

_OLDEST = (8, 6)
_INSTALL = {
    'tensorrt': (
        'install TensorRT: on a Jetson "sudo apt install nvidia-jetpack" (and a virtual '
        'environment made with --system-site-packages), on a PC "pip install tensorrt"'
    ),
    'tensorrt_rtx': 'install TensorRT for RTX: pip install tensorrt-rtx-cu13',
}


@dataclass(frozen=True, slots=True)
class TensorRTLibrary:
    """
    An imported TensorRT library.

    :param name: 'tensorrt' or 'tensorrt_rtx'.
    :param trt: the module.
    :param version: its full version.
    """

    name: str
    trt: Any
    version: str

    @property
    def label(self) -> str:
        """Return the library and version for people."""
        library = 'TensorRT' if self.name == 'tensorrt' else 'TensorRT for RTX'
        return f'{library} {self.version}'

    @property
    def version_numbers(self) -> tuple[int, int, int]:
        """Return (major, minor, patch)."""
        numbers = [int(text) for text in re.findall(r'\d+', self.version)[:3]]
        major, minor, patch = (*numbers, 0, 0, 0)[:3]
        return (major, minor, patch)

    @property
    def cache_version(self) -> int:
        """Return the version as this library writes it in the header of a calibration cache."""
        major, minor, patch = self.version_numbers
        if major < 10:
            return major * 1000 + minor * 100 + patch
        return major * 10000 + minor * 100 + patch

    @property
    def has_precision_flags(self) -> bool:
        """Return whether precision is a builder flag; else the network's own types decide it."""
        return self.find('BuilderFlag', 'FP16') is not None

    @property
    def has_calibrator(self) -> bool:
        """Return whether the builder reads calibration caches itself."""
        return hasattr(self.trt, 'IInt8EntropyCalibrator2')

    @property
    def has_progress_monitor(self) -> bool:
        """Return whether a build reports its progress and can be cancelled."""
        return hasattr(self.trt, 'IProgressMonitor')

    @property
    def has_plugins(self) -> bool:
        """Return whether plugin libraries can be loaded."""
        return hasattr(self.trt, 'init_libnvinfer_plugins') and self.name == 'tensorrt'

    @property
    def has_dla(self) -> bool:
        """Return whether the library can use a Deep Learning Accelerator where there is one."""
        return self.name == 'tensorrt'

    @property
    def has_timing_cache(self) -> bool:
        """Return whether a timing cache speeds up the next build; RTX never times a kernel."""
        return self.name == 'tensorrt'

    @property
    def has_target_setting(self) -> bool:
        """Return whether plans can be built for a GPU that is not in this machine."""
        return hasattr(self.trt, 'ComputeCapability')

    def find(self, class_name: str, member: str) -> Any | None:
        """Return an enumerator, None where this version has none of that name."""
        return getattr(getattr(self.trt, class_name, None), member, None)

    def enum(self, class_name: str, member: str) -> Any:
        """
        Return an enumerator.

        :raises BackendUnavailableError: if this version has none of that name.
        """
        value = self.find(class_name, member)
        if value is None:
            raise BackendUnavailableError(
                f'{self.label} has no {class_name}.{member}; versions 8.6 to 11 of TensorRT and '
                '1.x of TensorRT for RTX are supported'
            )
        return value

    def network_flags(self) -> int:
        """Return the flags of a network that comes from ONNX."""
        explicit_batch = self.find('NetworkDefinitionCreationFlag', 'EXPLICIT_BATCH')
        # 8.6 parses no ONNX without it; 10 ignores it; 11 does not know it.
        if explicit_batch is not None and self.version_numbers[0] < 10:
            return 1 << int(explicit_batch)
        return 0

    def target_capabilities(self) -> tuple[tuple[int, int], ...]:
        """Return the compute capabilities it builds for, empty where it does not say."""
        members = getattr(getattr(self.trt, 'ComputeCapability', None), '__members__', {})
        numbers = sorted(int(name[2:]) for name in members if re.fullmatch(r'SM\d+', name))
        return tuple(divmod(number, 10) for number in numbers)


def load_library(name: str) -> TensorRTLibrary:
    """
    Import a TensorRT library.

    :param name: 'tensorrt' or 'tensorrt_rtx'.
    :raises BackendUnavailableError: if it cannot be imported or is too old, with the remedy.
    """
    try:
        trt = importlib.import_module(name)
        version = str(trt.__version__)
    except (ImportError, OSError, AttributeError) as error:
        # OSError: the module is there, a library that it needs (of the driver, say) is not.
        # AttributeError: a folder of that name passes for a package.
        raise BackendUnavailableError(
            f'{name} cannot be imported ({type(error).__name__}: {error}); {_INSTALL[name]}'
        ) from error
    library = TensorRTLibrary(name, trt, version)
    if name == 'tensorrt' and library.version_numbers[:2] < _OLDEST:
        raise BackendUnavailableError(
            f'{library.label} is too old: 8.6 or later is needed (JetPack 6.0 or later has it)'
        )
    return library
