# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Regions and trackers of the image topics of a bag, as the node has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
import sys

from ...config import DetectorConfig
from ...decode import DecodeOptions
from ...regions.assign import assign_regions
from ...regions.camera_regions import CameraRegions
from ...tracking.camera_tracks import CameraTracks
from .record import ImageRecord

__all__ = ['RecordTracks', 'find_regions']

_COMPRESSED = '/compressed'


def find_regions(config: DetectorConfig, topics: Sequence[str]) -> Mapping[str, CameraRegions]:
    """
    Assign the regions, masks and sizes to the image topics of a bag.

    :param topics: regions name them as here, or as image_topics of the node may.
    :return: by topic; empty without any.
    :raises ConfigError: if a camera is unknown, or a mask cannot be read.
    """
    names = list(dict.fromkeys(topics))
    found = assign_regions(config, [_list_names(name) for name in names])
    return {} if found is None else dict(zip(names, found, strict=True))


def _list_names(topic: str) -> tuple[str, ...]:
    """List the names of a topic: with or without its leading slash and '/compressed'."""
    plain = topic.removesuffix(_COMPRESSED)
    return topic, plain, topic.lstrip('/'), plain.lstrip('/')


class RecordTracks:
    """
    Trackers of the image topics of a bag, one per topic.

    They see each image once, in the order of the bag, those of an interrupted run included, so
    that ids do not depend on interruptions.

    :param config: parameters of the tracker.
    :param options: selection of the detections to write.
    :param topics: image topics.
    :ivar options: selection of the detections to decode.
    :raises ConfigError: if the tracker cannot be used.
    """

    def __init__(
        self, config: DetectorConfig, options: DecodeOptions, topics: Sequence[str]
    ) -> None:
        names = list(dict.fromkeys(topics))
        self._numbers = {name: number for number, name in enumerate(names)}
        self._tracks: CameraTracks | None = None
        self.options = options
        if config.tracker != 'none':
            self._tracks = CameraTracks(names, _warn, _warn)
            self.options = self._tracks.set_options(config, options)

    def update(self, record: ImageRecord) -> ImageRecord:
        """Track the detections of the next image; return those to write."""
        if self._tracks is None or record.detections is None:
            return record
        stamp_s = record.stamp_ns / 1e9
        number = self._numbers[record.topic]
        found = self._tracks.update(number, record.detections, stamp_s, record.size_wh)
        return replace(record, detections=found)


def _warn(text: str) -> None:
    """Print a warning."""
    print(f'run_bag: {text}', file=sys.stderr)
