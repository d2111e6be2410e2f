# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy allows what the node needs, and nothing else."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.ros_graph import detector_node, StubFactory

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'sros2' / 'detector.policy.xml'
# What a node needs in other configurations than the default one.
OPTIONAL_SUBSCRIPTIONS = {'/image_raw/compressed', '/clock', '/parameter_events'}


def read_policy(kind: str, right: str) -> set[str]:
    """Return the full names of the topics or services with a right."""
    root = ET.parse(POLICY).getroot()
    names = [
        str(entry.text)
        for group in root.iter(f'{kind}s')
        if group.get(right) == 'ALLOW'
        for entry in group.iter(kind)
    ]
    full = {'/': '', '~': '/detector'}
    return {full[name[0]] + name.lstrip('~') if name[0] in full else f'/{name}' for name in names}


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_policy_is_what_a_running_node_uses(transport: str) -> None:
    with detector_node(StubFactory(), image_transport=transport) as running:
        assert running.configure()
        assert running.activate()
        node = running.node
        name, namespace = node.get_name(), node.get_namespace()
        assert (name, namespace) == ('detector', '/')
        published = {n for n, _ in node.get_publisher_names_and_types_by_node(name, namespace)}
        subscribed = {n for n, _ in node.get_subscriber_names_and_types_by_node(name, namespace)}
        served = {n for n, _ in node.get_service_names_and_types_by_node(name, namespace)}
        called = {n for n, _ in node.get_client_names_and_types_by_node(name, namespace)}
    assert published == read_policy('topic', 'publish')
    images = {'raw': '/image_raw', 'compressed': '/image_raw/compressed'}
    assert subscribed == {images[transport]}
    assert read_policy('topic', 'subscribe') == {'/image_raw'} | OPTIONAL_SUBSCRIPTIONS
    # Releases of rclpy differ in the service of type descriptions only.
    optional = {'/detector/get_type_description'}
    assert served | optional == read_policy('service', 'reply')
    assert not called
    assert not read_policy('service', 'request')
