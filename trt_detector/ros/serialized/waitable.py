# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Image subscription whose messages rclpy does not convert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from rclpy.subscription import Subscription
from rclpy.waitable import NumberOfEntities, Waitable

from ...errors import ImageError
from .image_message import DamagedMessage, read_image_message
from .taker import SerializedTaker

__all__ = ['SerializedWaitable']

_Received = tuple[Any, Mapping[str, Any]]


class SerializedWaitable(Waitable):
    """
    Takes the messages of an image subscription as they were sent, and reads their fields.

    :param subscription: of sensor_msgs Image or CompressedImage; only this object executes it.
    :param on_message: called with each :data:`.image_message.ReceivedMessage` and its message
        info.
    :raises OSError, AttributeError: if rcl cannot be called; then nothing is changed.
    """

    def __init__(
        self,
        subscription: Subscription,
        on_message: Callable[[Any, Mapping[str, Any]], None],
    ) -> None:
        self._taker = SerializedTaker(subscription)
        super().__init__(subscription.callback_group)
        self._subscription = subscription
        self._on_message = on_message
        self._index = 0

    def is_ready(self, wait_set: Any) -> bool:
        """Tell whether there is a message, after :meth:`add_to_wait_set`."""
        return bool(wait_set.is_ready('subscription', self._index))

    def take_data(self) -> _Received | None:
        """Take the message and read its fields; one that is damaged has the reason instead."""
        taken = self._taker.take()
        if taken is None:
            return None
        data, memory, info = taken
        try:
            return read_image_message(self._subscription.msg_type, data, memory), info
        except ImageError as error:
            return DamagedMessage(str(error)), info

    async def execute(self, taken_data: _Received | None) -> None:
        """Pass the message on."""
        if taken_data is not None:
            self._on_message(*taken_data)

    def get_num_entities(self) -> NumberOfEntities:
        """Count the entities that the wait set needs room for."""
        return NumberOfEntities(num_subs=1)

    def add_to_wait_set(self, wait_set: Any) -> None:
        """Let the wait set wait for messages."""
        self._index = wait_set.add_subscription(self._subscription.handle)

    def close(self) -> None:
        """Release the memory of messages."""
        self._taker.close()

    def __enter__(self) -> None:
        """Keep the subscription while it is waited for."""
        self._subscription.handle.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Allow the subscription to be destroyed again."""
        self._subscription.handle.__exit__(kind, error, trace)
