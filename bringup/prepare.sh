#!/usr/bin/env bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Prepares this checkout to run: see --help.

set -euo pipefail
# shellcheck source=bringup/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: bringup/prepare.sh [--with test] [--with docs] [--with show] [--with dashboard]

Installs everything that trt_detector needs under .bringup/ in the checkout, and builds the package.
Finished steps are skipped, so it can be run again at any time.

  --with test       install the requirements of the tests, too
  --with docs       install what builds the documentation, too
  --with show       install the requirements of a window on the screen, too
  --with dashboard  install the requirements of the dashboard, too
  --help            this text

If a ROS 2 environment is sourced (ROS_DISTRO is set), that ROS 2 is used. Otherwise ROS 2 is installed
from Python packages. PYTHON names the interpreter to use (default: python3).
Afterwards: source bringup/env.sh
TEXT
}

extras=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --with)
      [[ ${2:-} =~ ^(test|docs|show|dashboard)$ ]] \
        || die "--with takes 'test', 'docs', 'show' or 'dashboard', not '${2:-}'."
      extras+=("$2")
      shift 2
      ;;
    --help | -h)
      usage
      exit
      ;;
    *)
      usage >&2
      die '' "unknown argument '$1'"
      ;;
  esac
done

requirements=bringup/requirements
network_hint='If the network failed, run this again: what was downloaded is kept.'

# The interpreter below any virtual environment that is active.
base_python() {
  "${PYTHON:-python3}" -c 'import os, sys; print(os.path.realpath(sys._base_executable))' 2>/dev/null \
    || die "No ${PYTHON:-python3} here. Install it first:" '' '    sudo apt-get install -y python3 python3-venv'
}

check_machine() {
  local python tools
  python=$(base_python)
  "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
    || die "$python is $("$python" --version); Python 3.10 to 3.13 is needed." \
      'Name another one: PYTHON=python3.12 bringup/prepare.sh'
  if [[ -n ${ROS_DISTRO:-} ]]; then
    [[ ${ROS_VERSION:-2} == 2 ]] || die "ROS_DISTRO is $ROS_DISTRO, which is ROS 1: start from a clean shell."
    "$python" -c 'import ensurepip, venv' 2>/dev/null \
      || die 'Python cannot create virtual environments. Run:' '' '    sudo apt-get install -y python3-venv'
    "$python" - <<'CODE' || die '' "This ROS 2 $ROS_DISTRO lacks the modules named above. Run:" '' \
      '    rosdep install --from-paths . --ignore-src -y' \
      '    sudo apt-get install -y python3-colcon-common-extensions'
import importlib.util
import sys

modules = ('rclpy', 'sensor_msgs', 'vision_msgs', 'diagnostic_msgs', 'lifecycle_msgs', 'std_srvs',
           'cv_bridge', 'cv2', 'numpy', 'yaml', 'colcon_core')
missing = [name for name in modules if importlib.util.find_spec(name) is None]
if missing:
    sys.exit('missing: ' + ', '.join(missing))
CODE
    return
  fi
  [[ $(uname -sm) == 'Linux x86_64' ]] \
    || die "ROS 2 as Python packages exists for Linux on x86-64 only, and this is $(uname -sm)." \
      'Install ROS 2 (https://docs.ros.org), source its setup file and run this again.'
  tools=$(missing_tools "$python" | tr '\n' ' ')
  [[ -z $tools ]] || die "Not installed here: $tools" 'Run:' '' \
    "    sudo apt-get update && sudo apt-get install -y $tools"
}

# An environment that was moved, lost its interpreter or is incomplete is removed.
discard_broken_venv() {
  [[ -d $prefix ]] || return 0
  if [[ -e $stamps/venv ]] && is_done venv "$venv_key" && [[ ! -e $prefix/installing ]] \
    && "$venv_python" -I -S -c '' 2>/dev/null; then
    return
  fi
  rm -rf "$venv" "$build_base" "$install_base" "$stamps" "$prefix/installing"
}

make_venv() {
  local python options=()
  python=$(base_python)
  [[ -z ${ROS_DISTRO:-} ]] || options=(--system-site-packages)
  "$python" -m venv --clear "${options[@]}" "$venv"
  [[ -n ${ROS_DISTRO:-} ]] || pip_install -r "$requirements/bootstrap.txt"
}

# pip_install ARGUMENTS...: pip cleans up after its own failures, but if it is killed a marker file stays,
# and the next run starts from scratch.
pip_install() {
  local status=0
  touch "$prefix/installing"
  "$venv_python" -m pip install --no-input --disable-pip-version-check --progress-bar off "$@" \
    || status=$?
  rm "$prefix/installing"
  return "$status"
}

install_wheels() {
  local name options=()
  for name in "${wheel_sets[@]}"; do
    options+=(-r "$requirements/$name.txt")
  done
  pip_install --no-build-isolation "${options[@]}"
  # colcon requires this file in a prefix; env.sh does its work.
  touch "$venv/local_setup.sh"
}

# Python packages that a ROS 2 distribution does not have; its NumPy stays, because its own modules
# were compiled against it.
install_beside_distro() {
  "$venv_python" -c 'import numpy as np; major = int(np.__version__.split(".")[0]); print(f"numpy>={major},<{major + 1}")' \
    >"$prefix/constraints.txt"
  pip_install -r "$requirements/beside_distro.txt" -c "$prefix/constraints.txt"
}

install_test() {
  local options=() version
  # The environment of a distribution has no setuptools of its own to build with.
  [[ -n ${ROS_DISTRO:-} ]] || options=(--no-build-isolation)
  pip_install "${options[@]}" -r "$requirements/test.txt"
  for version in 11.4 10.16; do
    pip_install "${options[@]}" --no-deps --upgrade --target "$prefix/tensorrt_lean-$version" \
      -r "$requirements/test_tensorrt_lean-$version.txt"
  done
  pip_install "${options[@]}" --no-deps --upgrade --target "$prefix/openvino" -r "$requirements/test_openvino.txt"
}

install_docs() {
  pip_install --no-deps --upgrade --target "$prefix/docs" -r "$requirements/docs.txt"
}

install_show() { pip_install -r "$requirements/show.txt"; }

install_dashboard() { pip_install -r "$requirements/dashboard.txt"; }

# run_colcon ARGUMENTS...: colcon, independent of the environment of the calling shell.
run_colcon() {
  local settings=()
  if [[ -z ${ROS_DISTRO:-} ]]; then
    settings=(-u PYTHONPATH -u COLCON_PREFIX_PATH "PATH=$venv/bin:$PATH" "VIRTUAL_ENV=$venv"
      "AMENT_PREFIX_PATH=$venv" "CMAKE_PREFIX_PATH=$venv")
  fi
  env -u COLCON_DEFAULTS_FILE "${settings[@]}" "${colcon[@]}" "$@"
}

build_package() {
  run_colcon build --base-paths "$1" --packages-select "$2" \
    --build-base "$build_base" --install-base "$install_base" \
    --event-handlers console_direct+ console_cohesion- "${@:3}"
}

# -O1: the generated code only copies fields, and -O3 would take twice as long to compile.
build_vision_msgs() {
  rm -rf "$build_base/vision_msgs" "$install_base/vision_msgs"
  "$venv_python" bringup/fix_exports.py
  build_package bringup/vision_msgs vision_msgs --cmake-args -DCMAKE_BUILD_TYPE=None \
    -DCMAKE_C_FLAGS=-O1 -DCMAKE_CXX_FLAGS=-O1 -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$venv_python" --no-warn-unused-cli
}

build_trt_detector() {
  rm -rf "$build_base/trt_detector" "$install_base/trt_detector"
  build_package . trt_detector
}

lock_prefix
# An environment is kept even if python3 is another interpreter now, unless PYTHON names one.
if [[ -z ${PYTHON:-} && -f $stamps/venv && $(<"$stamps/venv") == "in $venv of "* ]]; then
  venv_key=$(<"$stamps/venv")
else
  venv_key="in $venv of $(base_python)"
fi
discard_broken_venv

package_key="$(hash_of package.xml setup.py setup.cfg resource trt_detector launch config demo)"
compile_hint='The cause is above. If it is not in this checkout, remove .bringup and run this again.'

if [[ -n ${ROS_DISTRO:-} ]]; then
  step_count=$((4 + ${#extras[@]}))
  step machine "$venv_key" "checking this ROS 2 $ROS_DISTRO" '' check_machine
  step venv "$venv_key" 'creating a Python environment on top of it' "$network_hint" make_venv
  step wheels "$(hash_of $requirements/beside_distro.txt)" \
    'installing the Python packages it lacks' "$network_hint" install_beside_distro
else
  wheel_sets=(ros runtime build)
  step_count=$((5 + ${#extras[@]}))
  step machine "$venv_key" 'checking this machine' '' check_machine
  step venv "$venv_key" 'creating a Python environment' "$network_hint" make_venv
  step wheels "$(hash_of $requirements/{bootstrap,ros,runtime,build}.txt)" \
    'installing ROS 2 and Python packages (minutes)' "$network_hint" install_wheels
  step vision_msgs "$(hash_of $requirements/{ros,build}.txt bringup/vision_msgs bringup/fix_exports.py)" \
    'building the vision_msgs interfaces (minutes)' "$compile_hint" build_vision_msgs
fi
for extra in "${extras[@]}"; do
  step "$extra" "$(hash_of "$requirements/$extra"*.txt)" "installing what '--with $extra' needs" \
    "$network_hint" "install_$extra"
done
step trt_detector "$package_key" 'building trt_detector' "$compile_hint" build_trt_detector
