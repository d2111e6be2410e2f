# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding of JPEG images on the device with nvImageCodec, if it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import logging
import math
from typing import Any

from ...image.image import Image

__all__ = ['DecodedJpeg', 'JpegDecoder']

_LOG = logging.getLogger(__name__)

# nvImageCodec decodes to RGB or gray. OpenCV decodes to BGR, which is what an encoding of bgr8
# says; one of rgb8 says that the camera swapped the channels.
_DECODED_ENCODINGS = {'bgr8': 'rgb8', 'rgb8': 'bgr8', 'mono8': 'mono8'}


@dataclass(frozen=True, slots=True, eq=False)
class DecodedJpeg:
    """
    Decoded image in device memory.

    :param address: address of the first row.
    :param step: bytes from one row to the next.
    :param encoding: one of :data:`..kernels.letterbox.KERNEL_ENCODINGS`.
    :param owner: keeps the memory.
    """

    address: int
    step: int
    encoding: str
    owner: Any


class JpegDecoder:
    """
    Decoder of JPEG images on one device.

    nvImageCodec is imported and started with the first image. If that fails, all images are
    decoded on the CPU. It belongs to the engine's thread.

    :param device_id: index of the GPU.
    """

    def __init__(self, device_id: int) -> None:
        self._device_id = device_id
        self._codec: Any = None
        self._decoder: Any = None
        self._is_usable = True

    def accepts(self, image: Image) -> bool:
        """
        Tell whether to decode an image on the device.

        Images of several detectors are decoded on the CPU, once for all of them.
        """
        return (
            image.decoded is not None
            and image.shared is None
            and image.encoding in _DECODED_ENCODINGS
            and self._start()
        )

    def decode(self, images: Sequence[Image], stream: Any) -> list[DecodedJpeg | None]:
        """
        Decode images together; work that is queued in the stream afterward finds their pixels.

        :param images: those that :meth:`accepts` accepted.
        :return: None for each that the device cannot decode.
        """
        found: dict[int, DecodedJpeg | None] = {}
        try:
            for gray in (False, True):
                chosen = [image for image in images if (image.encoding == 'mono8') is gray]
                owners = self._decode(chosen, stream, gray=gray) if chosen else []
                for image, owner in zip(chosen, owners, strict=True):
                    found[id(image)] = _describe(image, owner)
        except RuntimeError as error:
            self._is_usable = False
            # The text: a log that keeps the error would keep the stream through its traceback.
            text = f'nvImageCodec failed: {error}'
            _LOG.warning('JPEG images are now decoded on the CPU: %s', text)
        return [found.get(id(image)) for image in images]

    def _decode(self, images: Sequence[Image], stream: Any, *, gray: bool) -> list[Any]:
        """Decode images of one kind; None for each that cannot be decoded."""
        codec = self._codec
        params = codec.DecodeParams(
            apply_exif_orientation=False,
            color_spec=codec.ColorSpec.GRAY if gray else codec.ColorSpec.SRGB,
        )
        files = [codec.CodeStream(image.data) for image in images]
        decoded: list[Any] = self._decoder.decode(files, params=params, cuda_stream=stream.handle)
        return decoded

    def _start(self) -> bool:
        """Start the decoder with the first image; tell whether it runs."""
        if self._decoder is not None or not self._is_usable:
            return self._is_usable
        self._is_usable = False
        try:
            import nvidia.nvimgcodec as nvimgcodec
        except (ImportError, OSError) as error:
            _LOG.info('JPEG images are decoded on the CPU: no nvImageCodec (%s)', error)
            return False
        kinds = nvimgcodec.BackendKind
        try:
            # Without CPU_ONLY: what the device cannot decode is left to OpenCV.
            self._decoder = nvimgcodec.Decoder(
                device_id=self._device_id,
                backends=[
                    nvimgcodec.Backend(kind)
                    for kind in (kinds.HW_GPU_ONLY, kinds.GPU_ONLY, kinds.HYBRID_CPU_GPU)
                ],
            )
        except Exception as error:  # noqa: BLE001 logged; the CPU decodes
            _LOG.warning('JPEG images are decoded on the CPU: nvImageCodec failed: %s', error)
            return False
        self._codec, self._is_usable = nvimgcodec, True
        _LOG.info('JPEG images are decoded on the GPU by nvImageCodec %s', nvimgcodec.__version__)
        return True


def _describe(image: Image, owner: Any) -> DecodedJpeg | None:
    """Describe a decoded image; None if it is none, or not what its header says."""
    if owner is None:
        return None
    interface = owner.__cuda_array_interface__
    channels = 1 if image.encoding == 'mono8' else 3
    shape = tuple(interface['shape'])
    if shape[:2] != (image.height, image.width) or math.prod(shape[2:]) != channels:
        return None
    strides = interface['strides']
    step = image.width * channels if strides is None else strides[0]
    encoding = _DECODED_ENCODINGS[image.encoding]
    return DecodedJpeg(interface['data'][0], step, encoding, owner)
