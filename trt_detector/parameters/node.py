# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the node: publishing, diagnostics, metrics, lifecycle and recovery."""

from __future__ import annotations

from dataclasses import dataclass

from ..parameter_spec import parameter

__all__ = ['NodeParameters']


@dataclass(frozen=True, kw_only=True)
class NodeParameters:
    """Group of parameters of :class:`trt_detector.config.DetectorConfig`, which has the slots."""

    __slots__ = ()

    class_id_format: str = parameter(
        'name',
        'Content of class_id in a detection: name or number of the class.',
        choices=('name', 'index'),
    )
    publish_debug_image: bool = parameter(
        True, 'Publish an image with the detections drawn while it has subscribers.', live=True
    )
    diagnostics_period: float = parameter(
        1.0, 'Period of the diagnostics messages.', unit='s', minimum=0.1, maximum=60.0
    )
    degradation_window: float = parameter(
        10.0,
        'Duration of a slowdown until it is reported, and of the live images that are the '
        'baseline of the stage times; 0 is off.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
        live=True,
    )
    degradation_factor: float = parameter(
        1.5,
        'A stage is slow if its 95th percentile is above this multiple of its baseline.',
        minimum=1.0,
        maximum=100.0,
        live=True,
    )
    metrics_port: int = parameter(
        0,
        'TCP port of the Prometheus metrics, one per node; 0 is off; needs prometheus-client.',
        minimum=0,
        maximum=65535,
    )
    metrics_address: str = parameter(
        '127.0.0.1',
        'Address of this machine at which the metrics are served; 0.0.0.0 is all networks, '
        'without a password.',
    )
    autostart: bool = parameter(False, 'Configure and activate without a lifecycle manager.')
    recover: bool = parameter(
        False,
        'Configure and activate again after every inference has failed, with a pause that grows '
        'from 1 to 60 s; without it the node stays unconfigured then.',
        live=True,
    )
    inference_timeout: float = parameter(
        10.0,
        'Time after which an inference that has not returned is reported as hanging; 0 is off. '
        'Warm-up and the first run of a batch size are not timed.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
        live=True,
    )
    on_hang: str = parameter(
        'report',
        'Action if an inference hangs: report it on /diagnostics, or exit with code 3 as well, '
        'for a supervisor that starts the process again.',
        choices=('report', 'exit'),
        live=True,
    )
    bond_timeout: float = parameter(
        0.0,
        'Heartbeat timeout of the bond with the lifecycle manager of Nav2, as its bond_timeout; 0 '
        'is no bond; needs bondpy.',
        unit='s',
        minimum=0.0,
        maximum=600.0,
    )
