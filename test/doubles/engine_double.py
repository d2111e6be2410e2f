# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A double of TensorRT's runtime: engines that ONNX Runtime executes on device memory."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import numpy as np
import onnxruntime

from doubles.call_log import call_back, check_trampoline, log, RootObject

_MAGIC = b'ptrt-double\0'
_DTYPES = {
    'tensor(float)': ('FLOAT', np.float32), 'tensor(float16)': ('HALF', np.float16),
    'tensor(int64)': ('INT64', np.int64), 'tensor(int32)': ('INT32', np.int32),
    'tensor(uint8)': ('UINT8', np.uint8), 'tensor(int8)': ('INT8', np.int8),
    'tensor(bool)': ('BOOL', np.bool_), 'tensor(double)': ('FP8', np.float64),
}  # fmt: skip
# As the lean runtime 11.4 writes them on an H100.
_BAD_MAGIC = (
    'IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion '
    'header.magicTag == kEXPECTED_MAGIC_TAG failed'
)
_BAD_VERSION = 'Trying to load an engine created with incompatible serialization version'
_COUNTING_OPERATORS = frozenset({'NonZero', 'NonMaxSuppression'})
_MOST_ROWS = 1000


def pack(header: dict[str, Any], model: bytes) -> bytes:
    """Return a plan."""
    text = json.dumps(header, sort_keys=True).encode()
    return _MAGIC + struct.pack('<I', len(text)) + text + model


def unpack(plan: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the arguments of pack(), or raise ValueError."""
    if not plan.startswith(_MAGIC):
        raise ValueError('magicTag does not match')
    start = len(_MAGIC) + 4
    (length,) = struct.unpack('<I', plan[len(_MAGIC) : start])
    return json.loads(plan[start : start + length]), plan[start + length :]


def _log(logger: Any, text: str) -> None:
    log(logger, 'ERROR', text)


def _runs_version(header: dict[str, Any], record: Any) -> bool:
    """
    Play which plans a version runs: its own, portable ones also in its lean runtime.

    A later version would need the lean runtime of the version that built the plan, from the plan
    or from IRuntime::loadRuntime() (NvInferRuntime.h: "built with the same version of TensorRT as
    the loaded runtime library").
    """
    modules = {header['module']}
    if 'VERSION_COMPATIBLE' in header['flags']:
        assert 'EXCLUDE_LEAN_RUNTIME' in header['flags'], 'host code of a plan is not allowed'
        modules.add('tensorrt_lean')
    return header['version'] == record.version and record.module in modules


def _runs_device(header: dict[str, Any], capability: tuple[int, int]) -> bool:
    """Play which devices a plan runs on."""
    if header['hardware'] == 'AMPERE_PLUS':
        return capability >= (8, 0)
    return bool(header['compute_capability'] == list(capability))


def register_logger(world: Any, logger: Any) -> None:
    """
    Play what TensorRT does with loggers: the first one is kept, and any other is ignored.

    Whoever gives another one would miss its lines, and crash once the first is freed.
    """
    if world.logger is None:
        world.logger = logger
    elif world.logger is not logger:
        world.logger_faults.append('the logger differs from the one that is registered')


class InvalidDims:
    """Dims with nbDims -1, which is what TensorRT returns for a shape that it does not know."""

    def __len__(self) -> int:
        return -1

    def __getitem__(self, index: int) -> int:
        raise IndexError(index)


def unknown_shape(world: Any) -> InvalidDims:
    """Return the shape of an unknown tensor, or raise as newer bindings do (seen with RTX 1.7)."""
    if world.record.module == 'tensorrt_rtx' or world.record.version.startswith('11.4'):
        raise RuntimeError('Could not get tensor shape.')
    return InvalidDims()


class RuntimeDouble(RootObject):
    def __init__(self, logger: Any) -> None:
        self._logger = logger
        register_logger(type(self).world, logger)
        self._dla_core, self._host_code = -1, False
        self._start_cuda(logger, 'createInferRuntime')

    @property
    def DLA_core(self) -> int:  # noqa: N802
        return self._dla_core

    @DLA_core.setter
    def DLA_core(self, value: int) -> None:  # noqa: N802
        # NvInferRuntime.h: "if getNbDLACores() returns 0, then this function does nothing".
        if 0 <= value < self.num_DLA_cores:
            self._dla_core = value

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802
        cores: int = type(self).world.dla_cores
        return cores

    @property
    def engine_host_code_allowed(self) -> bool:
        return self._host_code

    @engine_host_code_allowed.setter
    def engine_host_code_allowed(self, value: bool) -> None:
        raise AssertionError('host code of a plan must stay disallowed')

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        world = type(self).world
        world.cuda.require_context('deserializeCudaEngine')
        try:
            header, model = unpack(bytes(serialized_engine))
        except (ValueError, struct.error) as error:
            _log(self._logger, f'{_BAD_MAGIC}. {error}')
            return None
        if not _runs_version(header, world.record):
            _log(self._logger, f'{_BAD_MAGIC}. {_BAD_VERSION}')
            return None
        if not _runs_device(header, world.compute_capability):
            _log(self._logger, 'Platform (Device) mismatch: the plan is of another device')
            return None
        return type(self).trt.ICudaEngine._make(header, model, self._logger)


class EngineDouble:
    @classmethod
    def _make(cls, header: dict[str, Any], model: bytes, logger: Any) -> Any:
        engine = cls.__new__(cls)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        engine._session = onnxruntime.InferenceSession(
            model, options, providers=['CPUExecutionProvider']
        )
        engine._header, engine._logger = header, logger
        engine._has_context = False
        engine._digest = hashlib.sha256(model).hexdigest()
        engine._inputs = {value.name: value for value in engine._session.get_inputs()}
        engine._outputs = {value.name: value for value in engine._session.get_outputs()}
        engine._counts = any(layer['op'] in _COUNTING_OPERATORS for layer in header['layers'])
        return engine

    @property
    def num_io_tensors(self) -> int:
        return len(self._inputs) + len(self._outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self._inputs, *self._outputs][index]

    def get_tensor_mode(self, name: str) -> Any:
        mode = type(self).trt.TensorIOMode
        return mode.INPUT if name in self._inputs else mode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        value = (self._inputs | self._outputs)[name]
        return getattr(type(self).trt.DataType, _DTYPES[value.type][0])

    def get_tensor_location(self, name: str) -> Any:
        return type(self).trt.TensorLocation.DEVICE

    def get_tensor_shape(self, name: str) -> Any:
        value = (self._inputs | self._outputs).get(name)
        if value is None:
            return unknown_shape(type(self).world)
        return tuple(dim if isinstance(dim, int) and dim > 0 else -1 for dim in value.shape)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        assert profile_index == 0
        shape = self.get_tensor_shape(name)
        shapes = self._header['profile'].get(name, [shape] * 3)
        return [tuple(item) for item in shapes]

    def create_runtime_config(self) -> Any:
        return type(self).trt.IRuntimeConfig._make()

    def create_execution_context(self, strategy: Any = None) -> Any:
        # The overload of 10.13 and later takes an IRuntimeConfig in the same place.
        world = type(self).world
        world.cuda.require_context('createExecutionContext')
        return type(self).trt.IExecutionContext._make(self, self._first_profile(), strategy)

    def _first_profile(self) -> int:
        """Return the profile that a new execution context has: 8.6 gives it to the first only."""
        first, self._has_context = not self._has_context, True
        is_old = type(self).world.record.version.startswith('8.')
        return 0 if first or not is_old or not self._header['profile'] else -1

    def create_engine_inspector(self) -> Any:
        return type(self).trt.EngineInspector._make(self._header)


def _described(precision: str, apart: bool) -> dict[str, str]:
    """
    Return format and data type of a tensor as the inspector of a version writes them.

    :param apart: True for TensorRT 11 and RTX, False for 8.6 to 10.
    """
    if apart:
        return {'Format': 'Row major linear', 'Datatype': precision}
    name = {'Float': 'FP32', 'Half': 'FP16'}.get(precision, precision)
    if precision == 'Int8':
        return {'Format/Datatype': 'Thirty-two wide channel vectorized row major Int8 format'}
    return {'Format/Datatype': f'Row major linear {name}'}


class InspectorDouble:
    @classmethod
    def _make(cls, header: dict[str, Any]) -> Any:
        inspector = cls.__new__(cls)
        inspector._header = header
        return inspector

    def get_engine_information(self, format: Any) -> str:  # noqa: A002
        assert format.name == 'JSON'
        version = self._header['version']
        apart = not version.startswith(('8.', '10.'))
        entries = [
            {
                'Name': layer['name'],
                'LayerType': layer['op'],
                'Outputs': [
                    {'Name': 'out', 'Location': 'Device', **_described(layer['precision'], apart)}
                ],
                'TacticName': layer['tactic'],
            }
            for layer in self._header['layers']
        ]
        return json.dumps({'Layers': entries, 'Bindings': []})


class RuntimeConfigDouble:
    @classmethod
    def _make(cls) -> Any:
        config = cls.__new__(cls)
        config._strategy, config._cache = 'LAZY', None
        return config

    @property
    def dynamic_shapes_kernel_specialization_strategy(self) -> Any:
        return self._strategy

    @dynamic_shapes_kernel_specialization_strategy.setter
    def dynamic_shapes_kernel_specialization_strategy(self, value: Any) -> None:
        self._strategy = value.name

    def create_runtime_cache(self) -> Any:
        return type(self).trt.IRuntimeCache._make()

    def set_runtime_cache(self, cache: Any = None) -> bool:
        self._cache = cache
        return True


class RuntimeCacheDouble:
    @classmethod
    def _make(cls) -> Any:
        cache = cls.__new__(cls)
        cache._kernels = set()
        return cache

    def serialize(self) -> Any:
        head = f'kernels {type(self).world.record.version}'
        text = '\n'.join([head, *sorted(self._kernels)])
        return type(self).trt.IHostMemory._make(text.encode())

    def deserialize(self, blob: Any) -> bool:
        head, *kernels = bytes(blob).decode(errors='replace').split('\n')
        if head != f'kernels {type(self).world.record.version}':
            return False
        self._kernels = set(kernels)
        return True

    def reset(self) -> bool:
        self._kernels = set()
        return True


class ContextDouble:
    @classmethod
    def _make(cls, engine: Any, profile: int, runtime_config: Any) -> Any:
        context = cls.__new__(cls)
        context._engine, context._profile = engine, profile
        context._runtime_config = runtime_config
        context._addresses, context._input_shape = {}, None
        fixed = {n: engine.get_tensor_shape(n) for n in engine._inputs}
        for shape in fixed.values():
            if all(dim >= 0 for dim in shape):
                context._input_shape = shape
        context._output_shapes_of = {}
        context._compiled = set()
        context._shape_that_ran = None
        context._allocators, context._failed_output = {}, ''
        return context

    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        # The bindings of every version never return False.
        if 'PROFILE_SHARING_0806' not in self._engine._header['previews']:
            _log(self._engine._logger, 'Profile 0 has been chosen by another context')
            raise RuntimeError('Error in set optimization profile async.')
        self._profile = profile_index
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        if self._profile < 0:
            _log(self._engine._logger, 'setInputShape: no optimization profile is chosen')
            return False
        shape = tuple(int(dim) for dim in shape)
        low, _, high = self._engine.get_tensor_profile_shape(name, 0)
        inside = len(low) == len(shape) and all(
            a <= dim <= b for a, dim, b in zip(low, shape, high, strict=True)
        )
        if not inside:
            _log(self._engine._logger, f'IExecutionContext::setInputShape: {shape} out of range')
            return False
        self._input_shape = shape
        return True

    def infer_shapes(self) -> list[str]:
        if type(self).world.fail_shapes:
            raise RuntimeError(type(self).world.fail_shapes)
        return [] if self._input_shape is not None else list(self._engine._inputs)

    def get_tensor_shape(self, name: str) -> Any:
        declared = self._engine.get_tensor_shape(name)
        if name in self._engine._inputs:
            return self._input_shape or declared
        if self._input_shape is None:
            return declared
        real = self._shapes()[name]
        if self._engine._counts:
            return tuple(d if d >= 0 or i == 0 else -1 for i, d in enumerate(declared))
        return real

    def get_max_output_size(self, name: str) -> int:
        if self._input_shape is None or name not in self._engine._outputs:
            return -1
        if type(self).world.unbounded:
            return 0
        dims = [dim if dim >= 0 else _MOST_ROWS for dim in self.get_tensor_shape(name)]
        return int(np.prod(dims)) * 4

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in (self._engine._inputs | self._engine._outputs):
            _log(self._engine._logger, f'setTensorAddress: no tensor {name}')
            return False
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        world, engine = type(self).world, self._engine
        world.cuda.require_context('enqueueV3')
        known = {**self._addresses, **self._allocators}
        missing = [n for n in (*engine._inputs, *engine._outputs) if n not in known]
        if missing or self._input_shape is None:
            _log(engine._logger, f'enqueueV3: no address or shape is set for {missing}')
            return False
        if world.fail_run:
            _log(engine._logger, world.fail_run)
            return False
        if world.record.module == 'tensorrt_rtx' and not self._run_rtx(stream_handle):
            return False
        if world.cuda.is_capturing(stream_handle) and self._shape_that_ran != self._input_shape:
            _log(engine._logger, 'enqueueV3: the new shape has to run once before a capture')
            return False
        self._shape_that_ran = self._input_shape
        shape, addresses = self._input_shape, dict(self._addresses)
        world.cuda.enqueue(stream_handle, lambda stream=None: self._compute(shape, addresses))
        if self._allocators:
            # The shapes are known only when the network has run.
            world.cuda.drain(stream_handle)
        return not self._failed_output

    def is_stream_capturable(self, stream: int) -> bool:
        return 'REQUIRE_USER_ALLOCATION' in self._engine._header['flags']

    def _run_rtx(self, stream_handle: int) -> bool:
        """Play TensorRT for RTX: compile kernels of a new shape, and refuse some captures."""
        world, config = type(self).world, self._runtime_config
        strategy = getattr(config, '_strategy', 'LAZY')
        if world.cuda.is_capturing(stream_handle):
            is_lazy = strategy == 'LAZY' and bool(self._engine._header['profile'])
            if is_lazy or not self.is_stream_capturable(stream_handle):
                _log(self._engine._logger, 'enqueueV3: memory is taken during stream capture')
                return False
        cache = None if config is None else config._cache
        kernels = self._compiled if cache is None else cache._kernels
        kernel = f'{self._engine._digest} {self._input_shape}'
        if kernel not in kernels:
            world.compiled_kernels += 1
            kernels.add(kernel)
        return True

    def _compute(self, shape: tuple[int, ...], addresses: dict[str, int]) -> None:
        """Run the network on device memory."""
        cuda, engine = type(self).world.cuda, self._engine
        (value,) = engine._inputs.values()
        dtype = np.dtype(_DTYPES[value.type][1])
        nbytes = int(np.prod(shape)) * dtype.itemsize
        data = np.frombuffer(cuda.read(addresses[value.name], nbytes, None), dtype)
        results = engine._session.run(list(engine._outputs), {value.name: data.reshape(shape)})
        for name, result in zip(engine._outputs, results, strict=True):
            if name in self._allocators:
                addresses[name] = self._allocate(name, result)
                if self._failed_output:
                    return
            cuda.write(addresses[name], np.ascontiguousarray(result).tobytes(), None)

    def set_output_allocator(self, name: str, output_allocator: Any) -> bool:
        check_trampoline(output_allocator, 'IOutputAllocator')
        self._allocators[name] = output_allocator
        return True

    def _allocate(self, name: str, result: Any) -> int:
        """Ask the user's allocator for memory, and tell it the shape."""
        allocator = self._allocators[name]
        # NvInferRuntime.h: "Always positive, even for an empty tensor".
        size = max(1, result.nbytes)
        if type(self).world.record.version.startswith('8.'):
            address = call_back(0, allocator.reallocate_output, name, 0, size, 256)
        else:
            ask = allocator.reallocate_output_async
            address = call_back(0, ask, name, 0, size, 256, 0)
        shape = type(self).world.notified_shape(result.shape)
        if shape is not None:
            call_back(None, allocator.notify_shape, name, shape)
        if not address:
            self._failed_output = name
            _log(self._engine._logger, f'enqueueV3: no memory for output {name}')
        return int(address)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the outputs' shapes for the input shape that is set."""
        shape = self._input_shape
        if shape not in self._output_shapes_of:
            (value,) = self._engine._inputs.values()
            zeros = np.zeros(shape, _DTYPES[value.type][1])
            results = self._engine._session.run(list(self._engine._outputs), {value.name: zeros})
            self._output_shapes_of[shape] = {
                name: result.shape
                for name, result in zip(self._engine._outputs, results, strict=True)
            }
        return self._output_shapes_of[shape]
