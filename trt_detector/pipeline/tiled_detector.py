# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detector that shows the network an image as a whole and in tiles."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
import itertools
import time
from typing import Any

from ..decode import DecodeOptions
from ..engine import BatchSlot
from ..image.image import Image
from ..preprocess import Letterbox
from ..tiling.grid import Box, TileGrid
from ..tiling.merge import merge_parts, PartDetections
from ..values.batch_result import BatchResult, StageTimes
from ..values.detections import Detections
from ..values.engine_info import EngineInfo
from .batch_runner import PendingBatch
from .detector import Detector

__all__ = ['TiledDetector']

# Number of the image in its batch, and the part of it.
_Part = tuple[int, Box]


@dataclass(slots=True, eq=False)
class _TiledBatch:
    """
    Batch of images on its way through the network.

    :param images: converted for the preprocessor.
    :param options: selection of the detections to report.
    :param begun_s: time.perf_counter() when it was submitted.
    :param convert_ms: time that the conversion took.
    :param waiting: parts of the runs that have not started.
    :param started: runs in progress with their parts.
    :param found: detections in the parts of each image that are finished.
    :param results: results of the finished runs.
    """

    images: tuple[Image, ...]
    options: DecodeOptions
    begun_s: float
    convert_ms: float
    waiting: deque[tuple[_Part, ...]]
    started: deque[tuple[PendingBatch, tuple[_Part, ...]]] = field(default_factory=deque)
    found: list[list[PartDetections]] = field(default_factory=list)
    results: list[BatchResult] = field(default_factory=list)


class TiledDetector(Detector):
    """
    Detector that also detects in overlapping tiles of each image.

    The parts of a batch of images fill as few runs of the engine as its batch size allows, and
    several runs are in progress at once if the engine can.

    :param arguments: as for :class:`.detector.Detector`.
    :param grid: number and overlap of the tiles.
    :param options: as for :class:`.detector.Detector`.
    """

    def __init__(self, *arguments: Any, grid: TileGrid, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._grid = grid
        self._batches: dict[PendingBatch, _TiledBatch] = {}
        self._images_run: set[int] = set()
        self._last_tiles = 'no image yet'

    @property
    def info(self) -> EngineInfo:
        """Return the description of what runs, with the tiles of the newest image."""
        info = super().info
        return replace(info, entries=(*info.entries, ('tiles', self._last_tiles)))

    @property
    def batch_size(self) -> int:
        """Return the number of images whose parts fit into one run; 1 if not even one does."""
        return max(1, self.run_size // self._grid.max_parts)

    def count_inputs(self, size_wh: tuple[int, int]) -> int:
        """Return the number of parts of an image of a size, itself among them."""
        return len(self._grid.find_parts(size_wh, self.input_size[::-1]))

    def get_depth(self, batch_size: int) -> int:
        """Return the number of batches that may be in flight: 1 if they need several runs."""
        parts = batch_size * self._grid.max_parts
        return self._runner.get_depth(parts) if parts <= self.run_size else 1

    def has_run(self, count: int) -> bool:
        """Tell whether a batch of count images has run at the present input size."""
        return count in self._images_run

    def fit_input_size(self, image: Image) -> None:
        """Choose the input size for an image anew, see :class:`.detector.Detector`."""
        self._images_run.clear()
        super().fit_input_size(image)

    def submit(self, images: Sequence[Image]) -> PendingBatch:
        """
        Start the first runs of a batch.

        :param images: 1 to :attr:`batch_size`; they must stay unchanged until the batch is
            collected.
        :return: for :meth:`collect`, in the order of submission.
        :raises ValueError: if there are more or fewer.
        :raises EngineError: if :attr:`depth` batches are in flight, or the engine refuses.
        """
        self._check_images(images)
        begun_s = time.perf_counter()
        input_wh = self.input_size[::-1]
        converted = tuple(self._runner.preprocessor.convert(image) for image in images)
        parts = [
            (number, box)
            for number, image in enumerate(images)
            for box in self._grid.find_parts((image.width, image.height), input_wh)
        ]
        size = self.run_size
        runs = [tuple(parts[first : first + size]) for first in range(0, len(parts), size)]
        self._last_tiles = _describe([box for number, box in parts if number == 0], len(runs))
        convert_ms = (time.perf_counter() - begun_s) * 1e3
        batch = _TiledBatch(converted, self.options, begun_s, convert_ms, deque(runs))
        batch.found.extend([] for _ in images)
        self._start_runs(batch)
        handle = batch.started[0][0]
        self._batches[handle] = batch
        return handle

    def collect(self, pending: PendingBatch) -> BatchResult:
        """
        Run what is left of a batch, and merge the detections in the parts of each image.

        :raises EngineError: if the inference fails; there are no detections of the images then.
        :raises DecodeError: if the outputs contradict the head; no detections either.
        """
        batch = self._batches.pop(pending)
        try:
            while batch.started:
                run, parts = batch.started.popleft()
                result = self._runner.collect(run)
                batch.results.append(result)
                rows = zip(parts, run.letterboxes, result.detections, strict=True)
                for (number, box), letterbox, found in rows:
                    part = PartDetections(box, found, _find_scale(letterbox))
                    batch.found[number].append(part)
                self._start_runs(batch)
        finally:
            self._discard(batch)
        merged_s = time.perf_counter()
        detections = tuple(map(partial(_merge, batch.options), batch.images, batch.found))
        self._images_run.add(len(batch.images))
        now_s = time.perf_counter()
        return BatchResult(
            detections,
            _sum_times(batch, (now_s - merged_s) * 1e3, (now_s - batch.begun_s) * 1e3),
            _sum_device_times(batch),
        )

    def _start_runs(self, batch: _TiledBatch) -> None:
        """
        Start as many runs of a batch as the engine takes at once.

        :raises EngineError: if one cannot start; none of the batch runs then.
        """
        try:
            while batch.waiting:
                parts = batch.waiting[0]
                if len(batch.started) >= self._runner.get_depth(len(parts)):
                    break
                fill = partial(self._fill_parts, batch.images, parts)
                run = self._runner.start(len(parts), fill, batch.options)
                batch.started.append((run, batch.waiting.popleft()))
        except BaseException:
            self._discard(batch)
            raise

    def _discard(self, batch: _TiledBatch) -> None:
        """Release the slots of the runs in progress."""
        while batch.started:
            run, _ = batch.started.popleft()
            self._runner.slots.release_failed(run.slot)

    def _fill_parts(
        self, images: Sequence[Image], parts: Sequence[_Part], slot: BatchSlot
    ) -> tuple[Letterbox, ...]:
        """Write parts of images into a slot, those of one image together."""
        letterboxes: list[Letterbox] = []
        targets = iter(slot.targets(len(parts)))
        for number, group in itertools.groupby(parts, key=lambda part: part[0]):
            boxes = [box for _, box in group]
            letterboxes += self._runner.preprocessor.fill_parts(
                images[number], boxes, list(itertools.islice(targets, len(boxes)))
            )
        return tuple(letterboxes)


def _find_scale(letterbox: Letterbox) -> tuple[float, float]:
    """Find the pixels of the image per pixel of the network's input."""
    width, height = letterbox.source_size
    shown_width, shown_height = letterbox.resized_size
    return width / shown_width, height / shown_height


def _merge(options: DecodeOptions, image: Image, parts: Sequence[PartDetections]) -> Detections:
    """Merge the detections in the parts of an image."""
    if len(parts) == 1:
        return parts[0].detections
    return merge_parts(
        parts,
        (image.width, image.height),
        iou_threshold=options.iou_threshold,
        class_agnostic=options.class_agnostic,
        max_detections=options.max_detections,
    )


def _sum_times(batch: _TiledBatch, merge_ms: float, total_ms: float) -> StageTimes:
    """Sum the stage times of all runs; what is left of the total time is inference."""
    times = [result.times for result in batch.results]
    preprocess_ms = batch.convert_ms + sum(time.preprocess_ms for time in times)
    decode_ms = merge_ms + sum(time.decode_ms for time in times)
    return StageTimes(preprocess_ms, max(total_ms - preprocess_ms - decode_ms, 0.0), decode_ms)


def _sum_device_times(batch: _TiledBatch) -> dict[str, float]:
    """Sum the times of the device in all runs."""
    stages = {stage for result in batch.results for stage in result.device_ms}
    return {
        stage: sum(result.device_ms.get(stage, 0.0) for result in batch.results)
        for stage in sorted(stages)
    }


def _describe(boxes: Sequence[Box], runs: int) -> str:
    """
    Describe the parts of an image.

    :param boxes: of the whole image and of the tiles.
    :param runs: number of runs of the engine.
    """
    tiles = boxes[1:]
    if not tiles:
        return 'the whole image only: it is shown nearly at full size'
    columns, rows = len({left for left, *_ in tiles}), len({top for _, top, *_ in tiles})
    left, top, right, bottom = tiles[0]
    return (
        f'{columns}x{rows} of {right - left}x{bottom - top} pixels and the whole image: '
        f'{len(boxes)} network inputs per image, {runs} run{"s" if runs > 1 else ""}'
    )
