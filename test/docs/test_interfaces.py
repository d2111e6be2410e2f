# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/interfaces.md and what a running node has."""

from __future__ import annotations

from pathlib import Path
import re

import pytest
from support.ros_graph import detector_node, StubFactory
from trt_detector.image.encodings import SUPPORTED_ENCODINGS

PAGE = (Path(__file__).resolve().parents[2] / 'docs' / 'interfaces.md').read_text('utf-8')
# What every node of rclpy has; releases differ in these.
EVERY_NODE = re.compile('parameter|/rosout|/get_type_description')


def read_table(title: str) -> set[tuple[str, str]]:
    """Read the full names and the types of a table; `~` is the node /detector."""
    table = PAGE.partition(f'## {title}\n')[2].partition('\n## ')[0]
    rows = re.findall(r'^\| `([~/]\S+)` \| `([\w/]+)` \|', table, flags=re.MULTILINE)
    return {(name.replace('~', '/detector'), type_) for name, type_ in rows}


def flatten(listed: list[tuple[str, list[str]]]) -> set[tuple[str, str]]:
    """Pair each name with its type, without what every node has."""
    return {(name, types[0]) for name, types in listed if not EVERY_NODE.search(name)}


def test_topics_and_services_are_those_of_a_running_node() -> None:
    with detector_node(StubFactory()) as running:
        assert running.configure()
        assert running.activate()
        node = running.node
        published = node.get_publisher_names_and_types_by_node('detector', '/')
        subscribed = node.get_subscriber_names_and_types_by_node('detector', '/')
        served = node.get_service_names_and_types_by_node('detector', '/')
    assert flatten(published) == read_table('Topics')
    assert flatten(served) == read_table('Services')
    assert flatten(subscribed) == {('/image_raw', 'sensor_msgs/msg/Image')}
    assert '| names in `image_topics` (subscribed) | `sensor_msgs/msg/Image` |' in PAGE


@pytest.mark.parametrize('encoding', sorted(SUPPORTED_ENCODINGS))
def test_every_encoding_is_named(encoding: str) -> None:
    text = PAGE.partition('## Image encodings')[2]
    named = set(re.findall(r'`([\w*]+)`', text))
    families = {'bayer_': 'every `bayer_*`', '16': '16-bit'}
    assert encoding in named or any(
        part in encoding and words in text for part, words in families.items()
    )
