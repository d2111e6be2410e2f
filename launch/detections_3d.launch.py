# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Start the detections_3d node, which brings itself to active."""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from trt_detector.process.end_launch import end_launch

from launch import LaunchContext, LaunchDescription

_RESPAWN_DELAY_S = 2.0
ARGUMENTS = (
    ('params_file', '', 'parameter file, see config/detections_3d.yaml; empty takes the defaults'),
    ('namespace', '', 'namespace of the node'),
    ('node_name', 'detections_3d', 'name of the node'),
    ('detections', '', 'topic of the detections; empty leaves it to the parameter file'),
    ('depth', '', 'topic of the aligned depth image; empty leaves it to the parameter file'),
    ('camera_info', '', 'topic of the CameraInfo; empty leaves it to the parameter file'),
    ('target_frame', '', 'frame of the 3D detections; empty leaves it to the parameter file'),
    ('use_sim_time', '', 'true or false; empty leaves it to the parameter file'),
    ('respawn', 'false', 'true starts the process again when it ends'),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
)
CHOICES = {'use_sim_time': ['', 'true', 'false', 'True', 'False'], 'respawn': ['true', 'false']}
PARAMETERS = {
    'detections': 'detections_topic',
    'depth': 'depth_topic',
    'camera_info': 'camera_info_topic',
    'target_frame': 'target_frame',
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
    """Create the node; an empty argument does not override the parameter file."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    parameters = []
    if given['params_file']:
        # The shell leaves a ~ behind := alone.
        file = Path(given['params_file']).expanduser()
        # launch_ros only warns, and starts the node with the defaults.
        if not file.is_file():
            raise RuntimeError(
                f'params_file {str(file)!r} is no file; see config/detections_3d.yaml'
            )
        parameters.append(str(file))
    parameters += [{PARAMETERS[name]: given[name]} for name in PARAMETERS if given[name]]
    if given['use_sim_time']:
        parameters.append({'use_sim_time': given['use_sim_time'].lower() == 'true'})
    parameters.append({'autostart': True})
    respawn = given['respawn'] == 'true'
    return [
        Node(
            package='trt_detector',
            executable='detections_3d',
            name=given['node_name'],
            namespace=given['namespace'],
            parameters=parameters,
            arguments=['--ros-args', '--log-level', given['log_level']],
            output='screen',
            respawn=respawn,
            respawn_delay=_RESPAWN_DELAY_S,
            on_exit=None if respawn else end_launch,
        )
    ]
