# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Resources of a configured node: cameras, image queue, detector and publishers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo

from ..config import DetectorConfig
from ..errors import DetectorError, EngineError
from ..factory import decode_options
from ..pipeline import Detector
from ..regions.assign import assign_regions
from ..regions.camera_regions import CameraRegions
from ..tracking.camera_tracks import CameraTracks
from ..values.device_state import DeviceWatch
from ..values.engine_info import EngineInfo
from ..values.progress import Progress
from .batch_processor import BatchProcessor
from .camera_publisher import CameraPublisher
from .image_intake import ImageIntake
from .image_queue import ImageQueue
from .image_receiver import Receiver
from .inference_thread import DetectorFactory, InferenceThread
from .messages import make_label_info
from .monitoring.degradation import DegradationWatch
from .monitoring.statistics import SessionStatistics
from .overlays.annotations import load_foxglove_msgs
from .recovery.inference_watch import InferenceWatch
from .topics import CameraTopics, name_camera_topics

__all__ = ['DetectionSession', 'WatchDevice']

# Starts to monitor the device that an engine runs on; returns None if it runs on no GPU.
WatchDevice = Callable[[EngineInfo], DeviceWatch | None]

_DRAIN_TIMEOUT_S = 30.0
_CLOSE_TIMEOUT_S = 5.0


class DetectionSession:
    """
    Resources of a node from configure to cleanup.

    :meth:`open`, :meth:`start`, :meth:`stop` and :meth:`close` are called by the lifecycle
    transitions, one at a time. Any thread may call :meth:`cancel` and read the attributes; take
    :attr:`detector` once into a variable, because :meth:`close` sets it to None.

    :param node: creates the publishers, and logs.
    :param config: parameters of the node.
    :param receiver: creates the image subscriptions and runs their callbacks.
    :param create: creates the detector, in the inference thread.
    :param on_error: called with a sentence about each failed image, for the diagnostics.
    :param watch: starts to monitor the device of the detector, for the diagnostics.
    :raises ConfigError: if a camera topic is invalid, or messages are not installed.
    """

    def __init__(
        self,
        node: Node,
        config: DetectorConfig,
        receiver: Receiver,
        create: DetectorFactory,
        on_error: Callable[[str], None],
        watch: WatchDevice,
    ) -> None:
        self._node = node
        self._watch_device = watch
        self.config = config
        self.cameras: tuple[CameraTopics, ...] = name_camera_topics(
            config,
            node.resolve_topic_name,
            lambda topic: node.resolve_topic_name(topic, only_expand=True),
        )
        self.statistics = SessionStatistics(len(self.cameras))
        self.degradation = DegradationWatch(config.degradation_window, config.degradation_factor)
        self.progress: Progress | None = None
        self.detector: Detector | None = None
        self.device: DeviceWatch | None = None
        self.opened_s = time.monotonic()
        self.started_s: float | None = None
        self.is_hanging = False
        self._progress_logged_s = 0.0
        self._publishers: list[CameraPublisher] = []
        self._label_info: Any = None
        self._image_queue = ImageQueue(len(self.cameras), config.batch_wait_ms / 1e3)
        self._foxglove_msgs = load_foxglove_msgs() if config.publish_annotations else None
        self.watch = InferenceWatch()
        self._tracks = self._create_tracks(on_error)
        self._processor = BatchProcessor(
            node,
            self.cameras,
            self.statistics,
            on_error,
            config.max_image_pixels,
            self.watch,
            self.degradation,
        )
        self._processor.tracks = self._tracks
        self._processor.regions = self._assign_regions(config)
        self.intake = ImageIntake(
            node,
            config,
            self.cameras,
            receiver,
            self._image_queue,
            self.statistics,
            self._processor,
        )
        self.subscriptions = self.intake.subscriptions
        self._inference_thread = InferenceThread(
            config, self._image_queue, create, self._processor, self._note_progress
        )

    def open(self) -> None:
        """
        Create the detector and the publishers; a build can take minutes.

        :raises Exception: the error of the factory; :meth:`close` is still needed.
        """
        detector = self._inference_thread.open()
        self._set_options(detector, self.config)
        names = detector.class_names
        by_name = self.config.class_id_format == 'name'
        ids = names if by_name else tuple(str(number) for number in range(len(names)))
        for camera in self.cameras:
            self._publishers.append(
                CameraPublisher(
                    self._node,
                    camera,
                    names,
                    ids,
                    publish_empty=self.config.publish_empty,
                    foxglove_msgs=self._foxglove_msgs,
                )
            )
        self._processor.publishers = tuple(self._publishers)
        self._use_regions(self._processor.regions)
        self._processor.annotations = tuple(
            camera.annotations for camera in self._publishers if camera.annotations is not None
        )
        self._processor.publish_debug_images = self.config.publish_debug_image
        self._label_info = self._node.create_publisher(
            LabelInfo,
            '~/label_info',
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
        )
        self.device = self._watch_device(detector.info)
        self.progress = None
        self.detector = detector

    def start(self) -> None:
        """Subscribe to the cameras and start to publish detections."""
        self._publish_label_info()
        if self._tracks is not None:
            self._tracks.reset()
        with ExitStack() as undo:
            undo.callback(self.intake.close)
            self.intake.open()
            self.started_s = time.monotonic()
            undo.pop_all()

    def stop(self) -> None:
        """
        Unsubscribe, drop the queued images, and publish the detections of batches in progress.

        :raises EngineError: if the inference in progress does not end in time.
        """
        self.started_s = None
        self.intake.close()
        if not self._image_queue.wait_idle(_DRAIN_TIMEOUT_S):
            raise EngineError(
                f'the inference in progress did not end within {_DRAIN_TIMEOUT_S:g} s; the '
                'device may hang: start the process again'
            )
        self._processor.debug_images.clear()

    def close(self) -> None:
        """
        Release all resources; calling it again does nothing.

        :raises EngineError: if the inference thread does not end.
        """
        self.started_s = None
        self.detector = None
        self.intake.close()
        device, self.device = self.device, None
        if device is not None:
            device.close()
        self.is_hanging = not self._inference_thread.close(_CLOSE_TIMEOUT_S)
        self._processor.debug_images.close()
        while self._publishers:
            self._publishers.pop().close()
        if self._label_info is not None:
            self._node.destroy_publisher(self._label_info)
            self._label_info = None
        if self.is_hanging:
            raise EngineError(
                f'the inference thread did not end within {_CLOSE_TIMEOUT_S:g} s; the device may '
                'hang: start the process again'
            )

    def describe_failure(self) -> str:
        """Describe why detection is to be given up; '' if it is not."""
        return self._inference_thread.describe_end() or self.watch.describe_failure()

    def cancel(self) -> bool:
        """Cancel a build; return False if none is in progress."""
        return self._inference_thread.cancel()

    def apply(self, config: DetectorConfig) -> None:
        """
        Apply changed live parameters.

        :param config: differs from :attr:`config` in live parameters only.
        :raises ConfigError: if the model has no such class, or regions are wrong; nothing is
            changed then.
        :raises DetectorError: if the detector is not ready yet.
        """
        detector = self.detector
        if detector is None:
            raise DetectorError('the node is being configured; set the parameter afterward')
        regions = self._assign_regions(config)
        self._set_options(detector, config)
        self._use_regions(regions)
        self._processor.publish_debug_images = config.publish_debug_image
        for publisher in self._publishers:
            publisher.publish_empty = config.publish_empty
        self.intake.apply(config)
        self.degradation.window_s = config.degradation_window
        self.degradation.factor = config.degradation_factor
        threshold_changed = config.score_threshold != self.config.score_threshold
        self.config = config
        if threshold_changed:
            self._publish_label_info()

    def _create_tracks(self, on_error: Callable[[str], None]) -> CameraTracks | None:
        """
        Create the trackers of the cameras, if there are any.

        :raises ConfigError: if the tracker cannot be used.
        """
        if self.config.tracker == 'none':
            return None
        logger = self._node.get_logger()

        def fail(text: str) -> None:
            on_error(text.splitlines()[0])
            logger.error(text, throttle_duration_sec=5.0)

        return CameraTracks([camera.image for camera in self.cameras], logger.warning, fail)

    def _assign_regions(self, config: DetectorConfig) -> tuple[CameraRegions, ...] | None:
        """
        Assign the regions to the cameras, which users name as in image_topics or in full.

        :raises ConfigError: if a camera is unknown, or a mask cannot be read.
        """
        names = [
            (camera.image, camera.given, topic)
            for camera, topic in zip(self.cameras, config.image_topics, strict=True)
        ]
        return assign_regions(config, names)

    def _use_regions(self, regions: Sequence[CameraRegions] | None) -> None:
        """Let the next batches and the debug images have these regions."""
        self._processor.regions = regions
        for number, publisher in enumerate(self._publishers):
            publisher.regions = None if regions is None else regions[number]

    def _set_options(self, detector: Detector, config: DetectorConfig) -> None:
        """Set the selection of the detections to decode and to publish."""
        options = decode_options(config, detector.class_names)
        if self._tracks is not None:
            options = self._tracks.set_options(config, options)
        detector.options = options

    def _publish_label_info(self) -> None:
        """Publish the class names; late subscribers receive them, too."""
        detector, publisher = self.detector, self._label_info
        if detector is None or publisher is None:
            return
        header = Header(stamp=self._node.get_clock().now().to_msg())
        publisher.publish(
            make_label_info(header, detector.class_names, self.config.score_threshold)
        )

    def _note_progress(self, progress: Progress) -> None:
        """Store the progress for the diagnostics, and log it at most once per second."""
        self.progress = progress
        now = time.monotonic()
        if now - self._progress_logged_s < 1.0:
            return
        self._progress_logged_s = now
        share = '' if progress.fraction is None else f' {progress.fraction:.0%}'
        self._node.get_logger().info(f'{progress.phase}{share} ({progress.elapsed_s:.0f} s)')
