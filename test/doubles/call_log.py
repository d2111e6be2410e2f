# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Base of all doubles of TensorRT classes."""

from __future__ import annotations

from collections.abc import Callable
import sys
from typing import Any

# How calls fail, by the documentation of NvInfer.h and NvInferRuntime.h and the source of the
# bindings: the value that is returned or the exception that is raised, beside an error on the log.
FAILURES: dict[str, Any] = {
    'Builder.create_network': None,
    'Builder.create_builder_config': None,
    'Builder.build_serialized_network': None,
    'IBuilderConfig.add_optimization_profile': -1,
    'IBuilderConfig.set_calibration_profile': False,
    'IBuilderConfig.set_timing_cache': False,
    'IBuilderConfig.create_timing_cache': None,
    'IBuilderConfig.set_compute_capability': False,
    'ITimingCache.serialize': None,
    'IOptimizationProfile.set_shape': RuntimeError('Shape provided for min is inconsistent'),
    'OnnxParser.parse': False,
    'Runtime.deserialize_cuda_engine': None,
    'ICudaEngine.create_execution_context': None,
    'ICudaEngine.create_engine_inspector': None,
    'ICudaEngine.create_runtime_config': None,
    'ICudaEngine.get_tensor_profile_shape': RuntimeError('Could not get tensor shape.'),
    'ICudaEngine.get_tensor_shape': RuntimeError('Could not get tensor shape.'),
    'EngineInspector.get_engine_information': None,
    'IRuntimeConfig.set_runtime_cache': False,
    'IRuntimeCache.serialize': None,
    'IRuntimeCache.deserialize': False,
    'IExecutionContext.set_input_shape': False,
    'IExecutionContext.infer_shapes': RuntimeError('infer_shapes error code: -1'),
    'IExecutionContext.get_tensor_shape': RuntimeError('Could not get tensor shape.'),
    'IExecutionContext.get_max_output_size': -1,
    'IExecutionContext.set_tensor_address': False,
    'IExecutionContext.set_output_allocator': False,
    'IExecutionContext.set_optimization_profile_async': RuntimeError(
        'Error in set optimization profile async.'
    ),
    'IExecutionContext.execute_async_v3': False,
}


class Recorded:
    """Root of the double's classes: it has the recorded members and no other."""

    members: frozenset[str] = frozenset()
    settable: frozenset[str] = frozenset()
    world: Any
    trt: Any

    # Set if CUDA did not start: the real object then crashes the process on any use.
    _crashes = False

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith('_') and object.__getattribute__(self, '_crashes'):
            crash(type(self).world, f'{type(self).__name__}.{name} is used')
        if not name.startswith('_') and name not in type(self).members:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        call = f'{type(self).__name__}.{name}'
        if not name.startswith('_') and call in type(self).world.failures:
            return _failing(type(self).world, call)
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith('_') and name not in type(self).settable:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        object.__setattr__(self, name, value)


def _failing(world: Any, call: str) -> Any:
    """Return a method that fails as TensorRT documents it."""

    def fail(*_: Any) -> Any:
        world.failed_calls.append(call)
        log(world.logger, 'ERROR', f'{call}: Error Code 3: API Usage Error')
        result = FAILURES[call]
        if isinstance(result, Exception):
            raise result
        return result

    return fail


def crash(world: Any, what: str) -> None:
    """Record a segmentation fault of the real library, and stop the caller."""
    world.crashes.append(f'segmentation fault: {what} although CUDA did not start')
    raise SystemError(world.crashes[-1])


class RootObject:
    """Root of Runtime and Builder, which start CUDA."""

    world: Any

    def _start_cuda(self, logger: Any, function: str) -> None:
        """Start CUDA, or do what the played version was seen to do if it cannot start."""
        world = type(self).world
        if not world.cuda_error:
            world.cuda.require_context(function)
            return
        text = f'CUDA initialization failure with error: {world.cuda_error}'
        if world.record.version.startswith('8.'):
            log(logger, 'WARNING', text)
            raise TypeError('pybind11::init(): factory function returned nullptr')
        log(logger, 'ERROR', f'{function}: Error Code 6: API Usage Error ({text})')
        log(logger, 'ERROR', '[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime')
        self._crashes = True

    def __del__(self) -> None:
        if object.__getattribute__(self, '__dict__').get('_crashes'):
            crash(type(self).world, f'{type(self).__name__} is deleted')


class Trampoline:
    """Root of the classes that users derive from; its constructor has to be called."""

    def __init__(self) -> None:
        self._constructed = True


def check_trampoline(value: Any, kind: str) -> None:
    """Fail where TensorRT would crash the process."""
    if value is not None and not getattr(value, '_constructed', False):
        raise SystemError(f'segmentation fault: {kind}.__init__ was never called')


def call_back(default: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """
    Call a function of the user as the bindings do: an exception is printed and dropped.

    :param default: result after an exception.
    """
    try:
        return function(*arguments)
    except BaseException as error:
        print(f'[ERROR] Exception caught in {function.__name__}(): {error!r}', file=sys.stderr)
        return default


def log(logger: Any, severity: str, text: str) -> None:
    """Give a line to the user's logger."""
    call_back(None, logger.log, getattr(type(logger).Severity, severity), text)
