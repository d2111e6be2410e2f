# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Node and tools with the TensorRT of JetPack 6 (L4T 36.4) for Jetson Orin: see docker/README.md.
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0

ENV ROS_DISTRO=humble
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /ws

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
        -o /usr/share/keyrings/ros-archive-keyring.gpg \
    && echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg] http://packages.ros.org/ros2/ubuntu jammy main" \
        > /etc/apt/sources.list.d/ros2.list \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        g++ python3-colcon-common-extensions python3-dev python3-rosdep ros-humble-ros-base \
    && rosdep init \
    && rm -rf /var/lib/apt/lists/*

COPY package.xml src/trt_detector/package.xml
# hadolint ignore=DL3008
RUN apt-get update \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && DEBIAN_FRONTEND=noninteractive rosdep install --from-paths src --ignore-src -y --dependency-types exec \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*

COPY bringup/requirements/beside_distro.txt src/trt_detector/bringup/requirements/
# pycuda is compiled here. cv_bridge of the distribution is compiled for NumPy 1.
RUN python3 -m venv --system-site-packages venv \
    && PATH=$PATH:/usr/local/cuda/bin venv/bin/pip install --no-cache-dir 'numpy<2' \
        -r src/trt_detector/bringup/requirements/beside_distro.txt \
        pycuda==2025.1.2
ENV PATH=/ws/venv/bin:$PATH

COPY . src/trt_detector
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" && colcon build --packages-select trt_detector

ENTRYPOINT ["/ws/src/trt_detector/docker/entrypoint.sh"]
CMD ["ros2", "launch", "trt_detector", "demo.launch.py"]
