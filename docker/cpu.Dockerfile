# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Node and tools with ONNX Runtime on the CPU, for x86-64 and aarch64: see docker/README.md.
ARG DISTRO=jazzy
FROM ros:${DISTRO}-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /ws

COPY package.xml src/trt_detector/package.xml
# hadolint ignore=DL3008
RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && DEBIAN_FRONTEND=noninteractive rosdep install --from-paths src --ignore-src -y --dependency-types exec \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*

COPY bringup/requirements/beside_distro.txt src/trt_detector/bringup/requirements/
# cv_bridge of the distribution is compiled for NumPy 1.
RUN python3 -m venv --system-site-packages venv \
    && venv/bin/pip install --no-cache-dir 'numpy<2' \
        -r src/trt_detector/bringup/requirements/beside_distro.txt
ENV PATH=/ws/venv/bin:$PATH

COPY . src/trt_detector
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" && colcon build --packages-select trt_detector

ENTRYPOINT ["/ws/src/trt_detector/docker/entrypoint.sh"]
CMD ["ros2", "launch", "trt_detector", "demo.launch.py"]
