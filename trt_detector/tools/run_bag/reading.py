# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Read the messages of a bag and decode its images, ahead of the inference."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
import queue
import threading
from typing import Any

from ...errors import ImageError
from ...image.image import Image
from ...image.message import read_message
from ...process.usable_cores import count_usable_cores
from ..bag.definitions import COMPRESSED_VIDEO, VIDEO_TYPES
from ..bag.reader import BagMessage, BagReader
from ..bag.video_stream import VideoStream
from .record import ImageHeader

__all__ = ['BagItem', 'ReadImage', 'ReadStage']

# Messages that wait to be copied; the images among them have a limit of their own.
_QUEUE_SIZE = 512
_MAX_DECODERS = 8
# Held behind a video packet whose image is not decoded yet.
_MOST_HELD_IMAGES = 32
_MOST_HELD_MESSAGES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class ReadImage:
    """
    Image of a message, or the reason why there is none.

    :param header: of the image; None if the message cannot be deserialized.
    :param image: None if it is malformed, or was not asked for.
    :param error: the reason.
    """

    header: ImageHeader | None
    image: Image | None = None
    error: str = ''


@dataclass(frozen=True, slots=True, eq=False)
class BagItem:
    """
    Message on its way through the stages.

    :param number: of the message among those that are read, from 0.
    :param message: the message.
    :param image: its image, soon; None if it is only copied.
    :param copied: the message goes into the output as it is.
    """

    number: int
    message: BagMessage
    image: Future[ReadImage] | None
    copied: bool


class ReadStage:
    """
    Thread that reads a bag and gives its images to decoding threads, in order and without a loss.

    :param reader: the bag.
    :param images: topics of the images.
    :param copied: topics of the messages to copy.
    :param max_pixels: limit of width times height.
    :param ahead: images that may be decoded and not released; more are not read.
    :param first_decoded: number of the first message whose image is decoded; those before have
        their detections already, and no one looks at their pixels.
    :raises BagError: if an image topic is a video and PyAV is not installed.
    """

    def __init__(
        self,
        reader: BagReader,
        images: Collection[str],
        copied: Collection[str],
        *,
        max_pixels: int,
        ahead: int,
        first_decoded: int,
    ) -> None:
        self._reader = reader
        self._images = frozenset(images)
        self._copied = frozenset(copied)
        self._max_pixels = max_pixels
        self._first_decoded = first_decoded
        videos = {t.name for t in reader.topics if t.type in VIDEO_TYPES and t.name in images}
        self._streams = {name: VideoStream(max_pixels) for name in videos}
        self._room = threading.Semaphore(ahead + (_MOST_HELD_IMAGES + 1 if videos else 0))
        self._queue: queue.Queue[BagItem | BaseException | None] = queue.Queue(_QUEUE_SIZE)
        self._stop = threading.Event()
        # Video packets whose image is not decoded yet, and everything behind the first of them.
        self._held: deque[BagItem] = deque()
        self._pending: dict[tuple[str, int], Future[ReadImage]] = {}
        self._headers: dict[tuple[str, int], ImageHeader] = {}
        self._decoders = ThreadPoolExecutor(
            min(_MAX_DECODERS, count_usable_cores()), thread_name_prefix='decode'
        )
        self._thread = threading.Thread(target=self._run, name='read bag', daemon=True)
        self._thread.start()

    def items(self) -> Iterator[BagItem]:
        """
        Yield the messages in the order of the bag.

        :raises BagError: if the bag is damaged.
        """
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def release(self, count: int = 1) -> None:
        """
        Let further images be read; any thread may call it.

        Call it for each image: when it is written, or at once if it has no pixels.
        """
        self._room.release(count)

    def close(self) -> None:
        """Stop the threads; the rest of the bag is not read."""
        self._stop.set()
        self._room.release()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()
        self._decoders.shutdown(cancel_futures=True)

    def _run(self) -> None:
        """Thread main loop."""
        try:
            topics = self._images | self._copied
            for number, message in enumerate(self._reader.read(topics)):
                self._forward(number, message)
                if self._stop.is_set():
                    return
            for topic in self._streams:
                self._drain(topic)
            self._put_settled()
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 raised again in the thread that consumes
            self._queue.put(error)

    def _forward(self, number: int, message: BagMessage) -> None:
        """Start to decode a message and queue it, behind those that came before."""
        image: Future[ReadImage] | None = None
        if message.topic in self._images:
            self._room.acquire()
            if self._stop.is_set():
                return
            if message.type in VIDEO_TYPES:
                image = Future()
                self._feed(number, message, image)
            elif number < self._first_decoded:
                image = Future()
                image.set_result(ReadImage(None))
            else:
                image = self._decoders.submit(self._decode, message)
        self._held.append(BagItem(number, message, image, message.topic in self._copied))
        self._put_settled()
        while (
            len(self._held) > _MOST_HELD_MESSAGES
            or sum(item.image is not None for item in self._held) > _MOST_HELD_IMAGES
        ):
            # The decoder waits for a packet that does not come, e.g. because its camera ended.
            self._drain(self._held[0].message.topic)
            self._put_settled()

    def _put_settled(self) -> None:
        """Queue the messages up to the first video packet that waits for its image."""
        while self._held:
            item = self._held[0]
            waits = (item.message.topic, item.number) in self._pending
            if waits:
                return
            self._queue.put(self._held.popleft())

    def _decode(self, message: BagMessage) -> ReadImage:
        """Decode one whole image; never raises an ImageError."""
        header = None
        try:
            value = self._reader.deserialize(message)
            header = ImageHeader.from_message(value)
            return ReadImage(header, read_message(value, max_pixels=self._max_pixels))
        except ImageError as error:
            return ReadImage(header, error=str(error))

    def _feed(self, number: int, message: BagMessage, image: Future[ReadImage]) -> None:
        """Decode a packet of a video; its image may come with a later packet."""
        try:
            value: Any = self._reader.deserialize(message)
            header = ImageHeader.from_message(value)
        except ImageError as error:
            image.set_result(ReadImage(None, error=str(error)))
            return
        key = (message.topic, number)
        self._pending[key], self._headers[key] = image, header
        codec = value.format if message.type == COMPRESSED_VIDEO else value.encoding
        stream = self._streams[message.topic]
        for index, found in stream.decode(number, codec, value.data):
            self._settle(message.topic, index, found)

    def _drain(self, topic: str) -> None:
        """Take from a decoder what it holds."""
        for index, found in self._streams[topic].flush():
            self._settle(topic, index, found)

    def _settle(self, topic: str, number: int, found: Image | ImageError) -> None:
        """Answer a packet of a video."""
        key = (topic, number)
        header, image = self._headers.pop(key), self._pending.pop(key)
        if isinstance(found, ImageError):
            image.set_result(ReadImage(header, error=str(found)))
        else:
            image.set_result(ReadImage(header, found))
