# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Thread that receives images and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
import threading
import traceback
from typing import Any, Protocol

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
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

# Between two looks whether the context is shut down, which does not end a wait.
_LOOK_PERIOD_NS = 200_000_000
_RETRY_S = 0.2

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


class ImageReceiver:
    """
    Runs the callbacks of image subscriptions.

    The executors of rclpy make a new wait set of all entities of a node after each callback, and a
    task of each callback. For a node with twenty services that costs more than taking a 1920x1080
    image. This one waits for the subscriptions alone, with the same wait set again and again.

    :param node: owns the subscriptions and hides them from its own executor.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._serialized: dict[Subscription, SerializedWaitable] = {}
        # Wakes the thread.
        self._guard = rclpy_implementation.GuardCondition(node.context.handle)
        self._is_stopped = threading.Event()
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
                self._serialized[subscription] = waitable
        return subscription

    def unsubscribe(self, entity: Subscription) -> None:
        """Destroy a subscription, while no callback runs."""
        waitable = self._serialized.pop(entity, None)
        if waitable is not None:
            waitable.close()
        self._node.destroy_subscription(entity)

    def count_users(self, _: Subscription) -> int:
        """Count the nodes that share a subscription: only the own one."""
        return 1

    def start(self, subscriptions: Sequence[Subscription]) -> None:
        """
        Start to run the callbacks of these subscriptions.

        :param subscriptions: of :meth:`subscribe`, or others whose callbacks take a message and
            its message info.
        :raises EngineError: if no thread can be started.
        """
        self._is_stopped.clear()
        thread = threading.Thread(
            target=self._run, args=(tuple(subscriptions),), name='images', daemon=True
        )
        start_thread(thread, 'the thread of the images')
        self._thread = thread

    def stop(self) -> None:
        """Wait for the running callback and run no more; calling it again does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._is_stopped.set()
            self._guard.trigger_guard_condition()
            thread.join()

    def close(self) -> None:
        """Stop and release the guard condition."""
        self.stop()
        self._guard.destroy_when_not_in_use()

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

    def _run(self, subscriptions: Sequence[Subscription]) -> None:
        """Thread main loop."""
        context = self._node.context.handle
        converted = [each for each in subscriptions if each not in self._serialized]
        waitables: list[Waitable] = [
            *(handler for each in subscriptions for handler in each.event_handlers),
            *(self._serialized[each] for each in subscriptions if each in self._serialized),
        ]
        handles = (context, self._guard, *(each.handle for each in converted), *waitables)
        with ExitStack() as stack:
            try:
                # Nothing of it is destroyed before the end of this block.
                for handle in handles:
                    stack.enter_context(handle)
            except InvalidHandle:
                # A context that is shut down destroys the subscriptions of its nodes.
                return
            while not self._is_stopped.is_set() and context.ok():
                try:
                    self._wait_and_execute(converted, waitables)
                except Exception:  # noqa: BLE001 logged; the next images may be fine
                    if context.ok():
                        self._log_exception()
                        self._is_stopped.wait(_RETRY_S)

    def _wait_and_execute(
        self, converted: Sequence[Subscription], waitables: Sequence[Waitable]
    ) -> None:
        """Run callbacks until :meth:`stop`, or until the context is shut down."""
        context = self._node.context.handle
        counts = [each.get_num_entities() for each in waitables]
        messages = len(converted) + sum(each.num_subscriptions for each in counts)
        events = sum(each.num_events for each in counts)
        wait_set = rclpy_implementation.WaitSet(messages, 1, 0, 0, 0, events, context)
        while not self._is_stopped.is_set() and context.ok():
            wait_set.clear_entities()
            wait_set.add_guard_condition(self._guard)
            indices = [wait_set.add_subscription(each.handle) for each in converted]
            for waitable in waitables:
                waitable.add_to_wait_set(wait_set)
            wait_set.wait(_LOOK_PERIOD_NS)
            for subscription, index in zip(converted, indices, strict=True):
                if wait_set.is_ready('subscription', index):
                    self._execute(_take_converted, subscription)
            for waitable in waitables:
                if waitable.is_ready(wait_set):
                    self._execute(_take_waitable, waitable)

    def _execute(self, take: Callable[[Any], None], entity: Any) -> None:
        """Take what is ready and run the callback, unless stopped meanwhile."""
        if self._is_stopped.is_set():
            return
        try:
            take(entity)
        except Exception:  # noqa: BLE001 logged; the next images may be fine
            self._log_exception()

    def _log_exception(self) -> None:
        """Log the exception that is being handled."""
        self._node.get_logger().error(
            f'exception while receiving images:\n{traceback.format_exc()}',
            throttle_duration_sec=5.0,
        )


def _take_converted(subscription: Subscription) -> None:
    """Take a message as rclpy converts it, and run the callback."""
    taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
    if taken is not None:
        subscription.callback(*taken)


def _take_waitable(waitable: Waitable) -> None:
    """Take what is ready, and run the callback, which does not wait for anything."""
    run = waitable.execute(waitable.take_data())
    try:
        run.send(None)
    except StopIteration:
        return
    run.close()
