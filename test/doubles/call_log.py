# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Base of all doubles of TensorRT classes."""

from __future__ import annotations

from typing import Any


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
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith('_') and name not in type(self).settable:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        object.__setattr__(self, name, value)


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


def log(logger: Any, severity: str, text: str) -> None:
    """Give a line to the user's logger."""
    logger.log(getattr(type(logger).Severity, severity), text)
