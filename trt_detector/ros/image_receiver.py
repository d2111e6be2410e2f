# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that waits for images and for nothing else."""

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
    Marks subscriptions that :class:`ImageReceiver` serves, and no other executor.

    Their events are marked as well: waiting for these wakes a thread for each image, too.
    """


class _Entities:
    """
    What an executor looks at in a node: here image subscriptions only.

    :param subscriptions: served while they are here.
    """

    timers = clients = services = guards = ()

    def __init__(self) -> None:
        self.subscriptions: Sequence[Subscription] = ()
        self.waitables: Sequence[Waitable] = ()
        self.executor: Any = None

    def serve(self, subscriptions: Sequence[Subscription]) -> None:
        """Show these subscriptions and their events."""
        self.waitables = tuple(
            handler for subscription in subscriptions for handler in subscription.event_handlers
        )
        self.subscriptions = tuple(subscriptions)


class ImageReceiver:
    """
    Runs the callbacks of image subscriptions.

    rclpy builds its list of everything to wait for anew after each callback, three times in an
    executor of several threads. For a node with its twenty services that costs more than taking
    an image of 1920x1080; for a few subscriptions alone it costs next to nothing.

    :param node: whose subscriptions they are; it hides them from its own executor.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._entities = _Entities()
        # Kept for the node's life: a context remembers every executor it ever had.
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._entities)
        self._stop: Future | None = None
        self._thread: threading.Thread | None = None

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """Run the callbacks of these subscriptions from now on."""
        self._entities.serve(subscriptions)
        self._stop = Future()
        self._thread = threading.Thread(
            target=self._spin, args=(self._stop,), name='images', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Return when no callback runs, and none will; calling it again does nothing."""
        if self._thread is None or self._stop is None:
            return
        self._stop.set_result(None)
        self._thread.join()
        self._thread = self._stop = None
        self._entities.serve(())

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._executor.shutdown()

    def _spin(self, stop: Future) -> None:
        """Be the thread."""
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
