# shellcheck shell=bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Source this after bringup/prepare.sh, in bash or zsh: it puts the environment, ROS 2 and
# trt_detector into this shell.

_trt_detector_env() {
  local root=$1 prefix package folder site
  prefix=$root/.bringup${ROS_DISTRO:+/$ROS_DISTRO}
  if [ ! -x "$prefix/venv/bin/python3" ] || [ ! -d "$prefix/install/trt_detector" ]; then
    echo "Nothing is prepared for this shell. Run: $root/bringup/prepare.sh" >&2
    return 1
  fi
  export VIRTUAL_ENV=$prefix/venv
  unset PYTHONHOME
  _trt_detector_first PATH "$prefix/venv/bin"
  if [ -z "${ROS_DISTRO:-}" ]; then
    # Else the first import of rclpy would start Python a second time to get these.
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
    site=$(echo "$prefix/install/$package"/lib/python3.*/site-packages)
    _trt_detector_first PYTHONPATH "$site"
  done
}

# Puts a folder first in a list of folders, once.
_trt_detector_first() {
  local list
  eval "list=\":\${$1:-}:\""
  # shellcheck disable=SC2154
  case $list in
    *":$2:"*) return 0 ;;
  esac
  eval "export $1=\"\$2\${$1:+:\$$1}\""
}

# shellcheck disable=SC2296
_trt_detector_env "$(cd "$(dirname "${BASH_SOURCE[0]:-${(%):-%x}}")/.." && pwd -P)"
