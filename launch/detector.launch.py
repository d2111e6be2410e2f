# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Start the detector node and bring it to active.

If the node cannot be configured or activated, the launch ends with an error.
"""

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from launch import LaunchContext, LaunchDescription

ARGUMENTS = (
    ('model', '', 'ONNX file of the detector; empty leaves it to the parameter file'),
    ('params_file', '', 'parameter file, see config/detector.yaml; empty uses the defaults'),
    ('namespace', '', 'namespace of the node'),
    ('node_name', 'detector', 'name of the node'),
    ('image_topic', '', 'topic of the camera; empty leaves it to the parameter file'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the actions."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=make_actions)])


def make_actions(context: LaunchContext) -> list:
    """Create the node and the handlers that bring it up."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    node = make_node(given)
    bring_up = BringUp(node)
    return [*bring_up.handlers(), node]


def make_node(given: dict) -> LifecycleNode:
    """Create the node; an empty argument must not override the parameter file."""
    parameters = [given['params_file']] if given['params_file'] else []
    if given['model']:
        parameters.append({'model_path': given['model']})
    if given['image_topic']:
        parameters.append({'image_topics': [given['image_topic']]})
    # The launch file configures and activates the node; both at once would be refused.
    parameters.append({'autostart': False})
    return LifecycleNode(
        package='trt_detector',
        executable='detector_node',
        name=given['node_name'],
        namespace=given['namespace'],
        parameters=parameters,
        arguments=['--ros-args', '--log-level', given['log_level']],
        output='screen',
        on_exit=end_launch,
    )


def end_launch(event: ProcessExited, context: LaunchContext) -> list:
    """Shut the launch down when the node exits, with an error if it failed."""
    if context.is_shutdown:
        return []
    if event.returncode != 0:
        raise RuntimeError(f'the detector exited with code {event.returncode}; see its log')
    return [Shutdown(reason='the detector exited')]


class BringUp:
    """
    Event handlers that configure and activate a node once it has started.

    :param node: the lifecycle node.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._done = False

    def handlers(self) -> list:
        """Create the event handlers; later transitions are left to the user."""
        return [
            RegisterEventHandler(
                OnProcessStart(
                    target_action=self._node,
                    on_start=[self._request(Transition.TRANSITION_CONFIGURE)],
                )
            ),
            self._on('configuring', 'inactive', self._activate),
            self._on('activating', 'active', self._finish),
            *(
                self._on(start, goal, self._fail)
                for start, goals in (
                    ('configuring', ('unconfigured', 'errorprocessing')),
                    ('activating', ('inactive', 'errorprocessing')),
                )
                for goal in goals
            ),
        ]

    def _on(self, start: str, goal: str, function: object) -> RegisterEventHandler:
        """Create a handler that calls a function when the node goes from a state to another."""
        return RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=self._node,
                start_state=start,
                goal_state=goal,
                entities=[OpaqueFunction(function=function)],
            )
        )

    def _request(self, transition: int) -> EmitEvent:
        """Create the action that requests a transition."""
        event = ChangeState(
            lifecycle_node_matcher=matches_action(self._node), transition_id=transition
        )
        return EmitEvent(event=event)

    def _activate(self, _context: LaunchContext) -> list:
        return [] if self._done else [self._request(Transition.TRANSITION_ACTIVATE)]

    def _finish(self, _context: LaunchContext) -> list:
        self._done = True
        return []

    def _fail(self, _context: LaunchContext) -> list:
        """End the launch with an error: only an exception sets the exit code."""
        if self._done:
            return []
        raise RuntimeError('the detector cannot be configured or activated; see its log')
