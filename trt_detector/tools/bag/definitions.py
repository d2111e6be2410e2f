# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Definitions of the messages in bags."""

from __future__ import annotations

from collections.abc import Iterable
import logging
from typing import Any

from ...errors import BagError

__all__ = [
    'COMPRESSED_VIDEO',
    'DETECTIONS',
    'IMAGE_TYPES',
    'VIDEO_TYPES',
    'load_rosbags',
    'make_typestore',
]

COMPRESSED_VIDEO = 'foxglove_msgs/msg/CompressedVideo'
_FFMPEG_PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
DETECTIONS = 'vision_msgs/msg/Detection2DArray'

IMAGE_TYPES = frozenset({'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'})
"""Types whose messages hold one whole image each."""

VIDEO_TYPES = frozenset({COMPRESSED_VIDEO, _FFMPEG_PACKET})
"""Types whose messages are packets of a video."""

_LOG = logging.getLogger(__name__)

# Fields in the order of the messages. A bag that stores its definitions overrides them.
_GIVEN = {
    COMPRESSED_VIDEO: (
        'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format'
    ),
    _FFMPEG_PACKET: (
        'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
        'uint8 flags\nbool is_bigendian\nuint8[] data'
    ),
    'vision_msgs/msg/Point2D': 'float64 x\nfloat64 y',
    'vision_msgs/msg/Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'vision_msgs/msg/BoundingBox2D': (
        'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y'
    ),
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score',
    'vision_msgs/msg/ObjectHypothesisWithPose': (
        'vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose'
    ),
    'vision_msgs/msg/Detection2D': (
        'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
        'vision_msgs/BoundingBox2D bbox\nstring id'
    ),
    DETECTIONS: 'std_msgs/Header header\nvision_msgs/Detection2D[] detections',
}  # fmt: skip


def load_rosbags() -> Any:
    """
    Import rosbags.

    :raises BagError: if it is not installed.
    """
    try:
        import rosbags.rosbag2
    except ImportError as error:
        raise BagError(
            f'bags need the package rosbags ({error}); install it: pip install rosbags'
        ) from error
    return rosbags


def make_typestore(definitions: Iterable[tuple[str, Any]] = ()) -> Any:
    """
    Make a typestore of rosbags for images, videos and detections.

    :param definitions: type and definition (rosbags.interfaces.MessageDefinition) of messages in
        a bag, which replace the ones of this package; those that cannot be read are skipped.
    """
    load_rosbags()
    from rosbags.typesys import get_types_from_msg, get_typestore, Stores

    typestore = get_typestore(Stores.EMPTY)
    types = dict(get_typestore(Stores.ROS2_HUMBLE).fielddefs)
    for name, text in _GIVEN.items():
        types.update(get_types_from_msg(text, name))
    for name, definition in definitions:
        try:
            types.update(_parse(name, definition))
        except Exception as error:  # noqa: BLE001 logged; a foreign text, and rosbags has no base class
            _LOG.warning('the definition of %s in the bag cannot be read: %s', name, error)
    typestore.register(types)
    return typestore


def _parse(name: str, definition: Any) -> dict[str, Any]:
    """Read the definition of a message; an empty one has no types."""
    from rosbags.interfaces import MessageDefinitionFormat
    from rosbags.typesys import get_types_from_idl, get_types_from_msg

    if definition.format == MessageDefinitionFormat.MSG:
        return dict(get_types_from_msg(definition.data, name))
    types: dict[str, Any] = {}
    if definition.format == MessageDefinitionFormat.IDL:
        for part in definition.data.split('=' * 80 + '\n'):
            head, _, rest = part.partition('\n')
            text = rest if head.startswith('IDL: ') else part
            if text.strip():
                types.update(get_types_from_idl(text))
    return types
