# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that decide when to detect, and what to publish."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..parameter_spec import parameter

__all__ = ['DemandParameters']


@dataclass(frozen=True, kw_only=True)
class DemandParameters:
    """Group of parameters of :class:`trt_detector.config.DetectorConfig`, which has the slots."""

    __slots__ = ()

    enabled: bool = parameter(
        True,
        'Detect; false is a pause: images are received and dropped unread. Service ~/set_enabled '
        'sets it.',
        live=True,
    )
    max_rate: tuple[float, ...] = parameter(
        (),
        'Maximum rate of detection per camera: one number for all cameras, or one per camera in '
        'the order of image_topics; the other images are dropped unread; 0 or empty is no limit.',
        unit='Hz',
        minimum=0.0,
        maximum=10_000.0,
        live=True,
    )
    publish_empty: bool = parameter(
        True, 'Publish the array of an image in which nothing was found, too.', live=True
    )
    publish_annotations: bool = parameter(
        False,
        'Publish boxes and labels for the image panel of Foxglove while it shows them; needs '
        'foxglove_msgs.',
    )

    lazy: bool = parameter(
        False,
        'Subscribe to the images of a camera only while somebody subscribes to its detections or '
        'debug images, or a request of service ~/detect waits.',
    )
    detect_timeout: float = parameter(
        5.0,
        'Maximum time that service ~/detect waits for the detections of the next image.',
        unit='s',
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )

    def check_demand(self, cameras: int) -> None:
        """
        Refuse rates that are neither one for all nor one per camera.

        :raises ConfigError: with both numbers.
        """
        if len(self.max_rate) not in (0, 1, cameras):
            raise ConfigError(
                f'max_rate has {len(self.max_rate)} numbers for {cameras} image_topics; expected '
                'one for all cameras, or one per camera'
            )

    def max_rates_hz(self, cameras: int) -> tuple[float, ...]:
        """Maximum rate of each camera in Hz; 0 is no limit."""
        rates = self.max_rate or (0.0,)
        return rates * cameras if len(rates) == 1 else rates
