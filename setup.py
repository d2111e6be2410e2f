# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Build instructions for colcon (ament_python)."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'trt_detector'
SHARE = f'share/{PACKAGE}'


def share_files(*patterns: str) -> list[tuple[str, list[str]]]:
    """Pair each folder under share/ with the files of the source tree that go into it."""
    folders: dict[str, list[str]] = {}
    for pattern in patterns:
        for path in sorted(Path().glob(pattern)):
            if path.is_file() and '__pycache__' not in path.parts:
                folders.setdefault(f'{SHARE}/{path.parent.as_posix()}', []).append(path.as_posix())
    return sorted(folders.items())


# For pip. What ROS 2 distributions have is declared in package.xml, too, and installed by rosdep.
CUDA = ['cuda-bindings>=12.3', 'nvidia-ml-py']
EXTRAS = {
    'cpu': ['onnxruntime'],
    # onnxruntime-gpu has no wheel for aarch64. It must not be installed beside onnxruntime.
    'cuda': ['onnxruntime-gpu; platform_machine == "x86_64"', *CUDA],
    # Instead of onnxruntime, too; for x86-64 only.
    'openvino': ['onnxruntime-openvino>=1.23; platform_machine == "x86_64"'],
    'tensorrt': ['tensorrt>=8.6,<12', *CUDA],
    'rtx': ['tensorrt-rtx', *CUDA],
    'lean': ['tensorrt-lean', *CUDA],
    'metrics': ['prometheus-client'],
    'tracking': ['scipy'],
    'dashboard': ['nicegui>=3,<4'],
    'tools': ['argcomplete', 'faster-coco-eval', 'rosbags'],
    # Videos in bags.
    'video': ['av'],
    # Tells colcon to run pytest.
    'test': ['pytest'],
}

setup(
    name=PACKAGE,
    version='0.1.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    # No '**': setuptools before 62.3, which Ubuntu 22.04 has, takes it for one folder.
    package_data={
        'trt_detector': ['py.typed'],
        'trt_detector.dashboard.page': ['*.css', '*.js', '*.svg'],
        'trt_detector.gpu.kernels': ['*.cu', '*.ptx'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (SHARE, ['package.xml']),
        *share_files(
            'launch/*.py',
            'config/**/*',
            'demo/models/*.onnx',
            'demo/pictures/**/*',
        ),
    ],
    python_requires='>=3.10',
    install_requires=[
        'setuptools',
        'numpy>=1.21',
        'onnx',
        'opencv-python-headless>=4.5',
        'PyYAML>=5.4',
    ],
    extras_require=EXTRAS,
    zip_safe=False,
    maintainer='The trt_detector Authors',
    maintainer_email='trt_detector@example.org',
    description='Object detection for ROS 2 with TensorRT or ONNX Runtime',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            'benchmark = trt_detector.tools.benchmark.main:main',
            'benchmark_node = trt_detector.tools.benchmark_node.main:main',
            'build_engine = trt_detector.tools.build_engine.main:main',
            'calibrate = trt_detector.tools.calibrate.main:main',
            'dashboard = trt_detector.tools.dashboard:main',
            'detect = trt_detector.tools.detect:main',
            'detections_3d = trt_detector.ros:run_detections_3d',
            'detector_node = trt_detector.ros:run_node',
            'doctor = trt_detector.tools.doctor.main:main',
            'evaluate = trt_detector.tools.evaluate:main',
            'inspect_engine = trt_detector.tools.inspect_engine:main',
            'play_images = trt_detector.tools.play_images.main:main',
            'run_bag = trt_detector.tools.run_bag.main:main',
        ],
    },
)
