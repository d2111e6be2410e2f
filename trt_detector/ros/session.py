# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""All that exists from configure to cleanup: cameras, image_queue, detector, publishers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
import time
import traceback
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.subscription import Subscription
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from ..config import DetectorConfig
from ..errors import DetectorError, EngineError, ImageError
from ..factory import decode_options
from ..image.image import Image
from ..pipeline import Detector, PendingBatch
from ..values.batch_result import StageTimes
from ..values.detections import Detections
from ..values.device_state import DeviceWatch
from ..values.engine_info import EngineInfo
from ..values.progress import Progress
from .camera_publisher import CameraPublisher
from .image_queue import ImageQueue, QueuedImage
from .image_receiver import ImageGroup, ImageReceiver
from .inference_thread import DetectorFactory, InferenceThread
from .messages import make_label_info, read_image
from .statistics import SessionStatistics
from .topics import CameraTopics, name_camera_topics

__all__ = ['DetectionSession', 'WatchDevice']

# Begins to read the device that an engine runs on; None where there is nothing to read.
WatchDevice = Callable[[EngineInfo], DeviceWatch | None]

_DRAIN_TIMEOUT_S = 30.0
_WARNING_PERIOD_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """
    A batch under way.

    :param images: each with the queued_image that brought it.
    :param pending: what the detector collects.
    :param taken_ns: time.monotonic_ns() when the queued_images were taken.
    :param read_ms: time to read the messages.
    """

    images: list[tuple[QueuedImage, Image]]
    pending: PendingBatch
    taken_ns: int
    read_ms: float


class DetectionSession:
    """
    Turns the images of the cameras into detections.

    :meth:`open`, :meth:`start`, :meth:`stop` and :meth:`close` belong to the lifecycle transitions
    and come one at a time; :meth:`cancel` and the properties may be used by any thread.

    :param node: makes subscriptions and publishers, and logs.
    :param config: the node's parameters.
    :param receiver: runs the callbacks of the image subscriptions.
    :param create: makes the detector, in a thread of its own.
    :param on_error: told what went wrong with an inference, for the diagnostics.
    :param watch: begins to read the detector's device, for the diagnostics.
    :raises ConfigError: if the cameras' topics cannot be used.
    """

    def __init__(
        self,
        node: Node,
        config: DetectorConfig,
        receiver: ImageReceiver,
        create: DetectorFactory,
        on_error: Callable[[str], None],
        watch: WatchDevice,
    ) -> None:
        self._node = node
        self._receiver = receiver
        self._on_error = on_error
        self._watch = watch
        self.config = config
        self.cameras: tuple[CameraTopics, ...] = name_camera_topics(
            config, node.resolve_topic_name
        )
        self.statistics = SessionStatistics(len(self.cameras))
        self.progress: Progress | None = None
        self.detector: Detector | None = None
        self.device: DeviceWatch | None = None
        self.subscriptions: tuple[Subscription, ...] = ()
        self.opened_s = time.monotonic()
        self.started_s: float | None = None
        self._progress_logged_s = 0.0
        self._outputs: list[CameraPublisher] = []
        self._label_info: Any = None
        self._image_queue = ImageQueue(len(self.cameras))
        self._worker = InferenceThread(
            config,
            self._image_queue,
            create,
            self._begin,
            self._wait,
            self._end,
            self._note_progress,
        )

    def open(self) -> None:
        """
        Make the detector and the publishers; takes as long as a build takes.

        :raises Exception: what making the detector raised; :meth:`close` is still needed.
        """
        detector = self._worker.open()
        names = detector.class_names
        by_name = self.config.class_id_format == 'name'
        ids = names if by_name else tuple(str(number) for number in range(len(names)))
        for camera in self.cameras:
            self._outputs.append(CameraPublisher(self._node, camera, names, ids))
        self._label_info = self._node.create_publisher(
            LabelInfo,
            '~/label_info',
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
        )
        self.device = self._watch(detector.info)
        self.progress = None
        self.detector = detector

    def start(self) -> None:
        """Subscribe to the cameras and publish from now on."""
        self._publish_label_info()
        self._image_queue.open()
        with ExitStack() as undo:
            undo.callback(self._unsubscribe)
            for number in range(len(self.cameras)):
                self.subscriptions += (self._subscribe(number),)
            self._receiver.start(self.subscriptions)
            self.started_s = time.monotonic()
            undo.pop_all()

    def stop(self) -> None:
        """
        Unsubscribe, throw away the images that wait, and let the one in work be published.

        :raises EngineError: if the inference in progress does not end.
        """
        self.started_s = None
        self._unsubscribe()
        for camera in self._image_queue.shut():
            self.statistics.count(camera, 'dropped')
        if not self._image_queue.wait_idle(_DRAIN_TIMEOUT_S):
            raise EngineError(
                f'the inference in progress did not end within {_DRAIN_TIMEOUT_S:g} s'
            )

    def close(self) -> None:
        """
        Free everything; calling it again does nothing.

        :raises EngineError: if the inference thread does not end.
        """
        self.started_s = None
        self.detector = None
        self._unsubscribe()
        device, self.device = self.device, None
        if device is not None:
            device.close()
        ended = self._worker.close()
        while self._outputs:
            self._outputs.pop().close()
        if self._label_info is not None:
            self._node.destroy_publisher(self._label_info)
            self._label_info = None
        if not ended:
            raise EngineError('the inference thread did not end; the device may be stuck')

    def cancel(self) -> bool:
        """Ask a build to stop; return whether one was under way."""
        return self._worker.cancel()

    def apply(self, config: DetectorConfig) -> None:
        """
        Change what may change while images flow.

        :param config: as before but for live parameters.
        :raises ConfigError: if the model has no such class; nothing is changed then.
        """
        if self.detector is None:
            raise DetectorError('the node is being configured; set it again when that is done')
        self.detector.options = decode_options(config, self.detector.class_names)
        threshold_changed = config.score_threshold != self.config.score_threshold
        self.config = config
        if threshold_changed and self.started_s is not None:
            self._publish_label_info()

    def _subscribe(self, number: int) -> Subscription:
        """Return the subscription of one camera."""
        reliable = self.config.qos_reliability == 'reliable'
        raw = self.config.image_transport == 'raw'
        return self._node.create_subscription(
            ImageMessage if raw else CompressedImage,
            self.cameras[number].subscription,
            partial(self._receive, number),
            QoSProfile(
                history=HistoryPolicy.KEEP_LAST,
                depth=1,
                reliability=(
                    ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
                ),
            ),
            # Made anew: a group remembers every entity it ever had.
            callback_group=ImageGroup(),
        )

    def _unsubscribe(self) -> None:
        """Destroy the subscriptions."""
        self._receiver.stop()
        subscriptions, self.subscriptions = self.subscriptions, ()
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)

    def _publish_label_info(self) -> None:
        """Publish the class names; late subscribers get them as well."""
        if self.detector is None:
            return
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._label_info.publish(
            make_label_info(header, self.detector.class_names, self.config.score_threshold)
        )

    def _note_progress(self, progress: Progress) -> None:
        """Keep the progress for the diagnostics, and log it at most once a second."""
        self.progress = progress
        now = time.monotonic()
        if now - self._progress_logged_s < 1.0:
            return
        self._progress_logged_s = now
        share = '' if progress.fraction is None else f' {progress.fraction:.0%}'
        self._node.get_logger().info(f'{progress.phase}{share} ({progress.elapsed_s:.0f} s)')

    def _receive(self, camera: int, message: Any) -> None:
        """Take a message to the image_queue, in the receiver's thread."""
        lost = self._image_queue.put(camera, message)
        self.statistics.count_received(camera, lost)

    def _begin(self, detector: Detector, queued_images: list[QueuedImage]) -> _Work | None:
        """Hand those images of a batch that can be read to the detector, in its thread."""
        taken_ns = time.monotonic_ns()
        try:
            readable = [
                (queued_image, image)
                for queued_image in queued_images
                if (image := self._read(queued_image))
            ]
            if not readable:
                return None
            queued_images[:] = [queued_image for queued_image, _ in readable]
            read_ms = (time.monotonic_ns() - taken_ns) / 1e6
            pending = detector.submit([image for _, image in readable])
        except Exception as error:  # noqa: BLE001 logged; the next images may be fine
            self._note_failure(queued_images, error)
            return None
        return _Work(readable, pending, taken_ns, read_ms)

    @staticmethod
    def _wait(detector: Detector, work: _Work) -> None:
        """Wait until the device has done a batch, in the detector's thread."""
        # A failure comes once more when the batch is collected, and is dealt with there.
        with suppress(DetectorError):
            detector.wait(work.pending)

    def _end(self, detector: Detector, work: _Work) -> None:
        """Wait for a batch and publish, in the detector's thread; a bad one never ends it."""
        queued_images = [queued_image for queued_image, _ in work.images]
        try:
            self._publish_batch(detector, work, queued_images)
        except Exception as error:  # noqa: BLE001 logged; the next images may be fine
            self._note_failure(queued_images, error)

    def _publish_batch(
        self, detector: Detector, work: _Work, queued_images: list[QueuedImage]
    ) -> None:
        """
        Publish what was found.

        :param queued_images: of the batch; what is dealt with is taken out.
        """
        result = detector.collect(work.pending)
        times = StageTimes(
            result.times.preprocess_ms + work.read_ms,
            result.times.infer_ms,
            result.times.decode_ms,
        )
        for (queued_image, _), found in zip(work.images, result.detections, strict=True):
            started_ns = time.monotonic_ns()
            self._outputs[queued_image.camera].publish(queued_image.message.header, found)
            queued_images.remove(queued_image)
            self.statistics.count(queued_image.camera, 'published')
            self._note_times(queued_image, work.taken_ns, started_ns, times)
            if found.invalid:
                self._note_invalid(queued_image.camera, found.invalid)
        if self.config.publish_debug_image:
            # After all detections: drawing must not delay them.
            for (queued_image, image), found in zip(work.images, result.detections, strict=True):
                self._publish_debug_image(queued_image, image, found)

    def _publish_debug_image(
        self, queued_image: QueuedImage, image: Image, found: Detections
    ) -> None:
        """Draw for whoever looks; the detections are out already, and a failure is logged."""
        try:
            output = self._outputs[queued_image.camera]
            output.publish_debug_image(queued_image.message.header, image, found)
        except Exception as error:  # noqa: BLE001 logged; nobody's detections depend on it
            self._node.get_logger().error(
                f'no debug image: {type(error).__name__}: {error}',
                throttle_duration_sec=_WARNING_PERIOD_S,
            )

    def _read(self, queued_image: QueuedImage) -> Image | None:
        """Return the image in a message, None if it is malformed: counted and warned of."""
        try:
            return read_image(queued_image.message)
        except ImageError as error:
            self.statistics.count(queued_image.camera, 'malformed')
            self._on_error(f'{self.cameras[queued_image.camera].image}: {error}')
            self._node.get_logger().warning(
                f'dropped an image of {self.cameras[queued_image.camera].image}: {error}',
                throttle_duration_sec=_WARNING_PERIOD_S,
            )
            return None

    def _note_times(
        self, queued_image: QueuedImage, taken_ns: int, started_ns: int, times: StageTimes
    ) -> None:
        """Add the stage times of an image that was just published."""
        now_ns = time.monotonic_ns()
        stages = {
            'wait': (taken_ns - queued_image.received_ns) / 1e6,
            'preprocess': times.preprocess_ms,
            'infer': times.infer_ms,
            'decode': times.decode_ms,
            'publish': (now_ns - started_ns) / 1e6,
            'total': (now_ns - queued_image.received_ns) / 1e6,
        }
        stamp_ns = Time.from_msg(queued_image.message.header.stamp).nanoseconds
        if stamp_ns:
            stages['age'] = (self._node.get_clock().now().nanoseconds - stamp_ns) / 1e6
        self.statistics.add_times(stages)

    def _note_invalid(self, camera: int, number: int) -> None:
        """Count and log candidates that the network wrote as NaN or infinite."""
        self.statistics.count(camera, 'invalid', number)
        what = f'the network wrote {number} candidates that are NaN or infinite; left out'
        self._on_error(f'{self.cameras[camera].image}: {what}')
        self._node.get_logger().warning(
            f'{self.cameras[camera].image}: {what}', throttle_duration_sec=_WARNING_PERIOD_S
        )

    def _note_failure(self, queued_images: list[QueuedImage], error: Exception) -> None:
        """Count and log images of which nothing is known and nothing was published."""
        for queued_image in queued_images:
            self.statistics.count(queued_image.camera, 'failed')
        what = f'{type(error).__name__}: {error}'
        self._on_error(what)
        expected = isinstance(error, DetectorError)
        # An unexpected one is a defect: whoever mends it needs to see where.
        details = '' if expected else f'\n{"".join(traceback.format_exception(error))}'
        self._node.get_logger().error(
            f'inference failed, nothing is published for {len(queued_images)} image(s): '
            f'{what}{details}',
            throttle_duration_sec=_WARNING_PERIOD_S,
        )
