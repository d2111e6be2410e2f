# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Messages with a depth image, as plain objects or of ROS 2."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from trt_detector.depth.camera_model import CameraModel

__all__ = ['camera_info', 'camera_model', 'depth_message', 'pixel_box']


def depth_message(
    depth_m: Any, encoding: str = '32FC1', *, padding: int = 0, big_endian: bool = False
) -> Any:
    """
    Encode depths as the fields of a sensor_msgs/Image.

    :param depth_m: (height, width) meters; NaN is 0 in 16-bit encodings.
    :param padding: bytes after each row, which hold no depths.
    """
    depth_m = np.asarray(depth_m, float)
    order = '>' if big_endian else '<'
    if encoding == '32FC1':
        values = depth_m.astype(f'{order}f4')
    else:
        finite = np.where(np.isfinite(depth_m), depth_m, 0)
        values = np.round(finite * 1000).astype(f'{order}u2')
    height, width = depth_m.shape
    rows = [row.tobytes() + b'\x7f' * padding for row in values]
    return SimpleNamespace(
        header=SimpleNamespace(frame_id='lens'),
        width=width,
        height=height,
        encoding=encoding,
        is_bigendian=int(big_endian),
        step=width * values.itemsize + padding,
        data=b''.join(rows),
    )


def camera_model(width: int, height: int, focal_px: float) -> CameraModel:
    """Make a camera without distortion that looks through the center of its image."""
    return CameraModel.from_message(camera_info(width, height, focal_px), rectified=False)


def camera_info(
    width: int,
    height: int,
    focal_px: float,
    distortion: Sequence[float] = (),
    model: str = 'plumb_bob',
) -> Any:
    """Make the fields of a sensor_msgs/CameraInfo; its principal point is the image's center."""
    center = ((width - 1) / 2, (height - 1) / 2)
    k = [focal_px, 0.0, center[0], 0.0, focal_px, center[1], 0.0, 0.0, 1.0]
    return SimpleNamespace(
        width=width,
        height=height,
        distortion_model=model,
        d=list(distortion),
        k=k,
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0],
        binning_x=0,
        binning_y=0,
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    )


def pixel_box(left: float, top: float, right: float, bottom: float) -> list[float]:
    """Convert the edges of a box to center, size and rotation."""
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 0.0]
