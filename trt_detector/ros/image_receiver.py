# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Thread that receives images and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import threading
import traceback
from typing import Any, Protocol

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.task import Future
from rclpy.waitable import Waitable
from sensor_msgs.msg import CompressedImage, Image

from ..process.start_thread import start_thread
from .serialized.waitable import SerializedWaitable
from .topics import CameraTopics

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import (
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )

__all__ = ['ImageGroup', 'ImageReceiver', 'Receiver']

OnMessage = Callable[[Any, Mapping[str, Any]], None]
OnLost = Callable[[int], None]


class Receiver(Protocol):
    """
    Subscribes to images and runs the callbacks, see :class:`ImageReceiver`.

    :class:`.sharing.shared_subscriptions.SharedSubscriptions` does so for several nodes.
    """

    def subscribe(
        self,
        message_type: Any,
        camera: CameraTopics,
        qos: QoSProfile,
        on_message: OnMessage,
        on_lost: OnLost,
    ) -> Any:
        """Create a subscription, which has the attribute topic_name."""

    def unsubscribe(self, entity: Any) -> None:
        """Destroy a subscription."""

    def count_users(self, entity: Any) -> int:
        """Count the nodes that share a subscription."""

    def start(self, subscriptions: Sequence[Any]) -> None:
        """Start to run the callbacks of these subscriptions."""

    def stop(self) -> None:
        """Run no more callbacks until :meth:`start`."""


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
        self.serialized: dict[Subscription, SerializedWaitable] = {}
        self.executor: Any = None

    def set_subscriptions(self, subscriptions: Sequence[Subscription]) -> None:
        """Replace the subscriptions and their events."""
        self.waitables = (
            *(handler for each in subscriptions for handler in each.event_handlers),
            *(self.serialized[each] for each in subscriptions if each in self.serialized),
        )
        self.subscriptions = tuple(each for each in subscriptions if each not in self.serialized)


class _UnlockedContext:
    """
    Context for an executor, whose state can be read while it is being shut down.

    A context that is shut down destroys its nodes and holds its lock meanwhile; a node waits for
    the thread that receives its images, which must not wait for that lock.

    :param context: context of rclpy.
    """

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        """Read an attribute of the context."""
        return getattr(self._context, name)

    def ok(self) -> bool:
        """Tell whether the context is initialized and not shut down."""
        handle = self._context.handle
        try:
            with handle:
                return bool(handle.ok())
        except InvalidHandle:
            return False


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
        self._context: Any = _UnlockedContext(node.context)
        # Kept as long as the node: a context keeps every executor that was ever created.
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._entities)
        self._stop: Future | None = None
        self._thread: threading.Thread | None = None

    def subscribe(
        self,
        message_type: Any,
        camera: CameraTopics,
        qos: QoSProfile,
        on_message: OnMessage,
        on_lost: OnLost,
    ) -> Subscription:
        """
        Create a subscription, while no callback runs.

        :param message_type: type of the messages.
        :param camera: topics of the camera.
        :param qos: quality of service.
        :param on_message: called with each message and its message info, from :meth:`start` on;
            image messages are :data:`.serialized.image_message.ReceivedMessage`.
        :param on_lost: called with the number of messages that the middleware lost, if it tells.
        :raises RuntimeError: if the middleware refuses.
        """
        callbacks = SubscriptionEventCallbacks()
        callbacks.message_lost = lambda event: on_lost(event.total_count_change)
        # The message of rclpy says that nothing will be received, which is true for 0.5 s only.
        callbacks.incompatible_qos = lambda _: self._node.get_logger().info(
            f'a publisher of {camera.full_subscription} is best effort, the subscription is '
            'reliable: with qos_reliability auto it follows, else nothing of it is received'
        )
        try:
            subscription = self._create(message_type, camera, qos, on_message, callbacks)
        except UnsupportedEventTypeError:
            callbacks = SubscriptionEventCallbacks()
            subscription = self._create(message_type, camera, qos, on_message, callbacks)
        if message_type in (Image, CompressedImage):
            try:
                waitable = SerializedWaitable(subscription, on_message)
            except (OSError, AttributeError) as error:
                self._node.get_logger().warning(
                    f'images are converted by rclpy, which is slower: {error}', once=True
                )
            else:
                self._entities.serialized[subscription] = waitable
        return subscription

    def unsubscribe(self, entity: Subscription) -> None:
        """Destroy a subscription, while no callback runs."""
        waitable = self._entities.serialized.pop(entity, None)
        if waitable is not None:
            waitable.close()
        self._node.destroy_subscription(entity)

    def count_users(self, _: Subscription) -> int:
        """Count the nodes that share a subscription: only the own one."""
        return 1

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """
        Start to run the callbacks of these subscriptions.

        :raises EngineError: if no thread can be started.
        """
        self._entities.set_subscriptions(subscriptions)
        stop = Future()
        thread = threading.Thread(target=self._spin, args=(stop,), name='images', daemon=True)
        start_thread(thread, 'the thread of the images')
        self._stop, self._thread = stop, thread

    def stop(self) -> None:
        """Wait for the running callback and run no more; calling it again does nothing."""
        if self._thread is None or self._stop is None:
            return
        self._stop.set_result(None)
        self._thread.join()
        self._thread = self._stop = None
        self._entities.set_subscriptions(())
        # An executor that stops after a callback keeps what it waited for in use until it spins
        # again: the middleware would go on to receive images for a destroyed subscription.
        try:
            self._executor.spin_once(timeout_sec=0.0)
        except (ExternalShutdownException, RuntimeError):  # RCLError derives from it
            if self._context.ok():
                raise

    def close(self) -> None:
        """Stop and release the executor."""
        self.stop()
        self._executor.shutdown()

    def _create(
        self,
        message_type: Any,
        camera: CameraTopics,
        qos: QoSProfile,
        on_message: OnMessage,
        callbacks: SubscriptionEventCallbacks,
    ) -> Subscription:
        """Create a subscription of rclpy."""
        return self._node.create_subscription(
            message_type,
            camera.subscription,
            on_message,
            qos,
            # A new one each time: a group keeps every entity that was ever added to it.
            callback_group=ImageGroup(),
            event_callbacks=callbacks,
        )

    def _spin(self, stop: Future) -> None:
        """Thread main loop."""
        while not stop.done() and self._context.ok():
            try:
                self._executor.spin_until_future_complete(stop)
            except (ExternalShutdownException, InvalidHandle):
                # A context that is shut down destroys the subscriptions of its nodes.
                return
            except Exception:  # noqa: BLE001 logged; the next images may be fine
                self._node.get_logger().error(
                    f'exception while receiving images:\n{traceback.format_exc()}',
                    throttle_duration_sec=5.0,
                )
