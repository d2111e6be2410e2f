# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Page-locked host memory and device memory of one tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError
from .cuda_errors import make_engine_error

__all__ = ['TensorBuffer']


class TensorBuffer:
    """
    Host and device buffer for the largest shape of one tensor, at a fixed address.

    The context in which it was allocated must be current for every call.

    :param cuda: CUDA bindings, see :func:`.context.load_cuda`.
    :param name: name of the tensor, for messages.
    :param dtype: element type.
    :param max_shape: largest shape.
    :param min_bytes: minimum size in bytes, for an output whose size the runtime bounds.
    :param mapped: allocate mapped page-locked memory only, which the device reads and writes
        directly; uploads and downloads do nothing.
    :raises EngineError: if the memory cannot be allocated.
    """

    def __init__(
        self,
        cuda: Any,
        name: str,
        dtype: np.dtype[np.generic],
        max_shape: tuple[int, ...],
        min_bytes: int = 1,
        *,
        mapped: bool = False,
    ) -> None:
        self._cuda = cuda
        self.name = name
        self.dtype = dtype
        self.max_shape = max_shape
        self.nbytes = max(1, min_bytes, math.prod(max_shape) * dtype.itemsize)
        try:
            flags = cuda.host_alloc_flags.DEVICEMAP
            self._bytes: Any = cuda.pagelocked_empty((self.nbytes,), np.uint8, mem_flags=flags)
        except cuda.Error as error:
            raise self._no_memory('page-locked host', error) from error
        # The base of the array owns the memory and frees it.
        self._host: Any = self._bytes.base
        self._device: Any = None
        self.mapped = mapped
        if mapped:
            self._address = self.host_address
            return
        try:
            self._device = cuda.mem_alloc(self.nbytes)
        except cuda.Error as error:
            self._free_host()
            raise self._no_memory('device', error) from error
        self._address = int(self._device)

    @property
    def address(self) -> int:
        """Return the address on the device."""
        return self._address

    @property
    def host_address(self) -> int:
        """Return the address by which the device accesses the host buffer."""
        return int(self._host.get_device_pointer())

    def holds(self, count: int) -> bool:
        """Return whether the buffer has at least count bytes."""
        return count <= self.nbytes

    def twin(self, *, mapped: bool) -> TensorBuffer:
        """
        Allocate another buffer for the same tensor; the caller frees it.

        :param mapped: see the class.
        :raises EngineError: if the memory cannot be allocated.
        """
        return TensorBuffer(
            self._cuda, self.name, self.dtype, self.max_shape, self.nbytes, mapped=mapped
        )

    def view(self, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """
        Return the first elements of the host buffer as an array, without a copy.

        :raises EngineError: if the shape is larger than the buffer.
        """
        count = math.prod(shape) * self.dtype.itemsize
        if count > self.nbytes:
            raise EngineError(
                f'tensor {self.name!r} of shape {list(shape)} ({count} bytes) does not fit its '
                f'buffer of shape {list(self.max_shape)} ({self.nbytes} bytes)'
            )
        array: npt.NDArray[Any] = self._bytes[:count].view(self.dtype).reshape(shape)
        return array

    def upload(self, view: npt.NDArray[Any], stream: Any) -> None:
        """Queue a copy of a view to the device in a stream."""
        if not self.mapped:
            self._cuda.memcpy_htod_async(self._device, view, stream)

    def download(self, view: npt.NDArray[Any], stream: Any) -> None:
        """Queue a copy from the device into a view in a stream."""
        if not self.mapped:
            self._cuda.memcpy_dtoh_async(view, self._device, stream)

    def clear(self, stream: Any, count: int | None = None, *, value: int = 0) -> None:
        """
        Queue a fill of the device buffer in a stream.

        :param count: number of bytes, None for all.
        :param value: byte to write.
        """
        self._cuda.memset_d8_async(
            self.address, value, self.nbytes if count is None else count, stream
        )

    def free(self) -> None:
        """Free host and device memory, which invalidates all views; a second call does nothing."""
        device, self._device = self._device, None
        try:
            if device is not None:
                device.free()
        finally:
            self._free_host()

    def _free_host(self) -> None:
        """Free the host memory."""
        host, self._host, self._bytes = self._host, None, None
        if host is not None:
            host.free()

    def _no_memory(self, side: str, error: Exception) -> EngineError:
        """Return the error for a failed allocation."""
        return make_engine_error(
            f'cannot allocate {self.nbytes / 2**20:.1f} MiB of {side} memory for tensor '
            f'{self.name!r} of shape {list(self.max_shape)}',
            error,
            '; lower max_shape or batch_size, or close other programs',
        )
