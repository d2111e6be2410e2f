# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle node: transitions, parameters and services of a detection session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
import time
import traceback
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from rclpy.waitable import Waitable
from std_srvs.srv import Trigger

from ..config import DetectorConfig
from ..errors import BuildCancelledError, ConfigError, DetectorError, DeviceLostError, EngineError
from ..factory import create_detector, watch_device
from ..process.tuning import release_memory
from .bond import LifecycleBond
from .image_receiver import ImageGroup, ImageReceiver
from .inference_thread import DetectorFactory
from .monitoring.diagnostics import Diagnostics, NodeHealth
from .monitoring.metrics_server import MetricsServer
from .parameters import (
    check_changes,
    declare_parameters,
    find_unknown_overrides,
    read_config,
    read_parameter,
)
from .recovery.supervisor import EXIT_DEVICE_LOST, Supervisor
from .session import DetectionSession, WatchDevice
from .steady_timer import create_steady_timer

__all__ = ['DetectorNode']

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR

# Time after which a node that nobody has configured says so.
_REMINDER_S = 5.0
_PRIMARY_STATES = ('unconfigured', 'inactive', 'active', 'finalized')


class DetectorNode(LifecycleNodeMixin, Node):
    """
    Lifecycle node that turns images into detections while it is active.

    It needs an executor with several threads: a transition can take minutes, and services and
    diagnostics are served meanwhile.

    :param name: name of the node.
    :param create: creates the detector.
    :param watch: starts to monitor the device of the detector.
    :param kwargs: passed to :class:`rclpy.node.Node`.
    """

    def __init__(
        self,
        name: str = 'detector',
        *,
        create: DetectorFactory = create_detector,
        watch: WatchDevice = watch_device,
        **kwargs: Any,
    ) -> None:
        Node.__init__(self, name, **kwargs)
        # Reentrant, so that get_state is served while change_state runs; the state machine itself
        # refuses a second transition.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._create = create
        self._watch = watch
        self._health = NodeHealth(self.get_state_label)
        self._receiver = ImageReceiver(self)
        self._metrics = MetricsServer(
            self._health, self.get_fully_qualified_name(), self.get_logger().error
        )
        self._bond: LifecycleBond | None = None
        self._is_hanging = False
        self._failure = ''
        self._supervisor = Supervisor(self, self._health)
        #: Called with an exit code if only a new process can go on; set by the executable.
        self.on_fatal: Callable[[int], None] | None = None
        declare_parameters(self)
        autostart = self._read_autostart()
        for sentence in find_unknown_overrides(self):
            self.get_logger().warning(sentence)
        self.add_on_set_parameters_callback(self._check_parameters)
        self._diagnostics = Diagnostics(self, self._health, self._initial_period())
        self._cancel_service = self.create_service(
            Trigger,
            '~/cancel_build',
            self._answer_cancel,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._start_timer = create_steady_timer(
            self,
            0.0 if autostart else _REMINDER_S,
            self._autostart if autostart else self._remind,
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
        self._receiver.close()
        self._metrics.close()
        super().destroy_node()

    def get_state_label(self) -> str:
        """Read the label of the lifecycle state, e.g. 'unconfigured' or 'active'."""
        # Every release of the mixin has this attribute, and none a public one.
        return str(self._state_machine.current_state[1])

    def cancel_build(self) -> bool:
        """Cancel a build, from any thread; return False if none is in progress."""
        session = self._health.session
        return session is not None and session.cancel()

    def finalize(self, timeout_s: float = 8.0) -> bool:
        """
        Cancel a build, stop detection and go to finalized, from any state.

        :param timeout_s: maximum time to wait for a transition in progress; ros2 launch kills the
            process after ten seconds.
        :return: False if that transition or an inference thread did not end in time.
        """
        deadline_s = time.monotonic() + timeout_s
        self._supervisor.stop_recovery('the node is stopped')
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

    def may_recover(self) -> bool:
        """Read parameter recover."""
        return bool(read_parameter(self, 'recover'))

    def end_process(self, exit_code: int) -> None:
        """End the process with a code, if the executable of this package runs the node."""
        if self.on_fatal is None:
            self.get_logger().error("the process must be started again; it is not the node's own")
        else:
            self.on_fatal(exit_code)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, open the model and warm up."""
        return self._attempt(
            'configure', self._configure, super().on_configure, state, expected=FAILURE
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras."""
        return self._attempt(
            'activate', self._activate, super().on_activate, state, expected=FAILURE
        )

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and finish the batches in progress."""
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
            self._supervisor.note_transition(name)
        try:
            action()
            outcome = parent(state)
        except BuildCancelledError as error:
            self.get_logger().info(f'cannot {name}: {error}')
            self._health.note_failure(f'cannot {name}: {error}')
            self._supervisor.stop_recovery(str(error))
            return expected
        except DetectorError as error:
            self.get_logger().error(f'cannot {name}: {error}')
            self._health.note_failure(f'cannot {name}: {error}')
            if isinstance(error, DeviceLostError):
                self.end_process(EXIT_DEVICE_LOST)
            return expected
        except Exception as error:  # noqa: BLE001 logged, and answered by the state machine
            self.get_logger().error(f'cannot {name}:\n{traceback.format_exc()}')
            self._health.note_failure(f'cannot {name}: {type(error).__name__}: {error}')
            return unexpected
        self._health.failure = ''
        return outcome

    def _configure(self) -> None:
        """Create the session; release its resources if that fails."""
        started_s = time.monotonic()
        config = read_config(self)
        self._diagnostics.set_period(config.diagnostics_period)
        self._metrics.apply(config.metrics_address, config.metrics_port)
        self._bond = LifecycleBond(self, config.bond_timeout)
        session = DetectionSession(
            self, config, self._receiver, self._create, self._health.note_error, self._watch
        )
        self._health.session = session
        try:
            session.open()
        except BaseException:
            self._health.session = None
            self._close(session)
            raise
        self._health.namesakes = self._find_namesakes()
        self._log_ready(session, time.monotonic() - started_s)

    def _activate(self) -> None:
        """Start the session."""
        session = self._get_session()
        if not self._health.namesakes:
            self._health.namesakes = self._find_namesakes()
        session.start()
        for camera in session.cameras:
            topic = self.resolve_topic_name(camera.detections)
            self.get_logger().info(f'detecting in {camera.image}, publishing {topic}')
        if self._bond is not None:
            self._bond.start()
        self._supervisor.start()

    def _deactivate(self) -> None:
        """Stop the session."""
        self._break_bond()
        if self._failure:
            raise EngineError(self._failure)
        self._get_session().stop()
        release_memory()

    def _free(self) -> None:
        """Close the session, if there is one."""
        self._break_bond()
        session, self._health.session = self._health.session, None
        if session is not None:
            self._close(session)
            # Its buffers are free only when nothing refers to it any more.
            del session
            release_memory()

    def _break_bond(self) -> None:
        """Break the bond with a lifecycle manager, if there is one."""
        if self._bond is not None:
            self._bond.stop()

    def _close(self, session: DetectionSession) -> None:
        """Close a session, and remember if its inference thread does not end."""
        try:
            session.close()
        finally:
            self._is_hanging |= session.is_hanging

    def _get_session(self) -> DetectionSession:
        """Get the session of the configured node."""
        session = self._health.session
        if session is None:
            raise DetectorError('the node is not configured')
        return session

    def _log_ready(self, session: DetectionSession, seconds: float) -> None:
        """Log the backend, precision and sizes in use."""
        detector = session.detector
        if detector is None:
            return
        info = detector.info
        height, width = detector.input_size
        self.get_logger().info(
            f'{detector.model_name} runs on {info.backend} {info.version} in {info.precision} '
            f'({info.device}), input {width}x{height}, batch {detector.batch_size}, '
            f'{len(detector.class_names)} classes; ready after {seconds:.1f} s'
        )
        self.get_logger().info(f'{detector.model_name}: {detector.description}')
        for warning in info.warnings:
            self.get_logger().warning(warning)
        if detector.input_size_pending and len(session.cameras) > 1:
            self.get_logger().warning(
                f'{detector.model_name} leaves its input size open: the first image chooses it '
                f'for all {len(session.cameras)} cameras; set input_shape if their images differ '
                'in shape'
            )

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

    def log_next_step(self, what: str, alternative: str = '') -> None:
        """Log the commands that bring the node up."""
        name = self.get_fully_qualified_name()
        steps = ['configure', 'activate'][self.get_state_label() == 'inactive' :]
        commands = ' and '.join(f'"ros2 lifecycle set {name} {step}"' for step in steps)
        self.get_logger().info(f'{what}: run {commands}{alternative}')

    def _read_autostart(self) -> bool:
        """
        Read the parameter that is needed before configure.

        :raises ConfigError: if its value is not a bool; the node is destroyed then.
        """
        try:
            return bool(read_parameter(self, 'autostart'))
        except ConfigError:
            Node.destroy_node(self)
            raise

    def _initial_period(self) -> float:
        """Read the diagnostics period, or its default if the given one is invalid."""
        try:
            return float(read_parameter(self, 'diagnostics_period'))
        except ConfigError:
            return DetectorConfig().diagnostics_period  # configure reports the error

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Accept or refuse a change; an accepted one takes effect at once."""
        try:
            session = self._health.session
            if session is None:
                check_changes(parameters, None)
            else:
                config = check_changes(parameters, session.config)
                if config != session.config:
                    session.apply(config)
        except DetectorError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # noqa: BLE001 logged; an exception here would end the executor
            self.get_logger().error(f'cannot set parameters:\n{traceback.format_exc()}')
            reason = f'{type(error).__name__}: {error}'
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _answer_cancel(self, _: Any, response: Any) -> Any:
        """Handle a request of the cancel_build service."""
        response.success = self.cancel_build()
        response.message = (
            'the build is being cancelled' if response.success else 'no build is in progress'
        )
        return response

    def _autostart(self) -> None:
        """Configure and activate once."""
        self._start_timer.cancel()
        try:
            if not self.bring_up() and self.get_state_label() != 'finalized':
                self.log_next_step('autostart failed')
        except Exception:  # noqa: BLE001 logged; an exception here would end the executor
            self.get_logger().error(f'autostart failed:\n{traceback.format_exc()}')
