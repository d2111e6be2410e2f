# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the metrics over HTTP, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import socket
import sys
import threading
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from sensor_msgs.msg import Image as ImageMessage
from support.ros_graph import detector_node, image_message, RunningNode, wait_until
from trt_detector.errors import ConfigError
from trt_detector.ros.monitoring.diagnostics import NodeHealth
from trt_detector.ros.monitoring.metrics_server import MetricsServer
from trt_detector.values.device_state import DeviceState

NEEDS_CLIENT = 'prometheus_client is missing: pip install prometheus-client'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def scrape(port: int, path: str = '/metrics') -> dict[str, list[Any]]:
    """Read the samples of an endpoint by the name of their metric."""
    parser = pytest.importorskip('prometheus_client.parser', reason=NEEDS_CLIENT)
    with urlopen(f'http://127.0.0.1:{port}{path}', timeout=10) as answer:
        text = answer.read().decode()
    samples: dict[str, list[Any]] = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


@contextmanager
def metrics_server(state: str = 'active') -> Iterator[tuple[MetricsServer, list[str]]]:
    pytest.importorskip('prometheus_client', reason=NEEDS_CLIENT)
    errors: list[str] = []
    server = MetricsServer(NodeHealth(lambda: state), '/detector', errors.append)
    try:
        yield server, errors
    finally:
        server.close()


class Device:
    """A GPU that always reads the same."""

    def latest(self) -> DeviceState:
        return DeviceState(
            read_s=time.monotonic(), name='Double', temperature_c=61.0, gpu_percent=40.0,
            clock_mhz=1800.0, power_w=12.5,
        )  # fmt: skip

    def close(self) -> None:
        return None


def test_scrape_has_the_figures_of_the_node() -> None:
    pytest.importorskip('prometheus_client', reason=NEEDS_CLIENT)
    port, topics = free_port(), ['/left/image_raw', '/right/image_raw']
    parameters: dict[str, Any] = {'image_topics': topics, 'metrics_port': port}
    with detector_node(watch=lambda _info: Device(), **parameters) as running:
        assert running.configure()
        assert running.activate()
        publisher = running.publisher(ImageMessage, topics[1])
        wait_until(publisher.get_subscription_count, 'the subscription')
        publish(running, publisher, 3)
        samples = scrape(port)
        assert running.deactivate()
        assert running.cleanup()
        after = scrape(port)
    node = {'node': '/detector'}
    counts = {s.labels['camera']: s.value for s in samples['trt_detector_images_published_total']}
    assert counts == {'/left/image_raw': 0.0, '/right/image_raw': 3.0}
    (infer,) = [
        s
        for s in samples['trt_detector_stage_seconds']
        if s.labels == {**node, 'stage': 'infer', 'quantile': '0.95'}
    ]
    assert infer.value == 0.002
    (info,) = samples['trt_detector_info']
    assert (info.labels['backend'], info.labels['model']) == ('stub', 'stub.onnx')
    device = {**node, 'device': 'Double'}
    expected = {
        'temperature_celsius': 61.0,
        'utilization_ratio': 0.4,
        'clock_hertz': 1.8e9,
        'power_watts': 12.5,
    }
    for name, value in expected.items():
        (sample,) = samples[f'trt_detector_device_{name}']
        assert (sample.labels, sample.value) == (device, pytest.approx(value))
    assert 'trt_detector_device_power_limit_watts' not in samples
    assert states_of(samples) == {
        'active': 1.0,
        'inactive': 0.0,
        'unconfigured': 0.0,
        'finalized': 0.0,
    }
    assert states_of(after)['unconfigured'] == 1.0
    assert 'trt_detector_info' not in after


def publish(running: RunningNode, publisher: Any, number: int) -> None:
    """Publish images one after the other until a number of them was processed."""
    session = running.node._health.session
    assert session is not None
    for count in range(1, number + 1):
        publisher.publish(image_message())
        wait_until(lambda: session.statistics.counts(1).published == count, 'the detections')  # noqa: B023


def states_of(samples: dict[str, list[Any]]) -> dict[str, float]:
    return {s.labels['state']: s.value for s in samples['trt_detector_state']}


def test_nodes_of_one_process_have_registries_of_their_own() -> None:
    with metrics_server('active') as (first, _), metrics_server('inactive') as (second, _):
        ports = free_port(), free_port()
        first.apply('127.0.0.1', ports[0])
        second.apply('127.0.0.1', ports[1])
        assert states_of(scrape(ports[0]))['active'] == 1.0
        assert states_of(scrape(ports[1]))['active'] == 0.0


def test_taken_port_is_an_error_and_free_again_after_close() -> None:
    with metrics_server() as (first, _), metrics_server() as (second, _):
        port = free_port()
        first.apply('127.0.0.1', port)
        with pytest.raises(
            ConfigError, match=f'port {port}: Address already in use; set metrics_'
        ):
            second.apply('127.0.0.1', port)
        first.close()
        second.apply('127.0.0.1', port)
        assert scrape(port, '/')
        second.apply('127.0.0.1', 0)
        with pytest.raises(OSError, match='refused'):
            urlopen(f'http://127.0.0.1:{port}/metrics', timeout=10)


@pytest.mark.parametrize(
    ('address', 'text'),
    [
        ('', "metrics_address is ''; expected an address"),
        ('192.0.2.1', 'Cannot assign'),
        ('\u00e9..b', 'hostname failed; set metrics_port'),
        ('a\0b', 'null character; set metrics_port'),
    ],
)
def test_wrong_address_is_an_error(address: str, text: str) -> None:
    with metrics_server() as (server, _), pytest.raises(ConfigError, match=text):
        server.apply(address, free_port())


def test_metrics_are_not_reachable_from_the_network_by_default() -> None:
    with metrics_server() as (server, _):
        port = free_port()
        server.apply('127.0.0.1', port)
        # Another loopback address stands for another interface of the machine.
        with pytest.raises(OSError, match='refused'):
            socket.create_connection(('127.0.0.2', port), timeout=10)


def test_other_paths_and_failures_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    with metrics_server() as (server, errors):
        port = free_port()
        server.apply('127.0.0.1', port)
        with pytest.raises(HTTPError, match='404'):
            scrape(port, '/secret')

        def fail(_self: Any) -> str:
            raise RuntimeError('no state')

        monkeypatch.setattr(NodeHealth, 'state', property(fail))
        with pytest.raises(HTTPError, match='500'):
            scrape(port)
        assert 'no state' in errors[0]


def test_missing_package_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'prometheus_client', None)
    server = MetricsServer(NodeHealth(lambda: 'active'), '/detector', print)
    with pytest.raises(ConfigError, match=r'metrics_port is 9464.*python3-prometheus-client'):
        server.apply('127.0.0.1', 9464)


def test_node_that_cannot_serve_its_metrics_stays_unconfigured() -> None:
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        with detector_node(metrics_port=port) as running:
            assert not running.configure()
            assert f'{port}' in running.status('detector').message


def test_metrics_that_are_off_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'prometheus_client', None)
    with detector_node() as running:
        assert running.configure()
        assert all(thread.name != 'metrics' for thread in threading.enumerate())
