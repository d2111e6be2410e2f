# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A double of TensorRT that plays one version: builder, parser, runtime and calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import enum
import struct
import time
from types import ModuleType
from typing import Any

import numpy as np

from doubles import engine_double
from doubles.api_records import Record
from doubles.call_log import call_back, check_trampoline, log, Recorded, RootObject, Trampoline
from doubles.network_double import (
    LayerDouble,
    NetworkDouble,
    ParserDouble,
    ParserErrorDouble,
    TensorDouble,
)

_ENUMS = (
    'BuilderFlag',
    'ComputeCapability',
    'DataType',
    'DeviceType',
    'DynamicShapesKernelSpecializationStrategy',
    'HardwareCompatibilityLevel',
    'LayerInformationFormat',
    'MemoryPoolType',
    'NetworkDefinitionCreationFlag',
    'PreviewFeature',
    'ProfilingVerbosity',
    'TensorIOMode',
    'TensorLocation',
)


@dataclass
class World:
    """
    The machine and the behavior of the double.

    :param record: the version that is played.
    :param cuda: where device memory is: a CudaDouble, or a stand-in for the real one.
    :param compute_capability: of the GPU.
    :param dla_cores: Deep Learning Accelerator cores.
    :param steps: steps of each phase of a build.
    :param step_seconds: how long each takes.
    :param fail_build: TensorRT's reason to fail a build, '' to succeed.
    :param fail_run: TensorRT's reason to fail a run.
    :param fail_shapes: text of the RuntimeError that infer_shapes() raises.
    :param accept_any_cache: whether a calibration cache of another version is read.
    :param ignore_int8: build FP16 where INT8 is allowed, as TensorRT may.
    :param registers_plugins: whether plugins can be registered.
    :param compiled_kernels: kernels that were compiled at run time.
    :param plugins: operators that plugin libraries brought.
    :param builds: what was built, for the tests.
    :param on_step: called in each step of a build.
    :param unbounded: whether outputs of a data-dependent shape have no maximum size.
    :param notified_shape: the shape that TensorRT reports for such an output, None for none.
    :param failures: calls that fail as documented, keys of call_log.FAILURES.
    :param failed_calls: those of them that were made.
    :param cuda_error: CUDA error that keeps the library from starting, 0 for none.
    :param crashes: calls that crash the process in the real library.
    :param logger: the first that was given, as TensorRT keeps it.
    :param logger_faults: others that were given.
    """

    record: Record
    cuda: Any
    compute_capability: tuple[int, int] = (8, 6)
    dla_cores: int = 0
    steps: int = 4
    step_seconds: float = 0.0
    fail_build: str = ''
    fail_run: str = ''
    fail_shapes: str = ''
    accept_any_cache: bool = False
    ignore_int8: bool = False
    registers_plugins: bool = True
    compiled_kernels: int = 0
    plugins: set[str] = field(default_factory=set)
    builds: list[dict[str, Any]] = field(default_factory=list)
    on_step: Callable[[], None] | None = None
    unbounded: bool = False
    notified_shape: Callable[[tuple[int, ...]], tuple[int, ...] | None] = lambda shape: shape
    failures: frozenset[str] = frozenset()
    failed_calls: list[str] = field(default_factory=list)
    cuda_error: int = 0
    crashes: list[str] = field(default_factory=list)
    logger: Any = None
    logger_faults: list[str] = field(default_factory=list)

    @property
    def strongly_typed(self) -> bool:
        """Return whether the network's own types decide the precision."""
        return not self.record.has('BuilderFlag', 'FP16')


class BuilderDouble(RootObject, Recorded):
    def __init__(self, logger: Any) -> None:
        check_trampoline(logger, 'ILogger')
        self._world, self._trt = type(self).world, type(self).trt
        engine_double.register_logger(self._world, logger)
        self._logger = logger
        # TensorRT for RTX builds without CUDA, which is seen in test_rtx_builder.
        if self._world.record.module != 'tensorrt_rtx':
            self._start_cuda(logger, 'createInferBuilder')

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802
        return self._world.dla_cores

    def create_network(self, flags: int = 0) -> Any:
        known = self._world.record.classes['NetworkDefinitionCreationFlag'].values()
        if flags >= 1 << (max(number for number in known if isinstance(number, int)) + 1):
            log(self._logger, 'ERROR', 'createNetworkV2: Parameter check failed')
            return None
        return self._trt.INetworkDefinition._make(flags)

    def create_builder_config(self) -> Any:
        return self._trt.IBuilderConfig._make(self._logger)

    def create_optimization_profile(self) -> Any:
        return self._trt.IOptimizationProfile._make()

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        if not config._targets:
            self._world.cuda.require_context('buildSerializedNetwork')
        if not run_phases(self._world, config._progress_monitor):
            log(self._logger, 'ERROR', 'Error Code 7: BuildCanceled (Build canceled by user)')
            return None
        if self._world.fail_build:
            for line in self._world.fail_build.splitlines():
                severity = 'WARNING' if 'Tactic Device request' in line else 'ERROR'
                log(self._logger, severity, line)
            return None
        reason = missing_profile(network, config)
        if reason:
            log(self._logger, 'ERROR', reason)
            return None
        reason = misplaced_precision(network)
        if reason:
            log(self._logger, 'ERROR', reason)
            return None
        if config._timing_cache is not None:
            config._timing_cache._entries += 1
        plan = make_plan(self._world, network, config, self._logger)
        return self._trt.IHostMemory._make(plan)


def run_phases(world: World, monitor: Any) -> bool:
    """Report the phases of a build; return whether nobody cancelled it."""
    check_trampoline(monitor, 'IProgressMonitor')
    for _ in range(0 if monitor is not None else world.steps):
        time.sleep(world.step_seconds)
    if monitor is None:
        return True
    alive = True
    call_back(None, monitor.phase_start, 'Building engine', None, 2)
    for number, name in enumerate(('Optimizing graph', 'Timing tactics')):
        call_back(None, monitor.phase_start, name, 'Building engine', world.steps)
        for step in range(world.steps if alive else 0):
            time.sleep(world.step_seconds)
            if world.on_step is not None:
                world.on_step()
            if not call_back(False, monitor.step_complete, name, step):
                alive = False
                break
        call_back(None, monitor.phase_finish, name)
        alive = alive and call_back(False, monitor.step_complete, 'Building engine', number)
    call_back(None, monitor.phase_finish, 'Building engine')
    return alive


def missing_profile(network: Any, config: Any) -> str:
    """Return the reason to refuse a dynamic input without a profile."""
    dynamic = [t for t in network._inputs if any(dim < 0 for dim in t._shape)]
    for tensor in dynamic:
        if not config._profiles:
            return f'Network has dynamic input {tensor._name}, but no optimization profile'
        if tensor._name not in config._profiles[0]._shapes:
            return f'Input {tensor._name} has no shapes in the optimization profile'
    return ''


def misplaced_precision(network: Any) -> str:
    """Return the reason to refuse a layer without floating-point outputs that has a precision."""
    for layer in network._layers:
        floats = all(tensor._dtype.name in ('FLOAT', 'HALF') for tensor in layer._outputs)
        if layer._precision is not None and not floats:
            return f'layer {layer._name} cannot compute at {layer._precision.name}'
    return ''


def make_plan(world: World, network: Any, config: Any, logger: Any) -> bytes:
    """Return a plan: what the double's runtime needs, and what the tests look at."""
    flags = {flag.name for flag in config._flags}
    scales = calibrate(world, config, logger) if 'INT8' in flags else None
    layers = [describe_layer(world, network, layer, flags, scales) for layer in network._layers]
    if getattr(config._device_type, 'name', 'GPU') == 'DLA':
        place_on_dla(layers, config, logger)
    header = {
        'version': world.record.version,
        'module': world.record.module,
        'compute_capability': list(world.compute_capability),
        'flags': sorted(flags),
        'profile': config._profiles[0]._shapes if config._profiles else {},
        'workspace': config._pools.get('WORKSPACE', 0),
        'hardware': getattr(config._hardware, 'name', 'NONE'),
        'device_type': getattr(config._device_type, 'name', 'GPU'),
        'dla_core': config._dla_core,
        'target': [target.name for target in config._targets],
        'layers': layers,
        'previews': sorted(feature.name for feature in config._previews),
    }
    world.builds.append(header)
    return engine_double.pack(header, network._model.SerializeToString())


def calibrate(world: World, config: Any, logger: Any) -> dict[str, float]:
    """Play TensorRT's calibration: the cache if its header fits, else images, else nothing."""
    calibrator = config._int8_calibrator
    check_trampoline(calibrator, 'IInt8EntropyCalibrator2')
    if calibrator is None:
        return {}
    if config._calibration_profile is None and config._profiles:
        log(logger, 'WARNING', 'Calibration Profile is not defined. Calibrating with Profile 0')
    data = call_back(None, calibrator.read_calibration_cache)
    if data:
        header, *entries = bytes(data).decode().splitlines()
        if world.accept_any_cache or header == cache_header(world):
            pairs = (entry.rsplit(':', 1) for entry in entries)
            return {name: float(int(value.strip(), 16)) for name, value in pairs}
        log(logger, 'WARNING', f'Calibration table {header} is not compatible, it is skipped')
    return calibrate_with_batches(world, calibrator, config)


def cache_header(world: World) -> str:
    """Return the only header that this version takes."""
    major, minor, patch = (int(text) for text in world.record.version.split('.')[:3])
    number = major * (10000 if major >= 10 else 1000) + minor * 100 + patch
    return f'TRT-{number}-EntropyCalibration2'


def calibrate_with_batches(world: World, calibrator: Any, config: Any) -> dict[str, float]:
    """Play what TensorRT does without a cache: read batches, and write what it found."""
    assert calibrator.get_batch_size() >= 1
    largest, batches = 0.0, 0
    while addresses := call_back(None, calibrator.get_batch, ['images']):
        (address,) = addresses
        shape = config._calibration_profile._shapes['images'][1]
        assert shape[0] == calibrator.get_batch_size()
        data = world.cuda.read(address, int(np.prod(shape)) * 4, None)
        largest = max(largest, float(np.abs(np.frombuffer(data, np.float32)).max()))
        batches += 1
    if not batches:
        return {}
    scale = struct.pack('>f', largest / 127).hex()
    text = f'{cache_header(world)}\nimages: {scale}\n'
    call_back(None, calibrator.write_calibration_cache, memoryview(text.encode()))
    return {'images': largest / 127}


def place_on_dla(layers: list[dict[str, str]], config: Any, logger: Any) -> None:
    """Play the DLA: it runs convolutions, and nothing of a network with dynamic shapes."""
    if any(
        low != high for profile in config._profiles for low, _, high in profile._shapes.values()
    ):
        log(logger, 'WARNING', 'DLA does not support dynamic shapes, falling back to GPU')
        return
    for layer in layers:
        if layer['op'] == 'Conv':
            layer['op'] = 'DLA'


def describe_layer(
    world: World, network: Any, layer: Any, flags: set[str], scales: dict[str, float] | None
) -> dict[str, str]:
    """Describe a layer for the inspector."""
    constrained = {'OBEY_PRECISION_CONSTRAINTS', 'PREFER_PRECISION_CONSTRAINTS'} & flags
    precision = 'Float'
    if world.strongly_typed:
        if layer._op == 'Conv' and layer._inputs[0] in network._dequantized:
            precision = 'Int8'
        elif any(tensor._dtype.name == 'HALF' for tensor in layer._outputs):
            precision = 'Half'
    else:
        if 'FP16' in flags:
            precision = 'Half'
        # Q/DQ nodes decide by themselves; without them the scales of the calibrator.
        has_scale = (
            scales is not None
            and layer._inputs
            and (layer._inputs[0] in network._dequantized or layer._inputs[0] in scales)
        )
        if has_scale and layer._op == 'Conv' and not world.ignore_int8:
            precision = 'Int8'
        held = layer._output_types.get(0) is layer._precision
        if constrained and layer._precision is not None and held:
            precision = {'HALF': 'Half', 'FLOAT': 'Float'}[layer._precision.name]
    tactic = ''
    if layer._op == 'Conv' and precision == 'Float':
        kind = 'tf32f32' if 'TF32' in flags and world.compute_capability >= (8, 0) else 'f32f32'
        tactic = f'sm80_xmma_fprop_implicit_gemm_{kind}_{kind}_f32_nhwckrsc_nhwc_tilesize64x64'
    return {'name': layer._name, 'op': layer._op, 'precision': precision, 'tactic': tactic}


class ProfileDouble(Recorded):
    @classmethod
    def _make(cls) -> Any:
        profile = cls.__new__(cls)
        profile._shapes = {}
        return profile

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002
        # As TensorRT for RTX 1.7: order and ranks are checked only when the profile is added.
        shapes = [list(min), list(opt), list(max)]
        for name, shape in zip(('min', 'opt', 'max'), shapes, strict=True):
            if any(dim < 0 for dim in shape):
                raise RuntimeError(f'Shape provided for {name} is inconsistent with other shapes.')
        self._shapes[input] = shapes


class BuilderConfigDouble(Recorded):
    @classmethod
    def _make(cls, logger: Any) -> Any:
        config = cls.__new__(cls)
        config._logger, config._flags, config._pools = logger, {cls.trt.BuilderFlag.TF32}, {}
        config._profiles, config._targets, config._timing_cache = [], [], None
        config._progress_monitor = config._int8_calibrator = config._calibration_profile = None
        config._device_type, config._dla_core, config._verbosity = None, -1, None
        config._hardware, config._previews = None, set()
        return config

    def set_flag(self, flag: Any) -> None:
        self._flags.add(flag)

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        if not isinstance(pool_size, int) or pool_size < 0:
            raise TypeError('set_memory_pool_limit(): incompatible function arguments')
        self._pools[pool.name] = pool_size

    def add_optimization_profile(self, profile: Any) -> int:
        for name, shapes in profile._shapes.items():
            low, middle, high = shapes
            equal_ranks = len(low) == len(middle) == len(high)
            if not equal_ranks or not all(
                a <= b <= c for a, b, c in zip(low, middle, high, strict=True)
            ):
                text = f'Invalid optimization profiles for input tensors {name}'
                log(self._logger, 'ERROR', f'{text}, please ensure that MIN<=OPT<=MAX')
                return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def set_calibration_profile(self, profile: Any) -> bool:
        self._calibration_profile = profile
        return True

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        trt, version = type(self).trt, type(self).world.record.version
        head = f'timing {version} '.encode()
        if not serialized_timing_cache:
            return trt.ITimingCache._make(head, 0)
        if not serialized_timing_cache.startswith(b'timing '):
            log(self._logger, 'WARNING', 'Failed to deserialize timing cache.')
            # Seen with the real TensorRT for RTX 1.7: it goes on with an empty one.
            return (
                None if int(version.split('.')[0]) in (8, 10) else trt.ITimingCache._make(head, 0)
            )
        _, built, entries = serialized_timing_cache.split(b' ')
        return trt.ITimingCache._make(b'timing ' + built + b' ', int(entries))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        head = f'timing {type(self).world.record.version} '.encode()
        if cache._head != head and not ignore_mismatch:
            log(self._logger, 'WARNING', 'Timing cache of another version, it will not be used')
            return False
        self._timing_cache = cache
        return True

    def set_compute_capability(self, compute_capability: Any, index: int) -> bool:
        if not 0 <= index < len(self._targets):
            log(self._logger, 'ERROR', 'setComputeCapability: Parameter check failed')
            return False
        self._targets[index] = compute_capability
        return True

    def set_preview_feature(self, feature: Any, enable: bool) -> None:
        (self._previews.add if enable else self._previews.discard)(feature)

    def clear_flag(self, flag: Any) -> None:
        self._flags.discard(flag)

    @property
    def hardware_compatibility_level(self) -> Any:
        return self._hardware

    @hardware_compatibility_level.setter
    def hardware_compatibility_level(self, value: Any) -> None:
        self._hardware = value

    @property
    def num_compute_capabilities(self) -> int:
        return len(self._targets)

    @num_compute_capabilities.setter
    def num_compute_capabilities(self, value: int) -> None:
        self._targets = [type(self).trt.ComputeCapability.NONE] * value

    @property
    def progress_monitor(self) -> Any:
        return self._progress_monitor

    @progress_monitor.setter
    def progress_monitor(self, value: Any) -> None:
        self._progress_monitor = value

    @property
    def int8_calibrator(self) -> Any:
        return self._int8_calibrator

    @int8_calibrator.setter
    def int8_calibrator(self, value: Any) -> None:
        self._int8_calibrator = value

    @property
    def profiling_verbosity(self) -> Any:
        return self._verbosity

    @profiling_verbosity.setter
    def profiling_verbosity(self, value: Any) -> None:
        self._verbosity = value

    @property
    def default_device_type(self) -> Any:
        return self._device_type

    @default_device_type.setter
    def default_device_type(self, value: Any) -> None:
        self._device_type = value

    @property
    def DLA_core(self) -> int:  # noqa: N802
        return self._dla_core

    @DLA_core.setter
    def DLA_core(self, value: int) -> None:  # noqa: N802
        self._dla_core = value


class TimingCacheDouble(Recorded):
    @classmethod
    def _make(cls, head: bytes, entries: int) -> Any:
        cache = cls.__new__(cls)
        cache._head, cache._entries = head, entries
        return cache

    def serialize(self) -> Any:
        return type(self).trt.IHostMemory._make(self._head + str(self._entries).encode())


class HostMemoryDouble(Recorded):
    @classmethod
    def _make(cls, data: bytes) -> Any:
        memory = cls.__new__(cls)
        memory._data = data
        return memory

    @property
    def nbytes(self) -> int:
        return len(self._data)

    def __bytes__(self) -> bytes:
        return self._data


class RegistryDouble(Recorded):
    @classmethod
    def _make(cls) -> Any:
        return cls.__new__(cls)

    def load_library(self, plugin_path: str) -> Any:
        type(self).world.plugins.add(f'library {plugin_path}')
        return object() if type(self).world.registers_plugins else None


CLASSES: dict[str, type] = {
    'Builder': BuilderDouble,
    'EngineInspector': engine_double.InspectorDouble,
    'IBuilderConfig': BuilderConfigDouble,
    'ICudaEngine': engine_double.EngineDouble,
    'IExecutionContext': engine_double.ContextDouble,
    'IHostMemory': HostMemoryDouble,
    'ILayer': LayerDouble,
    'INetworkDefinition': NetworkDouble,
    'IOptimizationProfile': ProfileDouble,
    'IPluginRegistry': RegistryDouble,
    'IRuntimeCache': engine_double.RuntimeCacheDouble,
    'IRuntimeConfig': engine_double.RuntimeConfigDouble,
    'ITensor': TensorDouble,
    'ITimingCache': TimingCacheDouble,
    'OnnxParser': ParserDouble,
    'ParserError': ParserErrorDouble,
    'Runtime': engine_double.RuntimeDouble,
}


class _Enumerator(enum.Enum):
    """Root of the enumerations: pybind11's convert to int."""

    def __int__(self) -> int:
        return int(self.value)


def make_tensorrt(world: World) -> ModuleType:
    """Return a module that plays the version of a world."""
    record = world.record
    trt: Any = ModuleType(record.module)
    trt.__version__ = record.version
    for name in _ENUMS:
        if name in record.classes:
            numbers = {k: v for k, v in record.classes[name].items() if isinstance(v, int)}
            setattr(trt, name, _Enumerator(name, numbers))
    for name, double in CLASSES.items():
        if name in record.classes:
            setattr(trt, name, _play(name, double, world, trt))
    severity = _Enumerator('Severity', record.classes['ILogger']['Severity'])
    trt.ILogger = type('ILogger', (Trampoline,), {'Severity': severity})
    for name in ('IProgressMonitor', 'IInt8EntropyCalibrator2', 'IOutputAllocator'):
        if name in record.classes:
            setattr(trt, name, type(name, (Trampoline,), {}))
    if 'init_libnvinfer_plugins' in record.functions and record.module == 'tensorrt':
        trt.init_libnvinfer_plugins = lambda logger, namespace: world.registers_plugins
    if 'get_plugin_registry' in record.functions:
        trt.get_plugin_registry = lambda: trt.IPluginRegistry._make()
    return trt


def _play(name: str, double: type, world: World, trt: Any) -> type:
    """Return a double's class cut down to what the version has."""
    members = world.record.classes[name]
    settable = frozenset(key for key, kind in members.items() if kind == 'property')
    space = {'members': frozenset(members), 'settable': settable, 'world': world, 'trt': trt}
    bases = (double,) if issubclass(double, Recorded) else (double, Recorded)
    return type(name, bases, space)
