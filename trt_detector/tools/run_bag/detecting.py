# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the detector on the images of a bag, in batches that do not depend on the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...image.image import Image
from ...pipeline import Detector, PendingBatch
from ...regions.camera_regions import CameraRegions
from ...values.detections import Detections
from .journal import JournalEntry
from .reading import BagItem, ReadImage
from .record import ImageRecord

__all__ = ['DetectStage', 'FinishedBatch']

# Messages that may wait for a batch to fill; then it runs with fewer images.
_MOST_WAITING = 1000


@dataclass(frozen=True, slots=True, eq=False)
class FinishedBatch:
    """
    Messages whose images have their detections, in the order of the bag.

    :param items: the messages, with the result and the image of each image.
    :param entry: the results, for the journal.
    """

    items: tuple[tuple[BagItem, ImageRecord | None, Image | None], ...]
    entry: JournalEntry


@dataclass(slots=True, eq=False)
class _Batch:
    """
    Messages of a batch.

    :param items: the messages and what was read of their images.
    :param readable: number of images among them that can be read.
    :param pending: handle of the detector; None without a readable image.
    """

    items: list[tuple[BagItem, ReadImage | None]] = field(default_factory=list)
    readable: int = 0
    pending: PendingBatch | None = None

    def list_readable(self) -> list[tuple[str, Image]]:
        """List topic and image of those that can be read."""
        return [
            (item.message.topic, read.image)
            for item, read in self.items
            if read is not None and read.image is not None
        ]


class DetectStage:
    """
    Batches of images on their way through a detector, several in flight.

    Batches are cut by the order of the bag alone, so that a run that continues cuts the same ones.
    Used in the thread of the detector.

    :param detector: runs them.
    :param regions: of the image topics that have any.
    :param emit: called with each batch that is ready, in order.
    """

    def __init__(
        self,
        detector: Detector,
        regions: Mapping[str, CameraRegions],
        emit: Callable[[FinishedBatch], None],
    ) -> None:
        self._detector = detector
        self._regions = regions
        self._emit = emit
        self._size = 1
        self._filling = _Batch()
        self._in_flight: deque[_Batch] = deque()

    def crop(self, topic: str, image: Image) -> Image:
        """Crop an image to the part in which to detect."""
        return self._regions[topic].crop_image(image) if topic in self._regions else image

    def start(self, first_size_wh: tuple[int, int], batch_size: int) -> tuple[int, int]:
        """
        Fix what the first image decides.

        :param first_size_wh: size of the first image, cropped, which chooses an open input size.
        :param batch_size: of the interrupted run; 0 takes the detector's.
        :return: the number of images per batch, and of images that may be in flight.
        """
        if self._detector.input_size_pending:
            width, height = first_size_wh
            self._detector.fit_input_size(Image.from_array(np.zeros((height, width, 3), np.uint8)))
        self._size = batch_size or self._detector.batch_size
        return self._size, self._size * self._detector.get_depth(self._size)

    def add(self, item: BagItem, read: ReadImage | None) -> None:
        """
        Add the next message.

        :param read: its image; None for a message that is only copied.
        :raises EngineError: if the inference fails; DecodeError if its outputs are wrong.
        """
        batch = self._filling
        batch.items.append((item, read))
        batch.readable += read is not None and read.image is not None
        if batch.readable >= self._size or len(batch.items) >= _MOST_WAITING:
            self._submit()

    def finish(self) -> None:
        """Run the images that are left."""
        if self._filling.items:
            self._submit()
        while self._in_flight:
            self._collect()

    def _submit(self) -> None:
        """Start the batch, and finish the oldest one if as many as possible are in flight."""
        batch, self._filling = self._filling, _Batch()
        images = [self.crop(topic, image) for topic, image in batch.list_readable()]
        depth = self._detector.get_depth(self._size)
        if images:
            if 0 < len(self._in_flight) == depth - 1 and self._in_flight[0].pending is not None:
                self._detector.wait(self._in_flight[0].pending)
            batch.pending = self._detector.submit(images)
        self._in_flight.append(batch)
        while len(self._in_flight) >= depth:
            self._collect()

    def _collect(self) -> None:
        """Finish the oldest batch."""
        batch = self._in_flight.popleft()
        found: deque[Detections] = deque()
        if batch.pending is not None:
            found.extend(self._detector.collect(batch.pending).detections)
        items: list[tuple[BagItem, ImageRecord | None, Image | None]] = []
        for item, read in batch.items:
            if read is None:
                items.append((item, None, None))
                continue
            message, image = item.message, read.image
            if image is None:
                record = ImageRecord(message.topic, message.time_ns, read.header, error=read.error)
            else:
                size_wh = (image.width, image.height)
                wanted = self._select(message.topic, found.popleft(), size_wh)
                record = ImageRecord(message.topic, message.time_ns, read.header, size_wh, wanted)
            items.append((item, record, image))
        records = tuple(record for _, record, _ in items if record is not None)
        entry = JournalEntry(batch.items[-1][0].number + 1, records)
        self._emit(FinishedBatch(tuple(items), entry))

    def _select(self, topic: str, found: Detections, size_wh: tuple[int, int]) -> Detections:
        """Map detections into the whole image, and select those that the regions want."""
        if topic not in self._regions:
            return found
        regions = self._regions[topic]
        return regions.select(regions.restore(found, size_wh), size_wh)
