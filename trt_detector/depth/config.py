# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the detections_3d node: names, defaults, units, descriptions and checks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..errors import ConfigError
from ..parameter_spec import check_all, check_value, describe_fields, parameter, ParameterSpec

__all__ = ['DepthConfig']


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthConfig:
    """
    Parameters of the detections_3d node, checked when the object is made.

    :raises ConfigError: if a value has the wrong type, is out of range or contradicts another.
    """

    detections_topic: str = parameter(
        'detector/detections', 'Topic of the detections, vision_msgs/Detection2DArray.'
    )
    depth_topic: str = parameter(
        'depth/image_raw',
        'Topic of the depth image, aligned to the image of the detections: sensor_msgs/Image in '
        '16UC1 or mono16 (mm) or 32FC1 (m).',
    )
    camera_info_topic: str = parameter(
        '',
        'Topic of the CameraInfo of the image of the detections; if empty, camera_info beside '
        'the depth image.',
    )
    rectified: bool = parameter(
        False,
        'The image of the detections and the depth image are rectified: P of the CameraInfo '
        'holds, otherwise K and the distortion D.',
    )
    qos_reliability: str = parameter(
        'auto',
        'Reliability of the subscriptions; auto is reliable if every publisher of the topic is, '
        'else best effort, and follows changes.',
        choices=('auto', 'best_effort', 'reliable'),
    )
    sync_tolerance: float = parameter(
        0.05,
        'Maximum difference between the stamps of detections and depth image.',
        unit='s',
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    queue_size: int = parameter(
        30,
        'Maximum number of depth images, and of detection arrays, that wait for each other; '
        'depth images take at most 256 MiB.',
        unit='messages',
        minimum=2,
        maximum=1000,
    )
    check_frames: bool = parameter(
        True,
        'Refuse detections and depth images whose frame_id differ: then the depth image is most '
        'likely not aligned.',
        live=True,
    )
    min_depth: float = parameter(
        0.1, 'Smaller depths are invalid.', unit='m', minimum=0.0, maximum=1000.0, live=True
    )
    max_depth: float = parameter(
        50.0, 'Larger depths are invalid.', unit='m', minimum=0.01, maximum=10_000.0, live=True
    )
    inner_share: float = parameter(
        0.5,
        'Share of the width and height of a box, around its center, that the depth is taken from.',
        minimum=0.05,
        maximum=1.0,
        live=True,
    )
    min_valid_share: float = parameter(
        0.2,
        'Minimum share of pixels with a valid depth there; a box with fewer gets no 3D detection.',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    thickness_ratio: float = parameter(
        1.0,
        'Assumed thickness of an object, as a multiple of the smaller of its width and height; a '
        'depth image shows only the front. 0 puts the position on the visible surface.',
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    target_frame: str = parameter(
        '',
        'Frame of the 3D detections; if empty, that of the depth image; needs tf2_ros.',
    )
    transform_timeout: float = parameter(
        0.1,
        'Maximum time to wait for the transform to target_frame.',
        unit='s',
        minimum=0.0,
        maximum=5.0,
        live=True,
    )
    input_timeout: float = parameter(
        2.0,
        'Time without a message after which a topic is reported as silent.',
        unit='s',
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )
    diagnostics_period: float = parameter(
        1.0, 'Period of the diagnostics messages.', unit='s', minimum=0.1, maximum=60.0
    )
    autostart: bool = parameter(False, 'Configure and activate without a lifecycle manager.')

    def __post_init__(self) -> None:
        check_all(partial(self._check_value, spec) for spec in describe_fields(DepthConfig))
        check_all((self._check_topics, self._check_range))

    @property
    def info_topic(self) -> str:
        """Topic of the CameraInfo."""
        if self.camera_info_topic:
            return self.camera_info_topic
        folder, slash, _ = self.depth_topic.rpartition('/')
        return f'{folder}{slash}camera_info'

    def _check_value(self, spec: ParameterSpec) -> None:
        """Check the type and range of one value, and put it in its canonical form."""
        object.__setattr__(self, spec.name, check_value(spec, getattr(self, spec.name)))

    def _check_topics(self) -> None:
        """Refuse empty topics."""
        for name in ('detections_topic', 'depth_topic'):
            if not getattr(self, name).strip():
                raise ConfigError(f'{name} is empty; expected the name of a topic')

    def _check_range(self) -> None:
        """Refuse a range of depths that is empty."""
        if self.min_depth >= self.max_depth:
            raise ConfigError(
                f'min_depth is {self.min_depth:g} and max_depth is {self.max_depth:g}; '
                'min_depth must be the smaller one'
            )
