# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Start one detector node per node name in a parameter file, and bring all of them to active.

The file is an ordinary parameter file, see config/multi.yaml: each key without a wildcard is the
name of a detector, with its namespace, and the parameters of '/**' are for all of them.
"""

from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from trt_detector.process.end_launch import end_launch
import yaml

from launch import LaunchContext, LaunchDescription

ARGUMENTS = (
    ('params_file', None, 'parameter file that names the detectors, see config/multi.yaml'),
    (
        'processes',
        'separate',
        'separate: a process per detector; one: one process, sharing CUDA context and images',
    ),
    ('respawn', 'false', 'true starts a process again when it ends'),
    (
        'end_launch_on_exit',
        'true',
        'true ends the launch if a process ends; with processes:=separate, if a detector fails',
    ),
    ('log_level', 'info', 'debug, info, warn, error or fatal'),
)
CHOICES = {
    'processes': ['separate', 'one'],
    'respawn': ['true', 'false'],
    'end_launch_on_exit': ['true', 'false'],
}
PASSED = ('params_file', 'respawn', 'end_launch_on_exit', 'log_level')


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
    """Create the processes."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    # The shell leaves a ~ behind := alone.
    given['params_file'] = str(Path(given['params_file']).expanduser())
    names = read_names(Path(given['params_file']))
    if given['processes'] == 'one':
        return [make_process(given, names)]
    return [include_detector(given, name) for name in names]


def read_names(path: Path) -> list:
    """Read the full names of the detectors, in the order of the parameter file."""
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError) as error:
        raise RuntimeError(f'cannot read params_file {str(path)!r}: {error}') from error
    names = [name for name in find_names(content, '') if '*' not in name]
    if not names:
        raise RuntimeError(
            f'params_file {str(path)!r} names no detector; expected keys as /front/detector, each '
            'with ros__parameters'
        )
    return names


def find_names(content: object, prefix: str) -> list:
    """List the node names in a parameter file; namespaces may be nested."""
    names = []
    for key, value in content.items() if isinstance(content, dict) else ():
        name = f'{prefix}/{str(key).strip("/")}'
        if isinstance(value, dict) and 'ros__parameters' in value:
            names.append(name)
        else:
            names += find_names(value, name)
    return names


def include_detector(given: dict, name: str) -> IncludeLaunchDescription:
    """Include detector.launch.py for one detector."""
    namespace, _, node_name = name.rpartition('/')
    source = Path(__file__).with_name('detector.launch.py')
    arguments = {key: given[key] for key in PASSED}
    arguments |= {'namespace': namespace, 'node_name': node_name}
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(source)), launch_arguments=arguments.items()
    )


def make_process(given: dict, names: list) -> Node:
    """Create the process that runs all detectors, which configure and activate themselves."""
    respawn = given['respawn'] == 'true'
    keep = respawn or given['end_launch_on_exit'] == 'false'
    return Node(
        package='trt_detector',
        executable='detector_node',
        arguments=[
            *names,
            '--ros-args',
            '--params-file',
            given['params_file'],
            '-p',
            'autostart:=true',
            '--log-level',
            given['log_level'],
        ],
        output='screen',
        respawn=respawn,
        respawn_delay=2.0,
        on_exit=None if keep else end_launch,
    )
