# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert boxes in 3D to messages."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
import numpy as np
import numpy.typing as npt
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection2D,
    Detection3D,
    ObjectHypothesisWithPose,
)

from ...depth.box3d import Box3D
from ...image.drawing import class_color_bgr

__all__ = ['make_detection', 'make_markers', 'make_quaternion', 'read_boxes']

# Variance of an angle of which nothing is known: any of a full turn.
_UNKNOWN_ANGLE = math.pi**2 / 3
_MARKER_LIFETIME_S = 1
_TEXT_HEIGHT_M = 0.12


def read_boxes(detections: Sequence[Detection2D]) -> npt.NDArray[np.float64]:
    """Read (n, 5) center x and y, width, height in pixels and rotation in radians."""
    rows = [
        (
            each.bbox.center.position.x,
            each.bbox.center.position.y,
            each.bbox.size_x,
            each.bbox.size_y,
            each.bbox.center.theta,
        )
        for each in detections
    ]
    return np.array(rows, np.float64).reshape(-1, 5)


def make_detection(header: Header, source: Detection2D, box: Box3D) -> Detection3D:
    """
    Create the 3D detection of a 2D detection; every hypothesis and the id stay.

    :param header: stamp of the depth image, and frame of the box.
    """
    center = Pose(
        position=Point(**dict(zip('xyz', box.center.tolist(), strict=True))),
        orientation=make_quaternion(box.rotation),
    )
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = box.covariance
    covariance[3:, 3:] = np.eye(3) * _UNKNOWN_ANGLE
    pose = PoseWithCovariance(pose=center, covariance=covariance.ravel())
    return Detection3D(
        header=header,
        results=[
            ObjectHypothesisWithPose(hypothesis=each.hypothesis, pose=pose)
            for each in source.results
        ],
        bbox=BoundingBox3D(
            center=center, size=Vector3(**dict(zip('xyz', box.size.tolist(), strict=True)))
        ),
        id=source.id,
    )


def make_quaternion(rotation: npt.NDArray[np.float64]) -> Quaternion:
    """Create the quaternion of a rotation matrix (3, 3)."""
    # The largest of the four is computed first: the others are divided by it.
    trace = float(np.trace(rotation))
    squares = np.array([trace, *np.diag(rotation)])
    largest = int(np.argmax(squares))
    if largest == 0:
        w = math.sqrt(1 + trace) / 2
        x = (rotation[2, 1] - rotation[1, 2]) / (4 * w)
        y = (rotation[0, 2] - rotation[2, 0]) / (4 * w)
        z = (rotation[1, 0] - rotation[0, 1]) / (4 * w)
        return Quaternion(x=float(x), y=float(y), z=float(z), w=float(w))
    i = largest - 1
    j, k = (i + 1) % 3, (i + 2) % 3
    values = np.zeros(3)
    values[i] = math.sqrt(max(1 + rotation[i, i] - rotation[j, j] - rotation[k, k], 0.0)) / 2
    values[j] = (rotation[j, i] + rotation[i, j]) / (4 * values[i])
    values[k] = (rotation[k, i] + rotation[i, k]) / (4 * values[i])
    w = (rotation[k, j] - rotation[j, k]) / (4 * values[i])
    x, y, z = values.tolist()
    return Quaternion(x=x, y=y, z=z, w=float(w))


def make_markers(header: Header, detections: Sequence[Detection3D], library: Any) -> Any:
    """
    Create a cube and a label for each detection, after a marker that deletes those before.

    :param library: the module visualization_msgs.msg.
    """
    marker = library.Marker
    markers = [marker(header=header, action=marker.DELETEALL)]
    for number, detection in enumerate(detections):
        results = detection.results
        name = results[0].hypothesis.class_id if results else ''
        score = results[0].hypothesis.score if results else 0.0
        # A color by the name, the same in every process.
        blue, green, red = (value / 255 for value in class_color_bgr(sum(name.encode())))
        common = {
            'header': header,
            'id': number,
            'action': marker.ADD,
        }
        size = detection.bbox.size
        cube = marker(
            ns='boxes',
            type=marker.CUBE,
            pose=detection.bbox.center,
            scale=Vector3(x=max(size.x, 1e-3), y=max(size.y, 1e-3), z=max(size.z, 1e-3)),
            color=ColorRGBA(r=red, g=green, b=blue, a=0.4),
            **common,
        )
        identity = f' #{detection.id}' if detection.id else ''
        label = marker(
            ns='labels',
            type=marker.TEXT_VIEW_FACING,
            pose=detection.bbox.center,
            scale=Vector3(z=_TEXT_HEIGHT_M),
            color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
            text=f'{name}{identity} {score:.0%}',
            **common,
        )
        for each in (cube, label):
            each.lifetime.sec = _MARKER_LIFETIME_S
            markers.append(each)
    return library.MarkerArray(markers=markers)
