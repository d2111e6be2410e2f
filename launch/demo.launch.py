# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Start a camera that plays the pictures of the demonstration, and the detector that sees them."""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription

# share/trt_detector, or the root of the source tree.
ROOT = Path(__file__).resolve().parents[1]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the camera and the detector."""
    arguments = (
        ('namespace', 'demo', 'namespace of both nodes'),
        ('model', str(ROOT / 'demo' / 'models' / 'demo_end2end.onnx'), 'ONNX file'),
        ('images', str(ROOT / 'demo' / 'pictures'), 'folder with pictures'),
        ('rate', '5.0', 'pictures per second'),
        ('params_file', str(ROOT / 'config' / 'demo.yaml'), 'parameter file of the detector'),
        ('log_level', 'info', 'debug, info, warn, error or fatal'),
    )
    camera = Node(
        package='trt_detector',
        executable='play_images',
        name='camera',
        namespace=LaunchConfiguration('namespace'),
        arguments=[
            '--images',
            LaunchConfiguration('images'),
            '--rate',
            LaunchConfiguration('rate'),
            '--loop',
        ],
        output='screen',
    )
    detector = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(ROOT / 'launch' / 'detector.launch.py')),
        launch_arguments={
            name: LaunchConfiguration(name)
            for name in ('namespace', 'model', 'params_file', 'log_level')
        }.items(),
    )
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in arguments
    ]
    return LaunchDescription([*declared, camera, detector])
