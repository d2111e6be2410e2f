# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Explain from the ROS graph why no image of a camera arrives."""

from __future__ import annotations

from collections.abc import Sequence
import difflib
from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from ...image.message import describe_compressed_topic
from ...process.tuning import describe_camera_settings
from ..camera_subscription import CameraSubscription

__all__ = ['explain_silence']

_RAW_TYPE = 'sensor_msgs/msg/Image'
_COMPRESSED_TYPE = 'sensor_msgs/msg/CompressedImage'
_SUFFIX = '/compressed'
_DEPTH_SUFFIX = '/compressedDepth'
# Of other detectors.
_DEBUG_SUFFIX = '/debug_image'


def explain_silence(node: Node, subscription: CameraSubscription) -> str:
    """
    Name the most likely reason why no image arrives, and the remedy.

    :param node: looks at the graph.
    :param subscription: subscription of the camera.
    """
    topic = subscription.camera.full_subscription
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return f'no publisher of {_describe_topic(subscription)}{_suggest(node, subscription)}'
    return (
        _explain_type(subscription, publishers)
        or _explain_reliability(subscription, publishers)
        or _explain_loss(subscription)
        or f'{len(publishers)} publisher(s) of {_describe_topic(subscription)} send nothing: '
        'check the camera'
    )


def _describe_topic(subscription: CameraSubscription) -> str:
    """Name the subscribed topic, with the name before remapping."""
    camera = subscription.camera
    renamed = [(camera.given, camera.image)]
    if camera.subscription.startswith('/'):
        # With the suffix that image_transport appends, for which there can be a rule of its own.
        renamed.append((camera.subscription, camera.full_subscription))
    rules = dict.fromkeys(
        f'{before} is remapped to {after}' for before, after in renamed if before != after
    )
    return (
        f'{camera.full_subscription} ({", ".join(rules)})' if rules else camera.full_subscription
    )


def _suggest(node: Node, subscription: CameraSubscription) -> str:
    """Suggest the topic of the other transport, or the most similar image topic."""
    topic = subscription.camera.full_subscription
    if not subscription.camera.compressed and node.count_publishers(f'{topic}{_SUFFIX}'):
        return (
            f', but {topic}{_SUFFIX} is published: set image_transport to compressed, or name it '
            'in image_topics'
        )
    plain = topic.removesuffix(_SUFFIX)
    publishers = node.get_publishers_info_by_topic(plain) if plain != topic else []
    if publishers:
        if {info.topic_type for info in publishers} == {_COMPRESSED_TYPE}:
            remedy = describe_compressed_topic(plain)
            return f', but {plain} is published, with compressed images: {remedy}'
        return f', but {plain} is published: set image_transport to raw, and image_topics to it'
    image_types = {_RAW_TYPE, _COMPRESSED_TYPE}
    others = [
        name
        for name, types in node.get_topic_names_and_types()
        if image_types & set(types)
        and not name.removesuffix(_SUFFIX).endswith(_DEBUG_SUFFIX)
        and _has_camera(node, name)
    ]
    near = difflib.get_close_matches(topic, others, n=3, cutoff=0.0)
    return f'; image topics with a publisher: {", ".join(near)}' if near else ''


def _has_camera(node: Node, topic: str) -> bool:
    """Tell whether another node publishes a topic."""
    own = (node.get_name(), node.get_namespace())
    publishers = node.get_publishers_info_by_topic(topic)
    return any((info.node_name, info.node_namespace) != own for info in publishers)


def _explain_type(subscription: CameraSubscription, publishers: Sequence[Any]) -> str:
    """Explain a mismatch of the message types."""
    expected = _COMPRESSED_TYPE if subscription.camera.compressed else _RAW_TYPE
    offered = sorted({info.topic_type for info in publishers})
    if expected in offered:
        return ''
    text = (
        f'{_describe_topic(subscription)} has the type {", ".join(offered)}, but the node '
        f'subscribes to {expected}'
    )
    topic = subscription.camera.full_subscription
    if offered == [_COMPRESSED_TYPE] and not topic.endswith(_DEPTH_SUFFIX):
        return f'{text}: {describe_compressed_topic(topic)}'
    if offered == [_RAW_TYPE]:
        return (
            f'{text}: set image_transport to raw, and give the topic a name without {_SUFFIX} in '
            'image_topics'
        )
    return f'{text}: name a topic with color, gray or Bayer images in image_topics'


def _explain_reliability(subscription: CameraSubscription, publishers: Sequence[Any]) -> str:
    """Explain a reliable subscription to best-effort publishers."""
    offered = {info.qos_profile.reliability for info in publishers}
    if not subscription.is_reliable:
        return ''
    if ReliabilityPolicy.RELIABLE in offered:
        return ''
    return (
        f'{_describe_topic(subscription)} is published best effort, but the subscription is '
        'reliable: set qos_reliability to auto'
    )


def _explain_loss(subscription: CameraSubscription) -> str:
    """Explain that the images are lost in transit, if the latest were."""
    lost = subscription.loss.lost_recently
    if not lost:
        return ''
    return (
        f'{lost} images of {_describe_topic(subscription)} were lost in transit; '
        f'{describe_camera_settings(is_reliable=subscription.is_reliable)}'
    )
