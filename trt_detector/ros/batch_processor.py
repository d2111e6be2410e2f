# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Process batches of queued images: read, infer, publish, count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
import re
import time
import traceback

from rclpy.node import Node

from ..demand import ImageGate, RequestAnswer
from ..errors import DetectorError, EngineError, ImageError
from ..image.compressed import MAX_IMAGE_PIXELS
from ..image.image import Image
from ..image.message import read_stamp_ns
from ..pipeline import Detector, PendingBatch
from ..process.tuning import release_memory
from ..regions.camera_regions import CameraRegions
from ..tracking.camera_tracks import CameraTracks
from ..values.batch_result import BatchResult
from ..values.detections import Detections
from ..values.recent_peak import RecentPeak
from .camera_publisher import CameraPublisher
from .image_queue import QueuedImage
from .messages import read_image
from .monitoring.degradation import DegradationWatch
from .monitoring.statistics import SessionStatistics
from .overlays.annotations import AnnotationPublisher
from .overlays.debug_images import DebugImages
from .recovery.inference_watch import InferenceWatch
from .topics import CameraTopics

__all__ = ['BatchInProgress', 'BatchProcessor']

_WARNING_PERIOD_S = 5.0
# Reasons per camera that are logged within this time: a reason can quote arbitrary bytes.
_MAX_REASONS = 5


@dataclass(frozen=True, slots=True, eq=False)
class BatchInProgress:
    """
    Batch between :meth:`BatchProcessor.begin` and :meth:`BatchProcessor.end`.

    :param images: each with the queued image that holds its message.
    :param pending: handle for :meth:`Detector.collect`; None if the detector refused the batch,
        and each image is to be tried alone.
    :param taken_ns: time.monotonic_ns() when the images left the queue.
    :param read_ms: time to read the messages.
    :param regions: regions of every camera when the batch was submitted; None without any.
    """

    images: tuple[tuple[QueuedImage, Image], ...]
    pending: PendingBatch | None
    taken_ns: int
    read_ms: float
    regions: Sequence[CameraRegions] | None


class BatchProcessor:
    """
    Turns batches of queued images into published detections.

    One bad image never affects another: each has its own try, and statistics, diagnostics and
    debug images come after the detections. Used by the inference thread only, except for the
    attributes, which any thread may replace.

    :param node: logs, and gives the time.
    :param cameras: topics of each camera, by index.
    :param statistics: counts the images and times the stages.
    :param on_error: called with a sentence about each error, for the diagnostics.
    :param max_pixels: limit of width times height of an image.
    :param watch: is told the start and the outcome of each inference.
    :param degradation: compares the stage times with their baseline; None if nothing does.
    """

    def __init__(
        self,
        node: Node,
        cameras: Sequence[CameraTopics],
        statistics: SessionStatistics,
        on_error: Callable[[str], None],
        max_pixels: int = MAX_IMAGE_PIXELS,
        watch: InferenceWatch | None = None,
        degradation: DegradationWatch | None = None,
    ) -> None:
        self._degradation = DegradationWatch(0.0, 1.0) if degradation is None else degradation
        self.watch = InferenceWatch() if watch is None else watch
        self._node = node
        self._cameras = cameras
        self._statistics = statistics
        self._on_error = on_error
        self._max_pixels = max_pixels
        self._image_size = RecentPeak()
        self._warned_s: dict[int, dict[str, float]] = {}
        self.publishers: Sequence[CameraPublisher] = ()
        #: Passes the outcome of images on to the requests that wait for them; None without any.
        self.requests: ImageGate | None = None
        self.annotations: Sequence[AnnotationPublisher] = ()
        self.publish_debug_images = False
        self.debug_images = DebugImages(node)
        self.tracks: CameraTracks | None = None
        #: Regions of every camera; None without any.
        self.regions: Sequence[CameraRegions] | None = None

    def begin(
        self, detector: Detector, queued_images: Sequence[QueuedImage]
    ) -> BatchInProgress | None:
        """
        Read the images of a batch and submit them to the detector; never raises.

        :return: None if no image can be read.
        """
        taken_ns = time.monotonic_ns()
        read = [(queued, self._read(queued)) for queued in queued_images]
        images = tuple((queued, image) for queued, image in read if image is not None)
        if not images:
            return None
        read_ms = (time.monotonic_ns() - taken_ns) / 1e6
        regions = self.regions
        try:
            with self.watch.running(detector, len(images)):
                pending = detector.submit(_crop_images(images, regions))
        except Exception as error:  # noqa: BLE001 logged; the next images may be fine
            if not _is_caused_by_one_image(error, len(images)):
                self._drop([queued for queued, _ in images], error)
                return None
            pending = None
        return BatchInProgress(images, pending, taken_ns, read_ms, regions)

    def wait(self, detector: Detector, batch: BatchInProgress) -> None:
        """Wait until the device has run a batch; never raises."""
        if batch.pending is None:
            return
        # The same failure is raised again, and handled, when the batch is collected.
        with suppress(Exception), self.watch.running(detector, len(batch.images)):
            detector.wait(batch.pending)

    def end(self, detector: Detector, batch: BatchInProgress) -> None:
        """Wait for a batch, publish its detections and count its images; never raises."""
        if batch.pending is None:
            self._process_separately(detector, batch)
            return
        try:
            with self.watch.running(detector, len(batch.images)):
                result = detector.collect(batch.pending)
        except Exception as error:  # noqa: BLE001 logged; the next images may be fine
            if _is_caused_by_one_image(error, len(batch.images)):
                self._process_separately(detector, batch)
            else:
                self._drop([queued for queued, _ in batch.images], error)
            return
        self.watch.note_success()
        self._publish_batch(batch, result)

    def _process_separately(self, detector: Detector, batch: BatchInProgress) -> None:
        """Run each image of a failed batch alone, so that only the bad ones fail."""
        for queued, image in batch.images:
            single = replace(batch, images=((queued, image),))
            try:
                with self.watch.running(detector, 1):
                    result = detector.detect(_crop_images(single.images, batch.regions))
            except Exception as error:  # noqa: BLE001 logged; the other images may be fine
                self._drop([queued], error)
                continue
            self.watch.note_success()
            self._publish_batch(single, result)

    def _publish_batch(self, batch: BatchInProgress, result: BatchResult) -> None:
        """Publish the detections of every image, then what shows them."""
        pairs = [
            (pair, self._publish(*pair, detections, batch, result))
            for pair, detections in zip(batch.images, result.detections, strict=True)
        ]
        # After all detections: drawing must not delay them.
        if self.annotations:
            for (queued, image), detections in pairs:
                self.annotations[queued.camera].publish(
                    queued.message.header.stamp, detections, (image.width, image.height)
                )
        if self.publish_debug_images:
            for (queued, image), detections in pairs:
                self.debug_images.put(
                    queued.camera,
                    self.publishers[queued.camera],
                    queued.message.header,
                    image,
                    detections,
                )

    def _publish(
        self,
        queued: QueuedImage,
        image: Image,
        detections: Detections,
        batch: BatchInProgress,
        result: BatchResult,
    ) -> Detections:
        """Track and publish the detections of one image and count it; return the published."""
        started_ns = time.monotonic_ns()
        size_wh = (image.width, image.height)
        try:
            if batch.regions is not None:
                regions = batch.regions[queued.camera]
                detections = regions.select(regions.restore(detections, size_wh), size_wh)
            if self.tracks is not None:
                # An image without a stamp has the time of its arrival.
                stamp_s = max(read_stamp_ns(queued.message), 0) or queued.received_ns
                detections = self.tracks.update(queued.camera, detections, stamp_s / 1e9, size_wh)
            sent = self.publishers[queued.camera].publish(queued.message.header, detections)
        except Exception as error:  # noqa: BLE001 logged; the other images may be fine
            self._note_failure([queued], error)
            return detections
        self._statistics.count(queued.camera, 'published')
        if not sent:
            self._statistics.count(queued.camera, 'withheld')
        if self.requests is not None:
            self._answer(queued, RequestAnswer('', queued.message.header, detections, size_wh))
        try:
            self._add_times(queued, batch, result, started_ns)
            if detections.invalid:
                self._note_invalid(queued.camera, detections.invalid)
        except Exception:  # noqa: BLE001 logged; the detections are published already
            self._node.get_logger().error(
                f'statistics failed:\n{traceback.format_exc()}',
                throttle_duration_sec=_WARNING_PERIOD_S,
            )
        return detections

    def _answer(self, queued: QueuedImage, answer: RequestAnswer) -> None:
        """Answer the requests that wait for an image."""
        requests = self.requests
        if requests is not None:
            requests.answer(queued.camera, queued.received_ns, answer)

    def _read(self, queued: QueuedImage) -> Image | None:
        """Read the image of a message; None, counted and logged, if that fails."""
        try:
            image = read_image(queued.message, self._max_pixels)
            if self._image_size.note(image.step * image.height):
                release_memory()
            return image
        except ImageError as error:
            self._note_malformed(queued, error)
        except Exception as error:  # noqa: BLE001 logged; the other images may be fine
            self._note_failure([queued], error)
        return None

    def _drop(self, queued_images: Sequence[QueuedImage], error: Exception) -> None:
        """Count and log images that were not inferred: malformed ones, or a failed inference."""
        # A JPEG is decoded with the inference.
        if isinstance(error, ImageError):
            for queued in queued_images:
                self._note_malformed(queued, error)
            return
        self.watch.note_failure(error)
        self._note_failure(queued_images, error)

    def _note_malformed(self, queued: QueuedImage, error: ImageError) -> None:
        """Count and log an image that cannot be read."""
        topic = self._cameras[queued.camera].image
        # The reason first: whoever sees the count sees it, too.
        self._statistics.note_error(queued.camera, str(error))
        self._statistics.count(queued.camera, 'malformed')
        self._on_error(f'{topic}: {error}')
        text = f'dropped an image of {topic}: {error}'
        self._warn_malformed(queued.camera, text)
        self._answer(queued, RequestAnswer(text))

    def _warn_malformed(self, camera: int, text: str) -> None:
        """Log a warning, throttled for each camera and reason: one must not hide another."""
        now_s = time.monotonic()
        # Numbers differ from image to image; the reason is the same.
        reason = re.sub(r'\d+', '0', text)
        recent_s = {
            known: at_s
            for known, at_s in self._warned_s.get(camera, {}).items()
            if now_s - at_s < _WARNING_PERIOD_S
        }
        if reason not in recent_s and len(recent_s) < _MAX_REASONS:
            recent_s[reason] = now_s
            self._node.get_logger().warning(text)
        self._warned_s[camera] = recent_s

    def _add_times(
        self, queued: QueuedImage, batch: BatchInProgress, result: BatchResult, started_ns: int
    ) -> None:
        """Add the stage times of an image that was just published."""
        now_ns = time.monotonic_ns()
        times_ms = {
            'wait': (batch.taken_ns - queued.received_ns) / 1e6,
            'preprocess': result.times.preprocess_ms + batch.read_ms,
            'infer': result.times.infer_ms,
            'decode': result.times.decode_ms,
            'publish': (now_ns - started_ns) / 1e6,
            'total': (now_ns - queued.received_ns) / 1e6,
        }
        stamp_ns = read_stamp_ns(queued.message)
        # A driver can write anything here: a negative stamp has no age, and 0 means "not set".
        if stamp_ns > 0:
            age_ms = (self._node.get_clock().now().nanoseconds - stamp_ns) / 1e6
            self._statistics.add_age(queued.camera, age_ms)
        else:
            self._statistics.count(queued.camera, 'unstamped')
        self._statistics.add_times(times_ms)
        pixels = sum(image.width * image.height for _, image in batch.images)
        self._degradation.add(times_ms, len(batch.images), pixels)

    def _note_invalid(self, camera: int, number: int) -> None:
        """Count and log non-finite candidates."""
        self._statistics.count(camera, 'invalid', number)
        text = f'{self._cameras[camera].image}: dropped {number} non-finite candidates'
        self._on_error(text)
        self._node.get_logger().warning(text, throttle_duration_sec=_WARNING_PERIOD_S)

    def _note_failure(self, queued_images: Sequence[QueuedImage], error: Exception) -> None:
        """Count and log images for which nothing is published."""
        text = f'{type(error).__name__}: {error}'
        for queued in queued_images:
            self._statistics.note_error(queued.camera, text)
            self._statistics.count(queued.camera, 'failed')
            topic = self._cameras[queued.camera].image
            self._answer(queued, RequestAnswer(f'inference failed for {topic}: {text}'))
        self._on_error(text)
        # An unexpected error is a defect; its traceback says where.
        expected = isinstance(error, DetectorError)
        details = '' if expected else f'\n{"".join(traceback.format_exception(error))}'
        topics = ', '.join(
            sorted({self._cameras[queued.camera].image for queued in queued_images})
        )
        self._node.get_logger().error(
            f'inference failed, nothing is published for {len(queued_images)} image(s) of '
            f'{topics}: {text}{details}',
            throttle_duration_sec=_WARNING_PERIOD_S,
        )


def _crop_images(
    images: Sequence[tuple[QueuedImage, Image]], regions: Sequence[CameraRegions] | None
) -> list[Image]:
    """Get the images for the detector: the whole ones, or their parts with regions."""
    if regions is None:
        return [image for _, image in images]
    return [regions[queued.camera].crop_image(image) for queued, image in images]


def _is_caused_by_one_image(error: Exception, images: int) -> bool:
    """Tell whether a batch of several images may have failed because of one of them."""
    return images > 1 and not isinstance(error, EngineError | MemoryError)
