# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a run, and the settings that decide its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import __version__
from ...config import DetectorConfig
from ...errors import BagError
from ...regions.camera_regions import CameraRegions
from ...values.regular_file import open_regular, read_hashed
from ...values.user_path import expand_user
from ..bag.definitions import IMAGE_TYPES, VIDEO_TYPES
from ..bag.reader import BagReader, BagTopic, list_topics
from .video_output import VIDEO_SUFFIXES

__all__ = ['FORMATS', 'Job', 'choose_format', 'name_detection_topics', 'select_topics']

FORMATS = ('bag', 'video', 'coco')

_BAG_SUFFIXES = {'.mcap': 'mcap', '.db3': 'sqlite3'}


@dataclass(frozen=True, slots=True)
class Job:
    """
    Options of a run.

    :param config: parameters of the detector.
    :param bag: to read.
    :param output: to write.
    :param format: one of :data:`FORMATS`.
    :param topics: image topics; empty takes the only one.
    :param copied: topics to copy; empty copies all if copy_all is set, else none.
    :param copy_all: copy every topic.
    :param storage: storage plugin of a new bag; None takes that of the bag.
    :param rate_hz: frames per second of a video; None takes the rate of the images.
    :param overwrite: replace an output that exists.
    """

    config: DetectorConfig
    bag: Path
    output: Path
    format: str
    topics: tuple[str, ...]
    copied: tuple[str, ...]
    copy_all: bool
    storage: str | None
    rate_hz: float | None
    overwrite: bool

    @property
    def single_file(self) -> bool:
        """Return whether a new bag is one storage file."""
        return self.output.suffix.lower() in _BAG_SUFFIXES

    def choose_storage(self, reader: BagReader) -> str:
        """Return the storage plugin of a new bag."""
        named = _BAG_SUFFIXES.get(self.output.suffix.lower())
        return named or self.storage or reader.storage

    def describe(
        self,
        reader: BagReader,
        topics: Sequence[BagTopic],
        regions: Mapping[str, CameraRegions],
    ) -> dict[str, Any]:
        """
        Return everything that decides the results, for the journal.

        :param topics: image topics.
        :param regions: of the image topics that have any.
        :raises OSError: if the model cannot be read.
        """
        with open_regular(expand_user(self.config.model_path)) as file:
            content = read_hashed(file)
        return {
            'package': f'trt_detector {__version__}',
            'bag': [[file.name, file.stat().st_size] for file in reader.files],
            'topics': [[topic.name, topic.type] for topic in topics],
            'model': content.sha256,
            'format': self.format,
            'storage': self.choose_storage(reader),
            'copied topics': sorted(self.find_copied(reader)),
            'rate': self.rate_hz,
            'parameters': asdict(self.config),
            'content of ignore_mask': [
                [topic, *(mask.sha256 for mask in own.masks)] for topic, own in regions.items()
            ],
        }

    def find_copied(self, reader: BagReader) -> set[str]:
        """
        Return the topics to copy.

        :raises BagError: if the bag lacks one.
        """
        there = {topic.name for topic in reader.topics}
        missing = set(self.copied) - there
        if missing:
            raise BagError(
                f'--copy names {", ".join(sorted(missing))}, which --bag {reader.path} lacks; its '
                f'topics: {list_topics(reader.topics)}'
            )
        return there if self.copy_all else set(self.copied)


def choose_format(output: Path, given: str | None) -> str:
    """Return the format of the output: the given one, else the one of its suffix."""
    suffix = output.suffix.lower()
    if given is not None:
        return given
    return 'coco' if suffix == '.json' else 'video' if suffix in VIDEO_SUFFIXES else 'bag'


def select_topics(reader: BagReader, names: Sequence[str]) -> tuple[BagTopic, ...]:
    """
    Select the image topics of a run.

    :param names: of the topics; empty takes the only one.
    :raises BagError: if the bag lacks one, or it has several and none is named.
    """
    found = reader.select_images(names, IMAGE_TYPES | VIDEO_TYPES)
    if not names and len({topic.name for topic in found}) > 1:
        raise BagError(
            f'--bag {reader.path} has several image topics; choose with --topics: '
            f'{list_topics(found)}'
        )
    return found


def name_detection_topics(topics: Sequence[BagTopic], copied: set[str]) -> Mapping[str, str]:
    """
    Name the topic of the detections of each image topic, as the node with several cameras does.

    Cameras that share a namespace get the topic `<image topic>/detections`.

    :raises BagError: if a topic that is copied has this name.
    """
    names = list(dict.fromkeys(topic.name for topic in topics))
    spaces = [name.removesuffix('/compressed').rpartition('/')[0] for name in names]
    result = {
        name: f'{space if spaces.count(space) == 1 else name}/detections'
        for name, space in zip(names, spaces, strict=True)
    }
    taken = sorted(set(result.values()) & copied)
    if taken:
        raise BagError(
            f'{", ".join(taken)} would be copied and written; name the topics to copy without it: '
            '--copy TOPIC ...'
        )
    return result
