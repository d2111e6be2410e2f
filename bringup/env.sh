# shellcheck shell=bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Source this in bash after bringup/prepare.sh: it puts the environment, ROS 2 and
# trt_detector into this shell.

_trt_detector_env() {
  local root=$1 prefix package folder
  prefix=$root/.bringup${ROS_DISTRO:+/$ROS_DISTRO}
  if [ ! -x "$prefix/venv/bin/python3" ] || [ ! -d "$prefix/install/trt_detector" ]; then
    echo "Nothing is prepared for this shell. Run: $root/bringup/prepare.sh" >&2
    return 1
  fi
  export VIRTUAL_ENV=$prefix/venv
  unset PYTHONHOME
  _trt_detector_first PATH "$prefix/venv/bin"
  if [ -z "${ROS_DISTRO:-}" ]; then
    # Otherwise the first import of rclpy would restart Python to set these.
    for folder in "$prefix"/venv/lib/python3.*/site-packages/ros_*.libs; do
      _trt_detector_first LD_LIBRARY_PATH "$folder"
    done
    _trt_detector_first LD_LIBRARY_PATH "$prefix/venv/lib"
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
    _trt_detector_first AMENT_PREFIX_PATH "$prefix/venv"
    _trt_detector_first CMAKE_PREFIX_PATH "$prefix/venv"
  fi
  for package in vision_msgs trt_detector; do
    [ -d "$prefix/install/$package" ] || continue
    _trt_detector_first AMENT_PREFIX_PATH "$prefix/install/$package"
    [ ! -d "$prefix/install/$package/lib/$package" ] \
      || _trt_detector_first PATH "$prefix/install/$package/lib/$package"
    [ "$package" != vision_msgs ] \
      || _trt_detector_first LD_LIBRARY_PATH "$prefix/install/$package/lib"
    # Debian's own Python installs into dist-packages.
    for folder in "$prefix/install/$package"/{,local/}lib/python3*/{site,dist}-packages; do
      [ ! -d "$folder" ] || _trt_detector_first PYTHONPATH "$folder"
    done
  done
}

# _trt_detector_first NAME FOLDER: moves a folder to the front of a list of folders.
_trt_detector_first() {
  local list=":${!1:-}:"
  list=${list//":$2:"/:}
  list=${list#:}
  list=${list%:}
  export "$1=$2${list:+:$list}"
}

_trt_detector_env "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
