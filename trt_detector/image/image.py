# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Camera image: checked, and read without a copy if possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
import reprlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import ImageError
from ..values.regular_file import read_regular
from .completeness import check_picture
from .encodings import Encoding, ENCODINGS, SUPPORTED_ENCODINGS
from .jpeg import decode_jpeg, find_reduction
from .reusable_memory import ReusableMemory
from .shared_values import SharedValues

__all__ = ['PICTURE_SUFFIXES', 'SUPPORTED_ENCODINGS', 'Image']

Pixels = npt.NDArray[np.uint8]

PICTURE_SUFFIXES = frozenset(
    {'.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp'}
)
"""Endings of files that :meth:`Image.from_file` reads, in lower case."""

# One that takes longer to read than to refuse; a picture of 100 megapixels has 0.6 GB as TIFF.
_LARGEST_FILE = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """
    One image: raw bytes with size and encoding.

    :param data: uint8 (n,), the bytes of the message; not copied, so they must not change while
        the image is in use. Pixels, or the content of a JPEG file, see :attr:`decoded`.
    :param width: pixels in a row.
    :param height: rows.
    :param encoding: one of :data:`SUPPORTED_ENCODINGS`.
    :param step: bytes from one row of pixels to the next, padding included.
    :param is_bigendian: byte order of 16-bit values.
    :param memory: memory of the bytes, if the next images come there, too; the bytes do not change
        as long as anything refers to :attr:`data`. A GPU locks its pages, and then reads the image
        without staging.
    :param shared: what the detectors that use this image compute from it once; None if one
        detector uses it.
    :param decoded: of a JPEG, its decoded images by their reduction; None if the data are pixels.
    :raises ImageError: if the encoding is unknown, or size, step and data do not fit together.
    """

    data: Pixels
    width: int
    height: int
    encoding: str
    step: int
    is_bigendian: bool = False
    shared: SharedValues | None = None
    decoded: SharedValues | None = None
    memory: ReusableMemory | None = None

    def __post_init__(self) -> None:
        layout = ENCODINGS.get(self.encoding)
        if layout is None:
            raise ImageError(
                f'encoding is {reprlib.repr(self.encoding)}; expected one of '
                f'{", ".join(sorted(SUPPORTED_ENCODINGS))}'
            )
        if self.width < 1 or self.height < 1:
            raise ImageError(f'image is {self.width}x{self.height}; expected at least 1x1 pixels')
        if (layout.even_width and self.width % 2) or (layout.planes_420 and self.height % 2):
            raise ImageError(
                f'image is {self.width}x{self.height}; {self.encoding} shares color between '
                'neighboring pixels and needs an even size'
            )
        row_bytes = self.width * layout.channels * np.dtype(layout.dtype).itemsize
        if self.step < row_bytes:
            raise ImageError(
                f'step is {self.step}; expected at least {row_bytes} bytes for a row of '
                f'{self.width} pixels in {self.encoding}'
            )
        expected = self.step * self._stored_rows(layout)
        if self.decoded is None and len(self.data) < expected:
            raise ImageError(
                f'data has {len(self.data)} bytes; expected {expected} for '
                f'{self.width}x{self.height} {self.encoding} with step {self.step}'
            )

    @classmethod
    def from_buffer(
        cls,
        data: Any,
        *,
        width: int,
        height: int,
        encoding: str,
        step: int,
        is_bigendian: bool = False,
        memory: ReusableMemory | None = None,
    ) -> Image:
        """
        Make an image over a buffer, without a copy.

        :param data: bytes, bytearray, memoryview, array('B') or uint8 array.
        :param memory: see the class.
        :raises ImageError: as the class does.
        """
        # frombuffer refuses an empty buffer with an error of its own.
        raw = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
        return cls(raw, width, height, encoding, step, is_bigendian, memory=memory)

    @classmethod
    def from_message(cls, message: Any) -> Image:
        """
        Make an image over the bytes of a message, without a copy.

        :param message: a sensor_msgs/Image, or an object with its fields.
        :raises ImageError: as the class does.
        """
        return cls.from_buffer(
            message.data,
            width=message.width,
            height=message.height,
            encoding=message.encoding,
            step=message.step,
            is_bigendian=bool(message.is_bigendian),
            memory=getattr(message, 'memory', None),
        )

    @classmethod
    def from_array(cls, array: npt.NDArray[Any], encoding: str = 'bgr8') -> Image:
        """
        Make an image from pixels.

        :param array: (height, width) or (height, width, channels), uint8 or uint16 as the
            encoding says; its bytes are shared if it is contiguous.
        :raises ImageError: if the array does not have the encoding's dtype and channels.
        """
        layout = ENCODINGS.get(encoding)
        if layout is None or layout.planes_420:
            raise ImageError(f'cannot make an image of encoding {encoding!r} from an array')
        channels = 1 if array.ndim == 2 else array.shape[-1]
        if array.dtype != np.dtype(layout.dtype) or channels != layout.channels:
            raise ImageError(
                f'array is {array.dtype} {array.shape}; {encoding} needs {layout.dtype} with '
                f'{layout.channels} channels'
            )
        packed = np.ascontiguousarray(array)
        height, width = packed.shape[:2]
        step = width * channels * packed.itemsize
        return cls(packed.reshape(-1).view(np.uint8), width, height, encoding, step)

    @classmethod
    def from_jpeg(cls, data: Pixels, size_wh: tuple[int, int], encoding: str) -> Image:
        """
        Make an image of a JPEG, which is decoded when its pixels are needed.

        :param data: uint8 (n,), content of the file; not copied.
        :param size_wh: width and height in its header.
        :param encoding: of the decoded pixels.
        :raises ImageError: as the class does.
        """
        width, height = size_wh
        layout = ENCODINGS.get(encoding)
        step = width * (1 if layout is None else layout.channels)
        return cls(data, width, height, encoding, step, decoded=SharedValues())

    @classmethod
    def from_file(cls, path: Path | str) -> Image:
        """
        Read a JPEG, PNG, WebP, TIFF, BMP or PNM file, rotated as its EXIF data says.

        :raises ImageError: if the file cannot be read, is larger than 1 GiB or no regular file, or
            is damaged, truncated or of another format.
        """
        path = Path(path)
        try:
            raw = read_regular(path, _LARGEST_FILE)
        except OSError as error:
            raise ImageError(f'cannot read {path}: {error.strerror}') from error
        try:
            check_picture(raw)
            return cls._decode(raw)
        except ImageError as error:
            raise ImageError(f'cannot read {path}: {error}') from error

    @classmethod
    def _decode(cls, raw: bytes) -> Image:
        """Decode the bytes of an image file, or raise ImageError."""
        try:
            array = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error as error:
            raise ImageError(f'OpenCV cannot decode the image: {error.err}') from error
        if array is None:
            raise ImageError(
                f'OpenCV cannot decode {len(raw)} bytes that start with {raw[:8].hex(" ")}'
            )
        return cls.from_array(np.asarray(array, np.uint8))

    def find_reduction(self, shown_wh: tuple[int, int]) -> int:
        """
        Find the largest reduction for :meth:`decode`, so that nothing has to be enlarged.

        :param shown_wh: width and height in which the image is shown.
        :return: 2, 4 or 8; 1 if the image is no JPEG, or a smaller one would not do.
        """
        # The pixels of a Bayer pattern cannot be averaged.
        if self.decoded is None or self.encoding.startswith('bayer_'):
            return 1
        return find_reduction((self.width, self.height), shown_wh)

    def decode(self, reduction: int = 1) -> Image:
        """
        Decode a JPEG, once for each reduction; the image itself if its data are pixels.

        Any thread may call it; the others wait.

        :param reduction: 1, or a result of :meth:`find_reduction`: width and height are divided by
            it and rounded up.
        :raises ImageError: if the JPEG cannot be decoded.
        """
        if self.decoded is None:
            return self
        image: Image = self.decoded.get(reduction, partial(self._decode_jpeg, reduction))
        return image

    def _decode_jpeg(self, reduction: int) -> Image:
        """Decode a JPEG, or raise ImageError."""
        array = decode_jpeg(self.data, (self.width, self.height), reduction)
        image = Image.from_array(array, self.encoding)
        return image if self.shared is None else replace(image, shared=SharedValues())

    def pixels(self) -> tuple[Pixels, str]:
        """
        Return the pixels with 8 bits per channel, at full size.

        :return: (height, width, 3) in 'bgr' or 'rgb' order, or (height, width) 'gray'. For bgr8,
            rgb8, mono8, 8UC1 and 8UC3 a read-only view of the data, else a new array.
        :raises ImageError: if a JPEG cannot be decoded.
        """
        if self.decoded is not None:
            return self.decode().pixels()
        layout = ENCODINGS[self.encoding]
        stored = self._stored(layout)
        if layout.dtype == 'u2':
            stored = self._to_8_bit(stored)
        if layout.code is not None:
            stored = cv2.cvtColor(stored, layout.code)
        return np.asarray(stored, np.uint8), layout.order

    def crop(self, box_xyxy: tuple[int, int, int, int]) -> Image:
        """
        Cut out a part of the image, in the same encoding; copied unless it is whole rows.

        :param box_xyxy: left, top, right and bottom in pixels inside the image; even numbers, or
            the edges of the image, because encodings share color between neighboring pixels.
        :raises ImageError: if a JPEG cannot be decoded.
        """
        if self.decoded is not None:
            return self.decode().crop(box_xyxy)
        layout = ENCODINGS[self.encoding]
        left, top, right, bottom = box_xyxy
        stored = self._stored(layout)
        rows = stored[top:bottom, left:right]
        if layout.planes_420:
            chroma = stored[self.height + top // 2 : self.height + bottom // 2, left:right]
            rows = np.concatenate((rows, chroma))
        packed = np.ascontiguousarray(rows)
        return replace(
            self,
            data=packed.reshape(-1).view(np.uint8),
            width=right - left,
            height=bottom - top,
            step=packed.nbytes // len(packed),
            shared=None,
            memory=None,
        )

    def to_bgr(self) -> Pixels:
        """Return uint8 (height, width, 3) in BGR order; a view of bgr8, else a new array."""
        pixels, order = self.pixels()
        to_bgr: dict[str, Callable[[Pixels], Any]] = {
            'bgr': lambda array: array,
            'rgb': lambda array: cv2.cvtColor(array, cv2.COLOR_RGB2BGR),
            'gray': lambda array: cv2.cvtColor(array, cv2.COLOR_GRAY2BGR),
        }
        return np.asarray(to_bgr[order](pixels), np.uint8)

    def _stored_rows(self, layout: Encoding) -> int:
        """Return the number of rows of :attr:`step` bytes in the data."""
        return self.height * 3 // 2 if layout.planes_420 else self.height

    def _stored(self, layout: Encoding) -> npt.NDArray[Any]:
        """Return the bytes as rows, pixels and channels: a view without the padding."""
        dtype = np.dtype(layout.dtype).newbyteorder('>' if self.is_bigendian else '<')
        pixel_bytes = layout.channels * dtype.itemsize
        shape: tuple[int, ...] = (self._stored_rows(layout), self.width)
        strides: tuple[int, ...] = (self.step, pixel_bytes)
        if layout.channels > 1:
            shape, strides = (*shape, layout.channels), (*strides, dtype.itemsize)
        stored: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=self.data.data, strides=strides)
        return stored

    @staticmethod
    def _to_8_bit(stored: npt.NDArray[Any]) -> Pixels:
        """Return 16-bit values scaled to 8 bits: 65535 becomes 255."""
        native = stored.astype(np.uint16)
        return np.asarray(cv2.convertScaleAbs(native, alpha=1 / 257), np.uint8)
