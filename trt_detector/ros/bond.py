# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bond with the lifecycle manager of Nav2, which notices by it that the process has died."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.node import Node

from ..errors import ConfigError

__all__ = ['LifecycleBond']

# Nav2 forms the bonds of its nodes on this topic, with the name of the node as the ID.
_TOPIC = 'bond'
_BEATS_PER_TIMEOUT = 20


class LifecycleBond:
    """
    Bond that exists while the node is active, as the nodes of Nav2 have it.

    :param node: the lifecycle node.
    :param timeout_s: heartbeat timeout, bond_timeout of the lifecycle manager; 0 is no bond.
    :raises ConfigError: if a bond is requested and bondpy is not installed.
    """

    def __init__(self, node: Node, timeout_s: float) -> None:
        self._node = node
        self._timeout_s = timeout_s
        self._bond: Any = None
        self._bondpy: Any = None
        if timeout_s > 0:
            try:
                self._bondpy = importlib.import_module('bondpy.bondpy')
            except ImportError as error:
                raise ConfigError(
                    f'bond_timeout is {timeout_s:g}, but bondpy cannot be imported ({error}): '
                    'install ros-$ROS_DISTRO-bondpy, or set bond_timeout to 0'
                ) from error

    def start(self) -> None:
        """Form the bond."""
        if self._bondpy is None:
            return
        bond = self._bondpy.Bond(self._node, _TOPIC, self._node.get_name())
        bond.heartbeat_timeout = self._timeout_s
        bond.heartbeat_period = self._timeout_s / _BEATS_PER_TIMEOUT
        bond.start()
        self._bond = bond

    def stop(self) -> None:
        """Break the bond; calling it again does nothing."""
        bond, self._bond = self._bond, None
        if bond is not None:
            # bondpy destroys both without the node, whose executor would fail on them forever.
            self._node.destroy_subscription(bond.sub)
            bond.shutdown()
            self._node.destroy_publisher(bond.pub)
