# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Supervision of an active node: hanging and failing inferences, and the way back."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
import traceback
from typing import Any, Protocol

from ..lifecycle.exit_codes import EXIT_DEVICE_LOST, EXIT_HANGING
from ..session import DetectionSession
from ..steady_timer import create_steady_timer

__all__ = ['SupervisedNode', 'Supervisor', 'SupervisorState']

_PERIOD_S = 0.5
_FIRST_DELAY_S = 1.0
# A node that was active for this long begins with the first delay again.
_MAX_DELAY_S = 60.0


class SupervisorState(Protocol):
    """
    State of the node that the supervisor reads and writes.

    :param session: session of the configured node.
    :param hang: sentence about an inference that hangs; '' if none does.
    :param recovery: sentence about the next attempt to recover; '' if none is planned.
    """

    session: DetectionSession | None
    hang: str
    recovery: str


class SupervisedNode(Protocol):
    """Node as the supervisor uses it."""

    def get_logger(self) -> Any:
        """Get the logger."""

    def create_timer(self, *args: Any, **kwargs: Any) -> Any:
        """Create a timer of the node's executor."""

    def log_next_step(self, what: str, alternative: str = '') -> None:
        """Log the commands that bring the node up."""

    def get_state_label(self) -> str:
        """Read the label of the lifecycle state."""

    def fail(self, reason: str) -> None:
        """Go from active through the error state to unconfigured, with all resources freed."""

    def bring_up(self) -> bool:
        """Configure and activate; return whether the node is active now."""

    def may_recover(self) -> bool:
        """Read parameter recover."""

    def end_process(self, exit_code: int) -> None:
        """End the process, or ignore the request if the process is not the node's."""


class Supervisor:
    """
    Watches the inference of an active node from a timer of its executor.

    A node whose inferences all fail leaves the active state through the error state; with
    parameter recover it is brought up again. Any transition that somebody else requests ends that.

    :param node: the node.
    :param state: its session, and the sentences for the diagnostics.
    """

    def __init__(self, node: SupervisedNode, state: SupervisorState) -> None:
        self._node = node
        self._state = state
        self._timer: Any = None
        self._thread: int | None = None
        self._hanging_s = 0.0
        self._end_requested = False
        self._next_s: float | None = None
        self._delay_s = _FIRST_DELAY_S
        self._active_since_s = 0.0

    def start(self) -> None:
        """Start to watch; called when the node becomes active."""
        self._active_since_s = time.monotonic()
        if self._timer is None:
            self._timer = create_steady_timer(self._node, _PERIOD_S, self._tick)
        else:
            self._timer.reset()

    def note_transition(self, name: str) -> None:
        """
        Stop to recover, unless this thread is doing it: somebody else drives the lifecycle.

        :param name: of the transition that begins, for the log.
        """
        if self._thread != threading.get_ident():
            self.stop_recovery(f'{name} was requested')

    def stop_recovery(self, reason: str) -> None:
        """Stop to recover; does nothing if no attempt is planned."""
        if self._next_s is None:
            return
        self._next_s, self._state.recovery = None, ''
        self._delay_s = _FIRST_DELAY_S
        self._node.get_logger().info(f'the node does not recover by itself any more: {reason}')

    def _tick(self) -> None:
        """Look at the node; a failure must not end the executor."""
        try:
            if self._next_s is not None:
                self._recover(self._next_s)
            else:
                self._watch()
        except Exception:  # noqa: BLE001 logged; the node continues
            self._node.get_logger().error(f'supervision failed:\n{traceback.format_exc()}')

    def _watch(self) -> None:
        """Check the session; rest if there is none."""
        session = self._state.session
        if session is None:
            self._state.hang = ''
            self._timer.cancel()
            return
        self._check_hang(session)
        reason = session.describe_failure()
        if reason and self._node.get_state_label() == 'active':
            self._give_up(session, reason)

    def _check_hang(self, session: DetectionSession) -> None:
        """Report an inference that does not return."""
        timeout_s = session.config.inference_timeout
        running_s = session.watch.get_running_s()
        is_hanging = 0 < timeout_s < running_s
        if not is_hanging:
            # Not if only inference_timeout was changed.
            if running_s < self._hanging_s:
                self._node.get_logger().info('the inference that seemed to hang has returned')
            self._state.hang, self._hanging_s, self._end_requested = '', 0.0, False
            return
        text = (
            f'an inference has not returned for {running_s:.0f} s (inference_timeout is '
            f'{timeout_s:g}): the device or its driver may hang'
        )
        is_new = not self._state.hang
        self._state.hang, self._hanging_s = text, running_s
        if is_new:
            self._node.get_logger().error(text)
        # Also if on_hang was changed while the inference hangs.
        if session.config.on_hang == 'exit' and not self._end_requested:
            self._end_requested = True
            self._node.end_process(EXIT_HANGING)

    def _give_up(self, session: DetectionSession, reason: str) -> None:
        """Take the node through the error state, and plan what comes next."""
        was_active_s = time.monotonic() - self._active_since_s
        if was_active_s > _MAX_DELAY_S:
            self._delay_s = _FIRST_DELAY_S
        self._drive(lambda: self._node.fail(reason))
        if session.watch.device_lost:
            self._node.end_process(EXIT_DEVICE_LOST)
        elif self._node.get_state_label() == 'finalized':
            self._node.get_logger().error(
                'the resources could not be freed: start the process again'
            )
            if session.config.on_hang == 'exit':
                self._node.end_process(EXIT_HANGING)
        elif self._node.may_recover():
            self._plan()
        else:
            self._node.log_next_step('the node stays unconfigured', ', or set recover to true')

    def _plan(self) -> None:
        """Plan the next attempt, and double the delay of the one after."""
        delay_s, self._delay_s = self._delay_s, min(2 * self._delay_s, _MAX_DELAY_S)
        self._next_s = time.monotonic() + delay_s
        self._state.recovery = f'the node configures itself again in {delay_s:g} s'
        self._node.get_logger().warning(self._state.recovery)

    def _recover(self, next_s: float) -> None:
        """Bring the node up again if it is time to."""
        if not self._node.may_recover():
            self.stop_recovery('recover is false')
            return
        if time.monotonic() < next_s:
            return
        is_up = self._drive(self._node.bring_up)
        if self._next_s is None:
            return
        self._next_s, self._state.recovery = None, ''
        if is_up:
            self._node.get_logger().info('the node has recovered')
        else:
            self._plan()

    def _drive(self, action: Callable[[], Any]) -> Any:
        """Make transitions that do not count as those of somebody else."""
        self._thread = threading.get_ident()
        try:
            return action()
        finally:
            self._thread = None
