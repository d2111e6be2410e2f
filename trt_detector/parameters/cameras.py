# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the cameras: their topics, messages and limits."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..parameter_spec import parameter

__all__ = ['CameraParameters']


@dataclass(frozen=True, kw_only=True)
class CameraParameters:
    """Group of parameters of :class:`trt_detector.config.DetectorConfig`, which has the slots."""

    __slots__ = ()

    image_topics: tuple[str, ...] = parameter(
        ('image_raw',),
        'Image topics of the cameras; /compressed is appended for compressed images.',
    )
    image_transport: str = parameter(
        'raw',
        'Image message: raw is sensor_msgs/Image, compressed is sensor_msgs/CompressedImage '
        '(JPEG, PNG, WebP, TIFF). A topic that ends in /compressed, before or after remapping, is '
        'always compressed.',
        choices=('raw', 'compressed'),
    )
    max_image_pixels: int = parameter(
        64_000_000,
        'Larger images are refused, compressed ones before they are decoded.',
        unit='pixels',
        minimum=1,
        maximum=2_000_000_000,
    )
    qos_reliability: str = parameter(
        'auto',
        'Reliability of the image subscriptions; auto is reliable if every publisher of the topic '
        'is, else best effort, and follows changes.',
        choices=('auto', 'best_effort', 'reliable'),
    )
    image_timeout: float = parameter(
        2.0,
        'Time without an image after which a camera is reported as silent.',
        unit='s',
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )
    batch_wait_ms: float = parameter(
        0.0,
        'Maximum time that the first image of a batch waits for those of the other cameras.',
        unit='ms',
        minimum=0.0,
        maximum=1000.0,
    )

    def check_cameras(self) -> None:
        """Refuse an empty list of cameras, and duplicates."""
        if not self.image_topics:
            raise ConfigError('image_topics is empty; name at least one image topic')
        duplicates = sorted({t for t in self.image_topics if self.image_topics.count(t) > 1})
        if duplicates:
            raise ConfigError(
                f'image_topics names {duplicates} more than once; name each camera once'
            )
