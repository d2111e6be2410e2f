# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy allows what the node needs, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from std_msgs.msg import Header
from support.depth_graph import depth_node
from support.ros_graph import detector_node, StubFactory

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'sros2' / 'detector.policy.xml'
# What a node needs in other configurations than the default one.
OPTIONAL_SUBSCRIPTIONS = {'/image_raw/compressed', '/clock', '/parameter_events', '/bond'}
DEPTH_OPTIONAL_SUBSCRIPTIONS = {'/tf', '/tf_static', '/clock', '/parameter_events'}
# Releases of rclpy differ in the service of type descriptions only.
TYPE_DESCRIPTION = 'get_type_description'


def read_policy(kind: str, right: str, node: str = 'detector') -> set[str]:
    """Return the full names of the topics or services with a right."""
    (profile,) = (
        profile
        for enclave in ET.parse(POLICY).getroot().iter('enclave')
        if enclave.get('path') == f'/{node}'
        for profile in enclave.iter('profile')
    )
    assert (profile.get('ns'), profile.get('node')) == ('/', node)
    names = [
        str(entry.text)
        for group in profile.iter(f'{kind}s')
        if group.get(right) == 'ALLOW'
        for entry in group.iter(kind)
    ]
    full = {'/': '', '~': f'/{node}'}
    return {full[name[0]] + name.lstrip('~') if name[0] in full else f'/{name}' for name in names}


def list_used(node: Any) -> dict[str, set[str]]:
    """List what a node publishes, subscribes to, serves and calls."""
    where = node.get_name(), node.get_namespace()
    assert where[1] == '/'
    return {
        'published': {n for n, _ in node.get_publisher_names_and_types_by_node(*where)},
        'subscribed': {n for n, _ in node.get_subscriber_names_and_types_by_node(*where)},
        'served': {n for n, _ in node.get_service_names_and_types_by_node(*where)},
        'called': {n for n, _ in node.get_client_names_and_types_by_node(*where)},
    }


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_policy_is_what_a_running_node_uses(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the name of the topic counts, so that any message will do.
    double = SimpleNamespace(ImageAnnotations=Header)
    monkeypatch.setattr('trt_detector.ros.session.load_foxglove_msgs', lambda: double)
    options = {'image_transport': transport, 'publish_annotations': True}
    with detector_node(StubFactory(), **options) as running:
        assert running.configure()
        assert running.activate()
        used = list_used(running.node)
    # The bond of bondpy is on the topic /bond in both directions.
    assert used['published'] | {'/bond'} == read_policy('topic', 'publish')
    images = {'raw': '/image_raw', 'compressed': '/image_raw/compressed'}
    assert used['subscribed'] == {images[transport]}
    assert read_policy('topic', 'subscribe') == {'/image_raw'} | OPTIONAL_SUBSCRIPTIONS
    served = used['served'] | {f'/detector/{TYPE_DESCRIPTION}'}
    assert served == read_policy('service', 'reply')
    assert {'/detector/detect', '/detector/set_enabled'} <= served
    assert not used['called']
    assert not read_policy('service', 'request')


def test_policy_is_what_a_running_node_for_3d_uses() -> None:
    node = 'detections_3d'
    topics = {'detections': 'detector/detections', 'depth': 'depth/image_raw'}
    with depth_node(**{f'{name}_topic': topic for name, topic in topics.items()}) as running:
        assert running.node.get_name() == node
        used = list_used(running.node)
    # Markers need visualization_msgs.
    markers = {f'/{node}/markers'}
    assert used['published'] | markers == read_policy('topic', 'publish', node)
    inputs = {f'/{topic}' for topic in (*topics.values(), 'depth/camera_info')}
    assert used['subscribed'] == inputs
    allowed = read_policy('topic', 'subscribe', node)
    assert allowed == inputs | DEPTH_OPTIONAL_SUBSCRIPTIONS
    assert used['served'] | {f'/{node}/{TYPE_DESCRIPTION}'} == read_policy(
        'service', 'reply', node
    )
    assert not used['called']
    assert not read_policy('service', 'request', node)
