# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Decode the packets of a video topic, H.264 and others, with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
import re
from typing import Any

from ...errors import BagError, ImageError
from ...image.image import Image

__all__ = ['VideoStream']

# A decoder may hold back as many images as H.264 can reorder.
_LONGEST_DELAY = 17
# Names of the decoders of FFmpeg, by those of codecs and encoders in the messages.
_DECODERS = {
    'h264': 'h264', 'x264': 'h264', 'avc': 'h264',
    'h265': 'hevc', 'x265': 'hevc', 'hevc': 'hevc',
    'av1': 'libdav1d', 'vp9': 'vp9', 'vp8': 'vp8', 'mjpeg': 'mjpeg', 'mpeg4': 'mpeg4',
}  # fmt: skip

Decoded = tuple[int, 'Image | ImageError']


def _load_av() -> Any:
    """
    Import PyAV.

    :raises BagError: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise BagError(
            f'video topics (H.264 and others) need the package av ({error}); install it: '
            'pip install av'
        ) from error
    return av


class VideoStream:
    """
    Decoder of the packets of one topic, each of which holds one image.

    :param max_pixels: limit of width times height.
    :raises BagError: if PyAV is not installed.
    """

    def __init__(self, max_pixels: int) -> None:
        self._av = _load_av()
        self._max_pixels = max_pixels
        self._codec = ''
        self._context: Any = None
        self._waiting: list[int] = []

    def decode(self, number: int, codec: str, data: Any) -> Iterator[Decoded]:
        """
        Decode a packet.

        :param number: of the packet in the topic, ascending.
        :param codec: as in the message, e.g. 'h264', 'h265' or 'hevc;yuv420p;bgr8;bgr8'.
        :param data: the packet.
        :return: the images that are ready, with the numbers of their packets, or the reason why a
            packet has none. A packet is answered 17 packets later at the latest.
        """
        try:
            decoder = _find_decoder(codec)
        except ImageError as error:
            yield number, error
            return
        if decoder != self._codec:
            yield from self.flush()
            self._context = self._av.CodecContext.create(decoder, 'r')
            # Threads per frame would hold back further images.
            self._context.thread_type = 'SLICE'
            if decoder == 'libdav1d':
                self._context.flags |= self._av.codec.context.Flags.low_delay
            self._codec = decoder
        self._waiting.append(number)
        packet = self._av.Packet(bytes(data))
        packet.pts = packet.dts = number
        packet.time_base = Fraction(1, 1000)
        try:
            frames = self._context.decode(packet)
        except self._av.error.FFmpegError as error:
            yield self._give_up(number, f'FFmpeg cannot decode the {decoder} packet: {error}')
            return
        for frame in frames:
            yield from self._read(frame)
        while len(self._waiting) > _LONGEST_DELAY:
            yield self._give_up(self._waiting[0], _NO_IMAGE)

    def flush(self) -> Iterator[Decoded]:
        """
        Yield the images that the decoder still holds; then every packet is answered.

        The next packet with an image is the next key frame.
        """
        if self._context is not None:
            try:
                frames = self._context.decode(None)
            except self._av.error.FFmpegError:
                # The packets that are left have no image, which is said below.
                frames = []
            for frame in frames:
                yield from self._read(frame)
            self._context, self._codec = None, ''
        while self._waiting:
            yield self._give_up(self._waiting[0], _NO_IMAGE)

    def _read(self, frame: Any) -> Iterator[Decoded]:
        """Convert a frame to an image."""
        if frame.pts not in self._waiting:
            return
        self._waiting.remove(frame.pts)
        if frame.width * frame.height > self._max_pixels:
            size = f'{frame.width}x{frame.height}'
            yield (
                frame.pts,
                ImageError(
                    f'video is {size}; max_image_pixels is {self._max_pixels}; raise '
                    'max_image_pixels to accept it'
                ),
            )
            return
        yield frame.pts, Image.from_array(frame.to_ndarray(format='bgr24'))

    def _give_up(self, number: int, reason: str) -> Decoded:
        """Answer a packet without an image."""
        self._waiting.remove(number)
        return number, ImageError(reason)


_NO_IMAGE = (
    'the packet gave no image: the key frame before it is missing, or the packet is damaged'
)


def _find_decoder(codec: str) -> str:
    """
    Find the decoder of FFmpeg for a codec or encoder, e.g. 'libx264' or 'h264_nvenc'.

    :raises ImageError: if there is none.
    """
    first = codec.partition(';')[0].strip().lower()
    name = re.sub(r'^lib|rgb$', '', first).partition('_')[0]
    if name not in _DECODERS:
        raise ImageError(
            f'video format is {codec[:80]!r}; expected one of {", ".join(sorted(_DECODERS))}'
        )
    return _DECODERS[name]
