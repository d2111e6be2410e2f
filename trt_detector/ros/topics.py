# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Name the topics of each camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..config import DetectorConfig
from ..errors import ConfigError

__all__ = ['CameraTopics', 'name_camera_topics', 'resolve_topic']

_SUFFIX = '/compressed'


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """
    Topics of one camera.

    :param image: full name of the image topic after remapping; identifies the camera to users.
    :param given: full name of the image topic before remapping.
    :param subscription: topic to subscribe to; remapping is still to be applied.
    :param full_subscription: full name of that topic after remapping.
    :param compressed: the images are CompressedImage messages.
    :param detections: topic of the detections.
    :param debug_image: topic of the debug image; the compressed one has the suffix /compressed.
    :param annotations: topic of the overlay for Foxglove.
    """

    image: str
    given: str
    subscription: str
    full_subscription: str
    compressed: bool
    detections: str
    debug_image: str
    annotations: str


def name_camera_topics(
    config: DetectorConfig,
    resolve: Callable[[str], str],
    expand: Callable[[str], str] | None = None,
) -> tuple[CameraTopics, ...]:
    """
    Name the topics of every camera, in the order of image_topics.

    :param config: parameters of the node.
    :param resolve: resolves a topic name to its full name after remapping.
    :param expand: resolves a topic name to its full name before remapping; None if there is none.
    :raises ConfigError: if a topic name is invalid, two cameras would publish to one topic, or the
        node would detect in its own debug images.
    """
    single = len(config.image_topics) == 1
    cameras = []
    for topic in config.image_topics:
        image = resolve_topic(topic, resolve, 'image_topics holds')
        # A topic that is compressed although its name does not end so is remapped.
        is_suffixed = topic.endswith(_SUFFIX) or image.endswith(_SUFFIX)
        # Only image_transport compressed appends the suffix; a topic that has it is compressed.
        appended = config.image_transport == 'compressed' and not is_suffixed
        plain = f'{image}{_SUFFIX}' if appended else topic
        full = resolve_topic(plain, resolve, 'image_topics holds')
        cameras.append(
            CameraTopics(
                image=image,
                given=image if expand is None else expand(topic),
                # The plain name, so that remapping is applied once.
                subscription=plain,
                full_subscription=full,
                compressed=appended or is_suffixed,
                detections='~/detections' if single else f'{_namespace(image)}/detections',
                debug_image='~/debug_image' if single else f'{_namespace(image)}/debug_image',
                annotations='~/annotations' if single else f'{_namespace(image)}/annotations',
            )
        )
    _check_distinct(cameras)
    _check_own(cameras, resolve)
    return tuple(cameras)


def resolve_topic(topic: str, resolve: Callable[[str], str], origin: str) -> str:
    """
    Resolve the full name of a topic.

    :param resolve: resolves a topic name to its full name after remapping.
    :param origin: begin of the error, e.g. 'depth_topic is'.
    :raises ConfigError: if it is not a topic name.
    """
    try:
        return resolve(topic)
    except (ValueError, RuntimeError) as error:  # RCLError derives from the second
        raise ConfigError(f'{origin} {topic!r}, which is not a topic name: {error}') from error


def _namespace(image: str) -> str:
    """Extract the namespace of an image topic; '' is the root."""
    return image.removesuffix(_SUFFIX).rpartition('/')[0]


def _check_distinct(cameras: Sequence[CameraTopics]) -> None:
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


def _check_own(cameras: Sequence[CameraTopics], resolve: Callable[[str], str]) -> None:
    """Refuse a debug image as an image topic: each image would make the next one."""
    own = [resolve(camera.debug_image) for camera in cameras]
    for camera in cameras:
        if camera.full_subscription.removesuffix(_SUFFIX) in own:
            raise ConfigError(
                f'image_topics holds {camera.image}, which this node publishes itself; name the '
                'topic of a camera'
            )
