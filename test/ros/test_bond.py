# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the bond with a lifecycle manager, with a double of bondpy."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from std_msgs.msg import String
from support.ros_graph import detector_node, values_of


class Bond:
    """Bond of bondpy, as far as it is used: attributes are fixed once it is started."""

    made: list[Bond]

    def __init__(self, node: Any, topic: str, bond_id: str) -> None:
        self.pub = node.create_publisher(String, topic, 1)
        self.topic, self.id, self.node = topic, bond_id, node
        self.heartbeat_timeout, self.heartbeat_period = 4.0, 1.0
        self.calls: list[str] = []
        Bond.made.append(self)

    def start(self) -> None:
        self.sub = self.node.create_subscription(String, self.topic, lambda _: None, 1)
        self.calls.append(f'start {self.heartbeat_timeout:g} {self.heartbeat_period:g}')

    def shutdown(self) -> None:
        self.calls.append('shutdown')
        # As bondpy has it: the node still lists both.
        self.sub.destroy()
        self.pub.destroy()


@pytest.fixture(name='bonds')
def _bonds(monkeypatch: pytest.MonkeyPatch) -> list[Bond]:
    Bond.made = []
    monkeypatch.setitem(sys.modules, 'bondpy', SimpleNamespace())
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', SimpleNamespace(Bond=Bond))
    return Bond.made


def test_bond_exists_while_the_node_is_active(bonds: list[Bond]) -> None:
    with detector_node(bond_timeout=2.0) as running:
        assert running.configure()
        assert bonds == []
        for number in (1, 2):
            assert running.activate()
            assert len(bonds) == number
            assert (bonds[-1].topic, bonds[-1].id) == ('bond', 'detector')
            assert bonds[-1].calls == ['start 2 0.1']
            assert running.deactivate()
            assert bonds[-1].calls == ['start 2 0.1', 'shutdown']
        assert running.activate()
        assert running.node.finalize()
        assert bonds[-1].calls[-1] == 'shutdown'


def test_no_bond_by_default(bonds: list[Bond]) -> None:
    with detector_node() as running:
        assert running.configure()
        assert running.activate()
    assert bonds == []


def test_missing_bondpy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', None)
    monkeypatch.setitem(sys.modules, 'bondpy', None)
    with detector_node(bond_timeout=4.0) as running:
        assert not running.configure()
        error = values_of(running.status('detector'))['last error']
        assert 'bond_timeout is 4, but bondpy cannot be imported' in error
        assert 'install ros-$ROS_DISTRO-bondpy' in error
