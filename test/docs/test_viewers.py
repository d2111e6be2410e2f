# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Layouts for Foxglove and RViz: well-formed, and of topics and values that the nodes publish."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import pytest
from support.ros_graph import detector_node, StubFactory, wait_until
from vision_msgs.msg import Detection2DArray
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOXGLOVE = json.loads((ROOT / 'config' / 'foxglove.json').read_text(encoding='utf-8'))
RVIZ = yaml.safe_load((ROOT / 'config' / 'detector.rviz').read_text(encoding='utf-8'))
# Panels and displays of the viewers, with the keys that name a topic or a message path.
PANELS = {'Image', 'DiagnosticSummary', 'Plot'}
DISPLAYS = {
    'rviz_default_plugins/Image': 'sensor_msgs/msg/Image',
    'rviz_default_plugins/MarkerArray': 'visualization_msgs/msg/MarkerArray',
}
FILTER = re.compile(r'\{(\w+)=="([^"]*)"\}')


def read_page(name: str) -> str:
    """Read a page of the documentation."""
    return (ROOT / 'docs' / name).read_text(encoding='utf-8')


def documented_topics() -> dict[str, str]:
    """List the topics of both nodes, of the pages that other tests compare with running nodes."""
    found = {}
    for page, node in (('interfaces.md', '/detector'), ('detections_3d.md', '/detections_3d')):
        row = re.compile(r'^\| `([~/][\w/]+)`[^|]*\| `([\w/]+)` \|', re.MULTILINE)
        for topic, kind in row.findall(read_page(page)):
            full = kind if '/msg/' in kind else kind.replace('/', '/msg/')
            found[topic.replace('~', node)] = full
    command = re.search(r'image_topic:=(\S+)', (ROOT / 'README.md').read_text(encoding='utf-8'))
    assert command
    return {**found, command[1]: 'sensor_msgs/msg/Image'}


TOPICS = documented_topics()


def list_leaves(node: Any) -> Iterator[str]:
    """List the panel ids in the tree of a layout."""
    if isinstance(node, str):
        yield node
        return
    assert node['direction'] in ('row', 'column')
    assert 0 < node.get('splitPercentage', 50) < 100
    yield from list_leaves(node['first'])
    yield from list_leaves(node['second'])


def plot_paths() -> list[str]:
    """List the message paths of the plots."""
    plots = [panel for name, panel in FOXGLOVE['configById'].items() if name.startswith('Plot!')]
    return [path['value'] for plot in plots for path in plot['paths'] if path['enabled']]


def test_each_panel_of_foxglove_has_its_settings_and_its_place() -> None:
    placed = list(list_leaves(FOXGLOVE['layout']))
    assert sorted(placed) == sorted(FOXGLOVE['configById'])
    for name in placed:
        kind, _, identifier = name.partition('!')
        assert kind in PANELS, name
        assert re.fullmatch(r'\w+', identifier), name


def test_topics_of_foxglove_are_published() -> None:
    panels = FOXGLOVE['configById']
    image = panels['Image!detections']['imageMode']
    assert TOPICS[image['imageTopic']] == 'sensor_msgs/msg/Image'
    for topic in image['annotations']:
        assert TOPICS[topic] == 'foxglove_msgs/msg/ImageAnnotations'
    diagnostics = panels['DiagnosticSummary!health']['topicToRender']
    assert TOPICS[diagnostics] == 'diagnostic_msgs/msg/DiagnosticArray'
    assert {path.partition('.')[0] for path in plot_paths()} <= set(TOPICS)


def test_topics_of_rviz_are_published() -> None:
    displays = RVIZ['Visualization Manager']['Displays']
    with_topics = [each for each in displays if 'Topic' in each]
    assert {each['Class'] for each in with_topics} == set(DISPLAYS)
    for display in with_topics:
        assert TOPICS[display['Topic']['Value']] == DISPLAYS[display['Class']]
        assert display['Enabled'] is display['Value']
    by_topic = {each['Topic']['Value']: each['Topic'] for each in with_topics}
    # A camera driver is best effort: a reliable subscription would get nothing.
    assert by_topic['/camera/image_raw']['Reliability Policy'] == 'Best Effort'


def follow(message: Any, path: str) -> list[Any]:
    """Read the values of a message path: fields, [:], [0] and {field=="text"}."""
    values = [message]
    for field, index, wanted in re.findall(r'\.(\w+)(\[\d*:?\])?((?:\{[^}]*\})*)', path):
        values = [getattr(value, field) for value in values]
        if index == '[:]':
            values = [item for value in values for item in value]
        elif index:
            values = [value[int(index[1:-1])] for value in values]
        for key, text in FILTER.findall(wanted):
            values = [value for value in values if getattr(value, key) == text]
    return values


@pytest.fixture(scope='module')
def messages() -> Iterator[dict[str, list[Any]]]:
    """Run a node with a camera; provide what it publishes."""
    with detector_node(StubFactory(), diagnostics_period=0.1) as running:
        collected = {
            '/diagnostics': running.collect(DiagnosticArray, '/diagnostics'),
            '/detector/detections': running.collect(Detection2DArray, '/detector/detections'),
        }
        assert running.configure()
        assert running.activate()
        with running.images():
            yield collected


@pytest.mark.parametrize('path', plot_paths())
def test_plots_show_numbers_that_a_node_publishes(
    path: str, messages: dict[str, list[Any]]
) -> None:
    topic, _, rest = path.partition('.')

    def find() -> list[Any]:
        return [value for message in messages[topic] for value in follow(message, f'.{rest}')]

    assert float(wait_until(find, path)[-1]) >= 0


def test_pages_name_the_layouts() -> None:
    page = read_page('viewers.md')
    for name in ('foxglove.json', 'detector.rviz'):
        assert f'config/{name}' in page
