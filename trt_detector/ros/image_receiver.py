# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Thread that receives images and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
import threading
import traceback
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.task import Future
from rclpy.waitable import Waitable

__all__ = ['ImageGroup', 'ImageReceiver']


class ImageGroup(MutuallyExclusiveCallbackGroup):
    """
    Callback group of the subscriptions that only :class:`ImageReceiver` executes.

    It covers their events, too: an executor that waits for these wakes up for each image.
    """


class _Entities:
    """Stand-in for a node that shows an executor image subscriptions only."""

    timers = clients = services = guards = ()

    def __init__(self) -> None:
        self.subscriptions: Sequence[Subscription] = ()
        self.waitables: Sequence[Waitable] = ()
        self.executor: Any = None

    def set_subscriptions(self, subscriptions: Sequence[Subscription]) -> None:
        """Replace the subscriptions and their events."""
        self.waitables = tuple(
            handler for subscription in subscriptions for handler in subscription.event_handlers
        )
        self.subscriptions = tuple(subscriptions)


class ImageReceiver:
    """
    Runs the callbacks of image subscriptions.

    rclpy rebuilds its wait set after each callback, three times in a multithreaded executor. For
    a node with twenty services that costs more than taking a 1920x1080 image; for a few
    subscriptions alone it costs almost nothing.

    :param node: owns the subscriptions and hides them from its own executor.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._entities = _Entities()
        # Kept as long as the node: a context keeps every executor that was ever created.
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._entities)
        self._stop: Future | None = None
        self._thread: threading.Thread | None = None

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """Start to run the callbacks of these subscriptions."""
        self._entities.set_subscriptions(subscriptions)
        self._stop = Future()
        self._thread = threading.Thread(
            target=self._spin, args=(self._stop,), name='images', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Wait for the running callback and run no more; calling it again does nothing."""
        if self._thread is None or self._stop is None:
            return
        self._stop.set_result(None)
        self._thread.join()
        self._thread = self._stop = None
        self._entities.set_subscriptions(())

    def close(self) -> None:
        """Stop and release the executor."""
        self.stop()
        self._executor.shutdown()

    def _spin(self, stop: Future) -> None:
        """Thread main loop."""
        while not stop.done() and self._node.context.ok():
            try:
                self._executor.spin_until_future_complete(stop)
            except ExternalShutdownException:
                return
            except Exception:  # noqa: BLE001 logged; the next images may be fine
                self._node.get_logger().error(
                    f'exception while receiving images:\n{traceback.format_exc()}',
                    throttle_duration_sec=5.0,
                )
