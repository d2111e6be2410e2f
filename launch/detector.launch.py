# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Start the detector node and bring it to active.

If the node cannot be configured or activated, the launch ends with an error, unless
end_launch_on_exit is false.
"""

from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition
from trt_detector.process.end_launch import end_launch
from trt_detector.process.tuning import camera_environment
import yaml

from launch import LaunchContext, LaunchDescription

_RESPAWN_DELAY_S = 2.0
ARGUMENTS = (
    ('model', '', 'ONNX file of the detector; empty leaves it to the parameter file'),
    ('params_file', '', 'parameter file, see config/detector.yaml; empty takes the defaults'),
    ('namespace', '', 'namespace of the node'),
    ('node_name', 'detector', 'name of the node'),
    ('image_topic', '', 'topic of the camera; empty leaves it to the parameter file'),
    ('image_topics', '', "topics of several cameras, as '[front/image, rear/image]'"),
    ('image_transport', '', 'raw or compressed; empty leaves it to the parameter file'),
    ('use_sim_time', '', 'true or false; empty leaves it to the parameter file'),
    ('respawn', 'false', 'true starts the process again when it ends'),
    (
        'end_launch_on_exit',
        'true',
        'true ends the launch if the node ends, or cannot be configured or activated',
    ),
    (
        'camera_settings',
        '',
        'print shows the environment that a camera needs for large images, export sets it',
    ),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
)
CHOICES = {
    'use_sim_time': ['', 'true', 'false', 'True', 'False'],
    'respawn': ['true', 'false'],
    'end_launch_on_exit': ['true', 'false'],
    'camera_settings': ['', 'print', 'export'],
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the actions."""
    declared = [
        DeclareLaunchArgument(
            name, default_value=default, description=description, choices=CHOICES.get(name)
        )
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=make_actions)])


def make_actions(context: LaunchContext) -> list:
    """Create the node and the handlers that configure and activate it."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    node = make_node(given)
    bring_up = BringUp(
        node,
        end_launch=given['end_launch_on_exit'] == 'true',
        autostart=given['respawn'] == 'true',
    )
    return [*make_settings(given['camera_settings']), *bring_up.handlers(), node]


def make_settings(request: str) -> list:
    """Create the actions that show or set the environment of camera processes."""
    settings = camera_environment() if request else {}
    if request == 'print':
        text = ' '.join(f'{name}={value}' for name, value in settings.items())
        return [LogInfo(msg=f'start the camera with: {text or "no settings for this middleware"}')]
    return [SetEnvironmentVariable(name, value) for name, value in settings.items()]


def make_node(given: dict) -> LifecycleNode:
    """Create the node; an empty argument does not override the parameter file."""
    parameters = []
    if given['params_file']:
        # The shell leaves a ~ behind := alone.
        file = Path(given['params_file']).expanduser()
        # launch_ros only warns, and starts the node with the defaults.
        if not file.is_file():
            raise RuntimeError(f'params_file {str(file)!r} is no file; see config/detector.yaml')
        parameters.append(str(file))
    if given['model']:
        parameters.append({'model_path': given['model']})
    topics = read_topics(given)
    if topics:
        parameters.append({'image_topics': topics})
    if given['image_transport']:
        parameters.append({'image_transport': given['image_transport']})
    if given['use_sim_time']:
        parameters.append({'use_sim_time': given['use_sim_time'].lower() == 'true'})
    respawn = given['respawn'] == 'true'
    # The launch file configures and activates the node; both at once would be refused. A respawned
    # node does it itself: a request could reach the dead one, whose services are still discovered.
    parameters.append({'autostart': respawn})
    keep = respawn or given['end_launch_on_exit'] == 'false'
    return LifecycleNode(
        package='trt_detector',
        executable='detector_node',
        name=given['node_name'],
        namespace=given['namespace'],
        parameters=parameters,
        arguments=['--ros-args', '--log-level', given['log_level']],
        output='screen',
        respawn=respawn,
        respawn_delay=_RESPAWN_DELAY_S,
        on_exit=None if keep else end_launch,
    )


def read_topics(given: dict) -> list:
    """Read the image topics from image_topic or image_topics."""
    if given['image_topic'] and given['image_topics']:
        raise RuntimeError('image_topic and image_topics are both given; give one of them')
    if given['image_topic']:
        return [given['image_topic']]
    try:
        topics = yaml.safe_load(given['image_topics'] or '[]')
    except yaml.YAMLError:
        topics = None
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise RuntimeError(
            f"image_topics is {given['image_topics']!r}; expected '[front/image, rear/image]'"
        )
    return topics


class BringUp:
    """
    Event handlers that configure and activate a node once it has started.

    :param node: the lifecycle node.
    :param end_launch: end the launch with an error if that fails; otherwise log it.
    :param autostart: the node configures and activates itself.
    """

    def __init__(self, node: LifecycleNode, *, end_launch: bool, autostart: bool) -> None:
        self._node = node
        self._autostart = autostart
        self._end_launch = end_launch
        self._done = False

    def handlers(self) -> list:
        """Create the event handlers; later transitions are left to the user."""
        return [
            RegisterEventHandler(
                OnProcessStart(
                    target_action=self._node, on_start=[OpaqueFunction(function=self._start)]
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

    def _request(self, transition: int) -> list:
        """Create the action that requests a transition, none if the node starts by itself."""
        if self._autostart:
            return []
        event = ChangeState(
            lifecycle_node_matcher=matches_action(self._node), transition_id=transition
        )
        return [EmitEvent(event=event)]

    def _start(self, _context: LaunchContext) -> list:
        self._done = False
        return self._request(Transition.TRANSITION_CONFIGURE)

    def _activate(self, _context: LaunchContext) -> list:
        return [] if self._done else self._request(Transition.TRANSITION_ACTIVATE)

    def _finish(self, _context: LaunchContext) -> list:
        self._done = True
        return []

    def _fail(self, context: LaunchContext) -> list:
        """End the launch with an error: only an exception sets the exit code."""
        message = 'the detector cannot be configured or activated; see its log'
        # Ctrl-C cancels a transition in progress.
        if self._done or context.is_shutdown:
            return []
        if self._end_launch:
            raise RuntimeError(message)
        return [LogInfo(msg=message)]
