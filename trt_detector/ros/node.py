# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: transitions, parameters and services around a detection flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from ..errors import ConfigError, DetectorError
from ..factory import create_detector, watch_device
from ..process.tuning import release_memory
from .diagnostics import Diagnostics, NodeHealth
from .image_receiver import ImageGroup, ImageReceiver
from .inference_thread import DetectorFactory
from .parameters import (
    changes_from,
    declare_parameters,
    find_unknown_overrides,
    read_config,
    refuse_fixed,
)
from .session import DetectionSession, WatchDevice

__all__ = ['DetectorNode']

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR

_PRIMARY_STATES = ('unconfigured', 'inactive', 'active', 'finalized')


class DetectorNode(LifecycleNodeMixin, Node):
    """
    Turns images into detections while active.

    Needs an executor with several threads: a transition can take minutes, and services and
    diagnostics answer meanwhile.

    :param name: of the node.
    :param create: makes the detector.
    :param watch: begins to read the device that it runs on.
    :param kwargs: handed to :class:`rclpy.node.Node`.
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
        # Reentrant, for get_state to answer while change_state is at work: the state machine
        # itself refuses a second transition.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._create = create
        self._watch = watch
        self._health = NodeHealth(self.get_state_label)
        self._receiver = ImageReceiver(self)
        declare_parameters(self)
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
        self._autostart_timer = None
        if self.get_parameter('autostart').value is True:
            self._autostart_timer = self.create_timer(
                0.0, self._autostart, callback_group=MutuallyExclusiveCallbackGroup()
            )

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        """Return what an executor of this node serves: all but the images."""
        for subscription in super().subscriptions:
            if not isinstance(subscription.callback_group, ImageGroup):
                yield subscription

    @property
    def waitables(self) -> Iterator[Waitable]:
        """Return what an executor of this node serves: all but the events of the images."""
        for waitable in super().waitables:
            if not isinstance(waitable.callback_group, ImageGroup):
                yield waitable

    def destroy_node(self) -> None:
        """Free everything, from whatever state."""
        self._free()
        self._receiver.close()
        super().destroy_node()

    def get_state_label(self) -> str:
        """Return the lifecycle state: 'unconfigured', 'configuring', 'active' and so on."""
        # The mixin keeps this name in every release and offers no public way to it.
        return str(self._state_machine.current_state[1])

    def cancel_build(self) -> bool:
        """Ask a build to stop; return whether one was under way. Any thread may call it."""
        flow = self._health.flow
        return flow is not None and flow.cancel()

    def finalize(self, timeout_s: float = 15.0) -> bool:
        """
        Stop whatever the node does and go to finalized, from any state.

        :param timeout_s: how long to wait for a transition that is under way.
        :return: False if that did not end in time.
        """
        self.cancel_build()
        deadline_s = time.monotonic() + timeout_s
        while self.get_state_label() not in _PRIMARY_STATES:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.01)
        if self.get_state_label() != 'finalized':
            self.trigger_shutdown()
        return True

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, open the model, allocate and warm up."""
        return self._attempt(
            'configure', self._configure, super().on_configure, state, expected=FAILURE
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and publish."""
        return self._attempt(
            'activate', self._activate, super().on_activate, state, expected=FAILURE
        )

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and drain."""
        return self._attempt('deactivate', self._deactivate, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        return self._attempt('clean up', self._free, super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, from whatever state."""
        return self._attempt('shut down', self._free, super().on_shutdown, state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything and go back to unconfigured; finalized if that fails."""
        failure = self._health.failure
        outcome = self._attempt(
            'recover', self._free, super().on_error, state, expected=FAILURE, unexpected=FAILURE
        )
        # What led here stays visible.
        self._health.failure = self._health.failure or failure
        return outcome

    def _attempt(
        self,
        what: str,
        action: Callable[[], None],
        parent: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
        *,
        expected: TransitionCallbackReturn = ERROR,
        unexpected: TransitionCallbackReturn = ERROR,
    ) -> TransitionCallbackReturn:
        """
        Run one transition and log why it failed: rclpy swallows what a callback raises.

        :param what: for the log.
        :param action: does the work.
        :param parent: the mixin's own callback, which serves managed entities.
        :param expected: outcome after one of the package's own errors, logged in one line.
        :param unexpected: outcome after any other error, logged with its traceback.
        """
        try:
            action()
            outcome = parent(state)
        except DetectorError as error:
            self.get_logger().error(f'cannot {what}: {error}')
            self._health.note_failure(f'cannot {what}: {error}')
            return expected
        except Exception as error:  # noqa: BLE001 logged, and answered by the state machine
            self.get_logger().error(f'cannot {what}:\n{traceback.format_exc()}')
            self._health.note_failure(f'cannot {what}: {type(error).__name__}: {error}')
            return unexpected
        self._health.failure = ''
        return outcome

    def _configure(self) -> None:
        """Make the flow; free what there is of it if that fails."""
        started_s = time.monotonic()
        config = read_config(self)
        self._diagnostics.set_period(config.diagnostics_period)
        flow = DetectionSession(
            self, config, self._receiver, self._create, self._health.note_error, self._watch
        )
        self._health.flow = flow
        try:
            flow.open()
        except BaseException:
            self._health.flow = None
            flow.close()
            raise
        self._log_ready(flow, time.monotonic() - started_s)

    def _activate(self) -> None:
        """Let images in."""
        flow = self._get_flow()
        flow.start()
        for camera in flow.cameras:
            topic = self.resolve_topic_name(camera.detections)
            self.get_logger().info(f'detecting in {camera.image}, publishing {topic}')

    def _deactivate(self) -> None:
        """Let no more images in and wait for the last."""
        self._get_flow().stop()

    def _free(self) -> None:
        """Close the flow, if there is one."""
        flow, self._health.flow = self._health.flow, None
        if flow is not None:
            flow.close()
            release_memory()

    def _get_flow(self) -> DetectionSession:
        """Return what configure made."""
        if self._health.flow is None:
            raise DetectorError('the node is not configured')
        return self._health.flow

    def _log_ready(self, flow: DetectionSession, seconds: float) -> None:
        """Say what really runs."""
        detector = flow.detector
        if detector is None:
            return
        info = detector.info
        height, width = detector.input_size
        self.get_logger().info(
            f'{detector.model_name} runs on {info.backend} {info.version} in {info.precision} '
            f'({info.device}), input {width}x{height}, batch {detector.batch_size}, '
            f'{len(detector.class_names)} classes; ready after {seconds:.1f} s'
        )
        for warning in info.warnings:
            self.get_logger().warning(warning)

    def _initial_period(self) -> float:
        """Return the diagnostics period, its default if the one given is not valid."""
        try:
            changes = changes_from([self.get_parameter('diagnostics_period')])
            return DetectorConfig(**changes).diagnostics_period
        except ConfigError:
            return DetectorConfig().diagnostics_period  # configure says what is wrong

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Accept or refuse a change; what is accepted takes effect at once."""
        try:
            changes = changes_from(parameters)
            for parameter in parameters:
                if parameter.name in changes and parameter.type_ == Parameter.Type.NOT_SET:
                    raise ConfigError(f'{parameter.name} cannot be deleted')
            flow = self._health.flow
            if not changes:
                pass
            elif flow is None:
                DetectorConfig(**changes)
            else:
                refuse_fixed(changes)
                flow.apply(flow.config.with_changes(**changes))
        except DetectorError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # noqa: BLE001 an exception here would end the executor
            self.get_logger().error(f'cannot set parameters:\n{traceback.format_exc()}')
            reason = f'{type(error).__name__}: {error}'
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _answer_cancel(self, _: Any, response: Any) -> Any:
        """Answer the cancel_build service."""
        response.success = self.cancel_build()
        response.message = (
            'the build was asked to stop' if response.success else 'nothing is being built'
        )
        return response

    def _autostart(self) -> None:
        """Configure and activate, once."""
        if self._autostart_timer is not None:
            self.destroy_timer(self._autostart_timer)
            self._autostart_timer = None
        try:
            if self.trigger_configure() == SUCCESS:
                self.trigger_activate()
        except Exception:  # noqa: BLE001 an exception here would end the executor
            self.get_logger().error(f'autostart failed:\n{traceback.format_exc()}')
