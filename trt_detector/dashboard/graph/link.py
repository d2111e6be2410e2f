# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Call the services of one detector node."""

from __future__ import annotations

import threading
import time
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python

from ...config import parameter_specs
from ..record import NodeRecord

__all__ = ['NodeLink']

# The period says when a node counts as dead.
_NAMES = [*(spec.name for spec in parameter_specs() if spec.live), 'diagnostics_period']
# An answer can get lost.
_ANSWER_S = 5.0


class NodeLink:
    """
    Clients of the services of one detector node.

    The methods are called in the thread of the executor with the lock held; answers arrive in the
    same thread, without it.

    :param node: creates the clients.
    :param name: full name of the detector node.
    :param lock: guards the records.
    """

    def __init__(self, node: Node, name: str, lock: threading.Lock) -> None:
        self._node = node
        self._lock = lock
        self._asked_s: float | None = None
        self._change_state = node.create_client(ChangeState, f'{name}/change_state')
        self._get_state = node.create_client(GetState, f'{name}/get_state')
        self._get_parameters = node.create_client(GetParameters, f'{name}/get_parameters')
        self._set_parameters = node.create_client(SetParameters, f'{name}/set_parameters')

    def close(self) -> None:
        """Destroy the clients."""
        for client in (
            self._change_state, self._get_state, self._get_parameters, self._set_parameters,
        ):  # fmt: skip
            self._node.destroy_client(client)

    def change_state(self, record: NodeRecord, transition: str) -> None:
        """Request a lifecycle transition, which the record knows."""
        number = getattr(Transition, f'TRANSITION_{transition.upper()}')

        def answer(future: Any) -> None:
            result = future.result()
            with self._lock:
                record.note_answer(transition, result is not None and bool(result.success))
            self._read_state(record)

        request = ChangeState.Request(transition=Transition(id=number))
        self._change_state.call_async(request).add_done_callback(answer)

    def _read_state(self, record: NodeRecord) -> None:
        """Read the lifecycle state, so that nobody waits for the next diagnostics."""

        def answer(future: Any) -> None:
            result = future.result()
            if result is not None:
                with self._lock:
                    record.note_state(result.current_state.label)

        self._get_state.call_async(GetState.Request()).add_done_callback(answer)

    def read_parameters(self, record: NodeRecord) -> None:
        """Read the live parameters, unless an answer is pending."""
        now_s = time.monotonic()
        if self._asked_s is not None and now_s - self._asked_s < _ANSWER_S:
            return
        if not self._get_parameters.service_is_ready():
            return
        self._asked_s = now_s

        def answer(future: Any) -> None:
            self._asked_s = None
            result = future.result()
            if result is not None:
                values = map(parameter_value_to_python, result.values)
                with self._lock:
                    record.note_parameters(dict(zip(_NAMES, values, strict=False)))

        request = GetParameters.Request(names=_NAMES)
        self._get_parameters.call_async(request).add_done_callback(answer)

    def set_parameter(self, record: NodeRecord, name: str, value: Any) -> None:
        """Set a parameter, and read all again."""

        def answer(future: Any) -> None:
            result = future.result()
            if result is None or not result.results:
                return
            outcome = result.results[0]
            with self._lock:
                if outcome.successful:
                    record.note_parameters({name: value})
                else:
                    record.notify(outcome.reason, is_error=True)
            self.read_parameters(record)

        # An empty list has no type of its own.
        kind = Parameter.Type.STRING_ARRAY if isinstance(value, list) else None
        message = Parameter(name, kind, value).to_parameter_msg()
        request = SetParameters.Request(parameters=[message])
        self._set_parameters.call_async(request).add_done_callback(answer)
