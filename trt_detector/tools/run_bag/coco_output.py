# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Write detections as COCO annotations."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
import shutil
from typing import Any, IO

from ...image.image import Image
from ...values.detections import Detections
from ..bag.reader import BagMessage
from .record import ImageRecord

__all__ = ['CocoOutput']


class CocoOutput:
    """
    File in COCO's format: images, annotations with a score, categories.

    Category ids are the class ids of the model. Images and annotations are streamed to two files,
    which are joined in the end, so that the memory does not grow with the bag.

    :param path: file to create.
    :param bag: name of the bag, for the info.
    :param class_names: categories.
    """

    needs_pixels = False

    def __init__(self, path: Path, bag: str, class_names: Sequence[str]) -> None:
        self._path = path
        self._bag = bag
        self._class_names = class_names
        self._images = 0
        self._annotations = 0
        self._files: list[IO[str]] = []

    def open(self) -> None:
        """Create the two files."""
        self._files = [
            self._part(name).open('w', encoding='utf-8') for name in ('images', 'annotations')
        ]

    def write(self, record: ImageRecord, image: Image | None) -> None:  # noqa: ARG002
        """Write an image and its annotations."""
        if record.header is None or record.detections is None:
            return
        self._images += 1
        header = record.header
        folder = record.topic.strip('/').replace('/', '_')
        entry = {
            'id': self._images,
            'file_name': f'{folder}/{record.time_ns}.png',
            'width': record.size_wh[0],
            'height': record.size_wh[1],
            'topic': record.topic,
            'bag_time_ns': record.time_ns,
            'stamp': {'sec': header.sec, 'nanosec': header.nanosec},
            'frame_id': header.frame_id,
        }
        self._append(0, entry, first=self._images == 1)
        for row in range(len(record.detections)):
            self._annotations += 1
            annotation = {'id': self._annotations, 'image_id': self._images}
            annotation |= _annotate(record.detections, row)
            self._append(1, annotation, first=self._annotations == 1)

    def copy(self, message: BagMessage) -> None:
        """Do nothing: the file has no messages."""

    def finish(self) -> Path:
        """Join the parts."""
        self.abort()
        info = {'description': f'Detections of trt_detector in {self._bag}'}
        # A class that class_map merged into another one has no name.
        categories = [{'id': n, 'name': name} for n, name in enumerate(self._class_names) if name]
        with self._path.open('w', encoding='utf-8') as file:
            file.write(f'{{\n"info": {json.dumps(info)},\n')
            file.write(f'"categories": {json.dumps(categories)}')
            for name in ('images', 'annotations'):
                file.write(f',\n"{name}": [\n')
                with self._part(name).open(encoding='utf-8') as part:
                    shutil.copyfileobj(part, file)
                file.write('\n]')
            file.write('\n}\n')
        return self._path

    def abort(self) -> None:
        """Close the parts."""
        for file in self._files:
            file.close()

    def _part(self, name: str) -> Path:
        """Return the file of a part."""
        return self._path.with_name(f'{self._path.name}.{name}')

    def _append(self, part: int, value: Any, *, first: bool) -> None:
        """Append an entry of a list."""
        self._files[part].write(('' if first else ',\n') + json.dumps(value))


def _annotate(found: Detections, row: int) -> dict[str, Any]:
    """Return class, score and box of a detection; a rotated one gets its corners, too."""
    left, top, right, bottom = found.boxes_xyxy[row].tolist()
    values: dict[str, Any] = {
        'category_id': int(found.class_ids[row]),
        'score': float(found.scores[row]),
        'iscrowd': 0,
        'area': (right - left) * (bottom - top),
    }
    if found.angles is not None:
        corners = found.find_corners(row)
        values['segmentation'] = [[value for corner in corners for value in corner]]
        (left, right), (top, bottom) = ((min(v), max(v)) for v in zip(*corners, strict=True))
    if found.track_ids is not None and found.track_ids[row]:
        values['track_id'] = int(found.track_ids[row])
    values['bbox'] = [left, top, right - left, bottom - top]
    return values
