# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Name the topics of each camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..config import DetectorConfig
from ..errors import ConfigError

__all__ = ['CameraTopics', 'name_camera_topics']


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """
    Topics of one camera.

    :param image: full name of the image topic after remapping; identifies the camera to users.
    :param subscription: topic to subscribe to.
    :param detections: topic of the detections.
    :param debug_image: topic of the debug image; the compressed one has the suffix /compressed.
    """

    image: str
    subscription: str
    detections: str
    debug_image: str


def name_camera_topics(
    config: DetectorConfig, resolve: Callable[[str], str]
) -> tuple[CameraTopics, ...]:
    """
    Name the topics of every camera, in the order of image_topics.

    :param config: parameters of the node.
    :param resolve: resolves a topic name to its full name after remapping.
    :raises ConfigError: if a topic name is invalid, or two cameras would publish to one topic.
    """
    images = [_resolve(topic, resolve) for topic in config.image_topics]
    single = len(images) == 1
    cameras = tuple(
        CameraTopics(
            image=image,
            subscription=_subscription(config, topic, image),
            detections='~/detections' if single else f'{_namespace(image)}/detections',
            debug_image='~/debug_image' if single else f'{_namespace(image)}/debug_image',
        )
        for topic, image in zip(config.image_topics, images, strict=True)
    )
    _check_distinct(cameras)
    return cameras


def _resolve(topic: str, resolve: Callable[[str], str]) -> str:
    """Resolve the full name of a topic, or raise ConfigError."""
    try:
        return resolve(topic)
    except (ValueError, RuntimeError) as error:  # RCLError derives from the second
        raise ConfigError(
            f'image_topics holds {topic!r}, which is not a topic name: {error}'
        ) from error


def _subscription(config: DetectorConfig, topic: str, image: str) -> str:
    """Name the topic to subscribe to, so that remapping is applied once."""
    if config.image_transport == 'raw':
        return topic
    return image if image.endswith('/compressed') else f'{image}/compressed'


def _namespace(image: str) -> str:
    """Extract the namespace of an image topic; '' is the root."""
    return image.removesuffix('/compressed').rpartition('/')[0]


def _check_distinct(cameras: tuple[CameraTopics, ...]) -> None:
    """Refuse cameras that would publish to the same topic."""
    first: dict[str, CameraTopics] = {}
    for camera in cameras:
        other = first.setdefault(camera.detections, camera)
        if other is not camera:
            raise ConfigError(
                f'image topics {other.image} and {camera.image} would both publish to '
                f'{camera.detections}; give each camera its own namespace, '
                'e.g. /left/image_raw and /right/image_raw, or remap the topics'
            )
