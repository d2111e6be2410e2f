# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle node that logs why a transition fails, and can bring itself up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
import time
import traceback
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from rclpy.waitable import Waitable

from ...errors import ConfigError, DetectorError
from ..image_receiver import ImageGroup, ImageReceiver, Receiver
from ..parameters import RosParameters
from ..steady_timer import create_steady_timer
from .health import LifecycleHealth

__all__ = ['ManagedNode']

FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR

# Time after which a node that nobody has configured says so.
_REMINDER_S = 5.0
_PRIMARY_STATES = ('unconfigured', 'inactive', 'active', 'finalized')


class ManagedNode(LifecycleNodeMixin, Node):
    """
    Lifecycle node whose transitions log their errors, with parameters and autostart.

    It needs an executor with several threads: services and diagnostics are served during a
    transition. A subclass has the parameters autostart and diagnostics_period, keeps what it
    configures in the session of its health, which has config and apply(), and ends its constructor
    with :meth:`start_up`.

    :param name: name of the node.
    :param parameters: declares and reads the parameters.
    :param health: creates the state for the diagnostics.
    :param receiver: receives the images; None for a receiver of its own.
    :param kwargs: passed to :class:`rclpy.node.Node`.
    :raises ConfigError: if autostart is not a bool; the node is destroyed then.
    """

    def __init__(
        self,
        name: str,
        parameters: RosParameters[Any],
        health: Callable[[Callable[[], str]], LifecycleHealth],
        *,
        receiver: Receiver | None = None,
        **kwargs: Any,
    ) -> None:
        Node.__init__(self, name, **kwargs)
        # Reentrant, so that get_state is served while change_state runs; the state machine itself
        # refuses a second transition.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._node_parameters = parameters
        self._health: Any = health(self.get_state_label)
        self._own_receiver = ImageReceiver(self) if receiver is None else None
        self._receiver: Any = self._own_receiver or receiver
        self._is_hanging = False
        self._failure = ''
        #: The process is about to end; set by the executable.
        self.is_ending = False
        #: Called with an exit code if only a new process can go on; set by the executable.
        self.on_fatal: Callable[[int], None] | None = None
        parameters.declare(self)
        try:
            self._wants_autostart = bool(parameters.read_one(self, 'autostart'))
        except ConfigError:
            Node.destroy_node(self)
            raise

    def start_up(self) -> None:
        """Check the given parameters, and start or wait for the first transition."""
        for sentence in self._node_parameters.find_unknown_overrides(self):
            self.get_logger().warning(sentence)
        self.add_on_set_parameters_callback(self._check_parameters)
        self._start_timer = create_steady_timer(
            self,
            0.0 if self._wants_autostart else _REMINDER_S,
            self._autostart if self._wants_autostart else self._remind,
        )

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        """Subscriptions that the executor of this node serves: all but those of images."""
        for subscription in super().subscriptions:
            if not isinstance(subscription.callback_group, ImageGroup):
                yield subscription

    @property
    def waitables(self) -> Iterator[Waitable]:
        """Waitables that the executor of this node serves: all but the events of images."""
        for waitable in super().waitables:
            if not isinstance(waitable.callback_group, ImageGroup):
                yield waitable

    def destroy_node(self) -> None:
        """Release all resources, from any state."""
        self._free()
        if self._own_receiver is not None:
            self._own_receiver.close()
        super().destroy_node()

    def get_state_label(self) -> str:
        """Read the label of the lifecycle state, e.g. 'unconfigured' or 'active'."""
        # Every release of the mixin has this attribute, and none a public one.
        return str(self._state_machine.current_state[1])

    def cancel_build(self) -> bool:
        """Cancel a long transition, from any thread; return False if none is in progress."""
        return False

    def finalize(self, timeout_s: float = 8.0) -> bool:
        """
        Cancel a build, stop and go to finalized, from any state.

        :param timeout_s: maximum time to wait for a transition in progress; ros2 launch kills the
            process after ten seconds.
        :return: False if that transition or a thread of the node did not end in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while (label := self.get_state_label()) != 'finalized':
            if time.monotonic() > deadline_s:
                return False
            # Each time: a transition that has just begun has no build yet.
            self.cancel_build()
            if label in _PRIMARY_STATES:
                # Another thread may begin a transition in between.
                with suppress(RuntimeError):
                    self.trigger_shutdown()
            else:
                time.sleep(0.01)
        return not self._is_hanging

    def fail(self, reason: str) -> None:
        """
        Go from active through the error state to unconfigured, with all resources freed.

        A lifecycle node reaches the error state through a transition that fails.

        :param reason: for the log and the diagnostics.
        """
        self._failure = reason
        try:
            self.trigger_deactivate()
        finally:
            self._failure = ''

    def bring_up(self) -> bool:
        """Configure and activate; return whether the node is active now."""
        if self.get_state_label() == 'unconfigured':
            self.trigger_configure()
        if self.get_state_label() == 'inactive':
            self.trigger_activate()
        return self.get_state_label() == 'active'

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters and create all resources."""
        return self._attempt(
            'configure', self._configure, super().on_configure, state, expected=FAILURE
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe."""
        return self._attempt(
            'activate', self._activate, super().on_activate, state, expected=FAILURE
        )

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and finish the work in progress."""
        name = 'detect' if self._failure else 'deactivate'
        return self._attempt(name, self._deactivate, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release all resources."""
        return self._attempt('clean up', self._free, super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release all resources, from any state."""
        return self._attempt('shut down', self._free, super().on_shutdown, state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release all resources and go to unconfigured, or to finalized if that fails."""
        failure = self._health.failure
        outcome = self._attempt(
            'recover', self._free, super().on_error, state, expected=FAILURE, unexpected=FAILURE
        )
        # The error that led here stays visible.
        self._health.failure = self._health.failure or failure
        return outcome

    def log_next_step(self, what: str, alternative: str = '') -> None:
        """Log the commands that bring the node up."""
        name = self.get_fully_qualified_name()
        steps = ['configure', 'activate'][self.get_state_label() == 'inactive' :]
        commands = ' and '.join(f'"ros2 lifecycle set {name} {step}"' for step in steps)
        self.get_logger().info(f'{what}: run {commands}{alternative}')

    def _configure(self) -> None:
        """Create all resources; release them if that fails."""
        raise NotImplementedError

    def _activate(self) -> None:
        """Start."""
        raise NotImplementedError

    def _deactivate(self) -> None:
        """Stop."""
        raise NotImplementedError

    def _free(self) -> None:
        """Release all resources, if there are any."""
        raise NotImplementedError

    def _get_session(self) -> Any:
        """
        Get the session of the configured node.

        :raises DetectorError: if there is none.
        """
        session = self._health.session
        if session is None:
            raise DetectorError('the node is not configured')
        return session

    def _apply_changes(self, parameters: list[Parameter]) -> None:
        """
        Check a change of parameters, and let it take effect.

        :raises DetectorError: if it is refused.
        """
        session = self._health.session
        if session is None and self.get_state_label() == 'configuring':
            # The parameters may have been read already.
            raise DetectorError('the node is being configured; set the parameter afterward')
        present = None if session is None else session.config
        config = self._node_parameters.check_changes(parameters, present)
        if session is not None and config != present:
            session.apply(config)

    def _begin_transition(self, name: str) -> None:
        """Take note of a transition that begins."""

    def _note_error(self, name: str, error: DetectorError) -> None:
        """Log an error of a transition and store it for the diagnostics."""
        self.get_logger().error(f'cannot {name}: {error}')
        self._health.note_failure(f'cannot {name}: {error}')

    def _attempt(
        self,
        name: str,
        action: Callable[[], None],
        parent: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
        *,
        expected: TransitionCallbackReturn = ERROR,
        unexpected: TransitionCallbackReturn = ERROR,
    ) -> TransitionCallbackReturn:
        """
        Run one transition and log its errors: rclpy discards exceptions of the callbacks.

        :param name: name of the transition for the log.
        :param action: does the work of the transition.
        :param parent: callback of the mixin, which handles managed entities.
        :param expected: outcome after a DetectorError, logged in one line.
        :param unexpected: outcome after any other error, logged with its traceback.
        """
        if name != 'recover':
            self._begin_transition(name)
        try:
            action()
            outcome = parent(state)
        except DetectorError as error:
            self._note_error(name, error)
            return expected
        except Exception as error:  # noqa: BLE001 logged, and answered by the state machine
            self.get_logger().error(f'cannot {name}:\n{traceback.format_exc()}')
            self._health.note_failure(f'cannot {name}: {type(error).__name__}: {error}')
            return unexpected
        self._health.failure = ''
        return outcome

    def _find_namesakes(self) -> str:
        """Write a sentence about other nodes of this name; '' if there are none."""
        own = (self.get_name(), self.get_namespace())
        count = self.get_node_names_and_namespaces().count(own)
        if count < 2:
            return ''
        name = self.get_fully_qualified_name()
        sentence = (
            f'{count} nodes have the name {name}: services and parameters reach any of them; '
            'start this one with another name (--ros-args -r __node:=NAME), unless the other one '
            'has just ended'
        )
        self.get_logger().warning(sentence)
        return sentence

    def _remind(self) -> None:
        """Log once that the node waits for its first transition."""
        self._start_timer.cancel()
        if self.get_state_label() == 'unconfigured' and not self._health.last_error:
            self.log_next_step('unconfigured, doing nothing', ', or set autostart to true')

    def _read_period(self) -> float:
        """Read the diagnostics period, or its default if the given one is invalid."""
        try:
            return float(self._node_parameters.read_one(self, 'diagnostics_period'))
        except ConfigError:
            # configure reports the error
            return float(self._node_parameters.specs['diagnostics_period'].default)

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Accept or refuse a change; an accepted one takes effect at once."""
        try:
            self._apply_changes(parameters)
        except DetectorError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # noqa: BLE001 logged; an exception here would end the executor
            self.get_logger().error(f'cannot set parameters:\n{traceback.format_exc()}')
            reason = f'{type(error).__name__}: {error}'
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _autostart(self) -> None:
        """Configure and activate once."""
        self._start_timer.cancel()
        try:
            if not self.bring_up() and not self.is_ending:
                self.log_next_step('autostart failed')
        except Exception:  # noqa: BLE001 logged; an exception here would end the executor
            self.get_logger().error(f'autostart failed:\n{traceback.format_exc()}')
