# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the analyzers of diagnostic_aggregator against the names that a node publishes."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from support.ros_graph import detector_node, ROOT, wait_until
from trt_detector.values.device_state import DeviceState
import yaml


class Device:
    """A GPU that always reads the same."""

    def latest(self) -> DeviceState:
        return DeviceState(read_s=time.monotonic(), name='Double')

    def close(self) -> None:
        return None


def read_analyzers() -> dict[str, Any]:
    """Read the analyzers by the path that they have under the path of the aggregator."""
    content = yaml.safe_load((ROOT / 'config' / 'diagnostic_aggregator.yaml').read_text())
    values = content['/**']['ros__parameters']
    assert values.pop('path') == 'Detection'
    assert all(each['type'] == 'diagnostic_aggregator/GenericAnalyzer' for each in values.values())
    return {each['path']: each for each in values.values()}


def find_paths(name: str) -> list[str]:
    """Find the analyzers that take a status: an expression has to match its whole name."""
    return [
        path
        for path, each in read_analyzers().items()
        if any(re.fullmatch(pattern, name) for pattern in each['regex'])
    ]


@pytest.mark.parametrize('names', [(), ('-r', '__ns:=/robot/front', '-r', '__node:=eyes')])
def test_every_status_of_a_node_has_one_analyzer(names: tuple[str, ...]) -> None:
    topics = ['/left/image_raw', '/right/image_raw']
    prefix = 'robot/front/eyes' if names else 'detector'
    seen: dict[str, list[str]] = {}
    with detector_node(
        watch=lambda _info: Device(), cli_args=names, image_topics=topics
    ) as running:
        assert running.node.bring_up()

        def is_complete() -> bool:
            for message in running.diagnostics:
                seen.update({status.name: find_paths(status.name) for status in message.status})
            return len(seen) >= 5

        wait_until(is_complete, 'all statuses')
    assert seen == {
        f'{prefix}: detector': ['Detector'],
        f'{prefix}: stages': ['Detector'],
        f'{prefix}: device': ['GPU'],
        f'{prefix}: camera /left/image_raw': ['Cameras'],
        f'{prefix}: camera /right/image_raw': ['Cameras'],
    }


def test_statuses_of_other_nodes_are_left_to_their_analyzers() -> None:
    for name in ('lidar: spin rate', 'camera_driver: camera info', 'detector'):
        assert find_paths(name) == []
