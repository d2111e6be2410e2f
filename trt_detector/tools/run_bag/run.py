# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Run the stages: read, decode, detect and write at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
import sys
from typing import Any

from ...errors import BagError
from ...factory import create_detector, decode_options
from ...pipeline import Detector
from ...regions.camera_regions import CameraRegions
from ...values.progress import Progress, ProgressCallback
from ..bag.reader import BagReader, BagTopic
from ..command_line import print_detector, print_warnings
from .bag_output import BagOutput
from .cameras import find_regions, RecordTracks
from .coco_output import CocoOutput
from .detecting import DetectStage, FinishedBatch
from .job import Job, name_detection_topics, select_topics
from .journal import Journal
from .output import Output
from .reading import BagItem, ReadStage
from .summary import Summary
from .video_output import VideoOutput
from .work_folder import WorkFolder
from .writing import WriteStage

__all__ = ['run_job']

# Images per batch if batch_size is 0; the warm-up measures whether that many or one are used.
_BATCH_SIZE = 8
# Decoded images beside those of a batch.
_AHEAD = 4
_DEFAULT_RATE_HZ = 10.0
# Rates that players know; the times of a bag can be anything.
_SLOWEST_HZ, _FASTEST_HZ = 1.0, 120.0
_DAMAGED = 'the images of the bag are not those of the interrupted run'


@dataclass(frozen=True, slots=True, eq=False)
class _Cameras:
    """Regions by image topic, and the trackers."""

    regions: Mapping[str, CameraRegions]
    tracks: RecordTracks


@dataclass(frozen=True, slots=True, eq=False)
class _Stages:
    """The stages of a run."""

    reading: ReadStage
    detecting: DetectStage
    writing: WriteStage
    journal: Journal
    summary: Summary


def run_job(
    job: Job, logged: Sequence[str], on_progress: ProgressCallback
) -> tuple[Summary, dict[str, Any]]:
    """
    Detect in every image of a bag and write the output.

    :param logged: warnings that the log has printed so far.
    :param on_progress: called after each batch.
    :return: the counts, and the report.
    :raises DetectorError: if the bag, the model or the output cannot be used.
    :raises OSError: if a file cannot be read or written.
    """
    with ExitStack() as undo:
        reader = BagReader(job.bag)
        undo.callback(reader.close)
        topics = select_topics(reader, job.topics)
        if job.format == 'video' and len(topics) > 1:
            raise BagError('a video shows one camera; name one topic per run with --topics')
        names = name_detection_topics(topics, job.find_copied(reader))
        regions = find_regions(job.config, [topic.name for topic in topics])
        settings = job.describe(reader, topics, regions)
        work = WorkFolder(job.output, job.bag, overwrite=job.overwrite, settings=settings)
        undo.callback(work.close)
        journal = work.journal
        if journal.images:
            print(f'run_bag: continuing after {journal.images} images', file=sys.stderr)
        detector = _open_detector(job, journal)
        undo.callback(detector.close)
        printed = print_detector('run_bag', detector, logged)
        summary = Summary(topics, reader.duration_s)
        options = decode_options(job.config, detector.class_names)
        tracks = RecordTracks(job.config, options, [topic.name for topic in topics])
        detector.options = tracks.options
        output = _make_output(job, reader, work, names, topics, detector, regions)
        cameras = _Cameras(regions, tracks)
        read = _run(job, reader, topics, detector, cameras, work, output, summary, on_progress)
        print_warnings('run_bag', detector, (*printed, *logged))
        info = detector.info
        report = {
            'bag': str(job.bag),
            'output': str(job.output),
            'format': job.format,
            'model': detector.model_name,
            'backend': info.backend,
            'precision': info.precision,
            **journal.engine,
            **summary.to_json(read),
        }
        if job.format == 'bag':
            report['detection_topics'] = dict(names)
    return summary, report


def _open_detector(job: Job, journal: Journal) -> Detector:
    """Open the detector, with the batch size of an interrupted run."""
    config = job.config
    batch_size = int(journal.engine.get('batch_size', 0))
    if batch_size > 1 and config.tile_grid is None:
        config = config.with_changes(batch_size=batch_size)
    return create_detector(config, default_batch_size=_BATCH_SIZE)


def _count_ahead(job: Job, detector: Detector) -> int:
    """Count the images to read ahead; the batches of an engine with tiles hold few images."""
    tiled = job.config.tile_grid is not None
    return (detector.batch_size if tiled else detector.engine.get_batch_size()) + _AHEAD


def _make_output(
    job: Job,
    reader: BagReader,
    work: WorkFolder,
    names: Any,
    topics: Sequence[BagTopic],
    detector: Detector,
    regions: Mapping[str, CameraRegions],
) -> Output:
    """Make the output of the chosen format, in the work folder."""
    path = work.path / job.output.name
    if job.format == 'coco':
        return CocoOutput(path, job.bag.name, detector.class_names)
    if job.format == 'video':
        found_hz = reader.find_rate_hz(topics[0].name) or _DEFAULT_RATE_HZ
        rate_hz = job.rate_hz or min(max(found_hz, _SLOWEST_HZ), _FASTEST_HZ)
        return VideoOutput(path, rate_hz, detector.class_names, regions.get(topics[0].name))
    copied = job.find_copied(reader)
    by_index = job.config.class_id_format == 'index'
    return BagOutput(
        path.with_suffix('') if job.single_file else path,
        job.choose_storage(reader),
        single_file=job.single_file,
        topics=names,
        copied=[c for c in reader.connections if c.topic in copied],
        class_ids=() if by_index else detector.class_names,
    )


def _run(
    job: Job,
    reader: BagReader,
    topics: Sequence[BagTopic],
    detector: Detector,
    cameras: _Cameras,
    work: WorkFolder,
    output: Output,
    summary: Summary,
    on_progress: ProgressCallback,
) -> int:
    """Run the stages to the end, publish the output, and return the number of images read."""
    journal = work.journal
    copied = job.find_copied(reader) if job.format == 'bag' else set()
    with ExitStack() as undo:
        reading = ReadStage(
            reader,
            {topic.name for topic in topics},
            copied,
            max_pixels=job.config.max_image_pixels,
            ahead=_count_ahead(job, detector),
            first_decoded=0 if output.needs_pixels else journal.end,
        )
        undo.callback(reading.close)
        writing = WriteStage(output, journal, summary, cameras.tracks, reading.release)
        undo.callback(writing.close)

        def emit(batch: FinishedBatch) -> None:
            writing.put(batch)
            on_progress(_progress(summary))

        detecting = DetectStage(detector, cameras.regions, emit)
        stages = _Stages(reading, detecting, writing, journal, summary)
        items = reading.items()
        read = _replay(stages, items, lambda: on_progress(_progress(summary)))
        read += _detect(stages, items)
        result = writing.finish()
        on_progress(_progress(summary))
        if read != summary.done:
            raise BagError(
                f'{read} images were read, but {summary.written} written and {summary.malformed} '
                'are malformed; this is a defect of run_bag, please report it'
            )
        work.publish(result)
    return read


def _replay(stages: _Stages, items: Iterator[BagItem], on_progress: Callable[[], None]) -> int:
    """
    Write the results that the interrupted run left; return their number.

    :raises BagError: if the bag has other images.
    """
    read = begin = 0
    for entry in stages.journal.replay():
        results = iter(entry.records)
        batch: list[Any] = []
        for number in range(begin, entry.end):
            item = next(items, None)
            if item is None or item.number != number:
                raise BagError(_DAMAGED)
            if item.image is None:
                batch.append((item, None, None))
                continue
            record = next(results, None)
            key = (item.message.topic, item.message.time_ns)
            if record is None or (record.topic, record.time_ns) != key:
                raise BagError(_DAMAGED)
            read += 1
            image = item.image.result().image
            if image is None:
                stages.reading.release()
            batch.append((item, record, image))
        begin = entry.end
        stages.writing.put(FinishedBatch(tuple(batch), entry), replayed=True)
        on_progress()
    return read


def _detect(stages: _Stages, items: Iterator[BagItem]) -> int:
    """Detect in the images that are left; return their number."""
    read = 0
    started = False
    for item in items:
        result = None if item.image is None else item.image.result()
        if result is not None:
            read += 1
            if result.image is None:
                # It takes no memory while it waits for its batch.
                stages.reading.release()
            elif not started:
                started = True
                part = stages.detecting.crop(item.message.topic, result.image)
                first = (part.width, part.height)
                _start(stages, first)
        stages.detecting.add(item, result)
    stages.detecting.finish()
    return read


def _start(stages: _Stages, first_size_wh: tuple[int, int]) -> None:
    """Let the first readable image of the bag decide what it decides, once per output."""
    engine = stages.journal.engine
    size_wh = tuple(engine.get('first_image', first_size_wh))
    width, height = size_wh
    batch_size, in_flight = stages.detecting.start(
        (width, height), int(engine.get('batch_size', 0))
    )
    stages.reading.release(in_flight)
    stages.journal.set_engine({'first_image': [width, height], 'batch_size': batch_size})


def _progress(summary: Summary) -> Progress:
    """Describe the progress for the bar."""
    phase = f'{summary.done} of {summary.declared} images, {summary.rate_hz:.0f} per second'
    if summary.real_time_factor > 0:
        phase += f', {summary.real_time_factor:.1f} x real time'
    fraction = min(1.0, summary.done / max(summary.declared, 1))
    return Progress(phase, fraction, summary.elapsed_s)
