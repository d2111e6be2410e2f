# shellcheck shell=bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Steps that run once: each one has a stamp with the key of its inputs, is skipped while that key stays
# the same, and writes its stamp only after it succeeded.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
bringup_root=$repository/.bringup

# Folders: separate ones per ROS 2 distribution, and for the wheels.
# shellcheck disable=SC2034
{
  prefix=$bringup_root${ROS_DISTRO:+/$ROS_DISTRO}
  venv=$prefix/venv
  venv_python=$venv/bin/python3
  build_base=$prefix/build
  install_base=$prefix/install
  log_base=$prefix/log
  stamps=$prefix/stamps
  # colcon in the interpreter of the environment, so that it sees what pip installed there.
  colcon=("$venv_python" -c 'import sys; from colcon_core.command import main; sys.exit(main())'
    --log-base "$log_base/colcon")
}

step_number=0
step_count=0

# say LINE...: print lines.
say() { printf '%s\n' "$@"; }

# die LINE...: print lines on the error stream and exit.
die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# read_options OUTPUT NAMES ARGUMENT...: reads the arguments of a script that has usage().
# OUTPUT names the option of a folder, which is made and goes to $output; each of NAMES takes a value,
# and they go to $arguments as they are. --help prints the usage and exits.
# shellcheck disable=SC2034
read_options() {
  local folder_option=$1 names=" $2 "
  shift 2
  arguments=()
  while [[ $# -gt 0 ]]; do
    case $1 in
      --help | -h)
        usage
        exit
        ;;
      "$folder_option")
        mkdir -p "${2:?$1 takes a folder}"
        output=$(cd "$2" && pwd -P)
        shift 2
        ;;
      *)
        if [[ $names != *" $1 "* ]]; then
          usage >&2
          die '' "unknown argument '$1'"
        fi
        arguments+=("$1" "${2:?$1 takes a value}")
        shift 2
        ;;
    esac
  done
}

# hash_of PATH...: one hash of the names and contents of all files under the paths that exist,
# named relative to the repository.
hash_of() {
  (
    cd "$repository" || exit 1
    paths=()
    for path in "$@"; do
      [[ -e $path ]] && paths+=("$path")
    done
    [[ ${#paths[@]} -gt 0 ]] || exit 0
    find "${paths[@]}" -name __pycache__ -prune -o -type f ! -name '*.pyc' -print0 \
      | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-16
  )
}

# is_done NAME KEY: whether the step NAME was last finished with this key.
is_done() { [[ -f $stamps/$1 && $(<"$stamps/$1") == "$2" ]]; }

# step NAME KEY TEXT HINT FUNCTION: runs FUNCTION unless it was done with the same key.
# Never call this where `set -e` is off (in a condition, before || or &&): FUNCTION relies on it.
step() {
  local name=$1 key=$2 text=$3 hint=$4 function=$5 status started=$SECONDS
  local log=$log_base/$name.log
  step_number=$((step_number + 1))
  printf '[%d/%d] %s … ' "$step_number" "$step_count" "$text"
  if is_done "$name" "$key"; then
    say 'already there'
    return
  fi
  mkdir -p "$stamps" "$log_base"
  rm -f "$stamps/$name"
  # FUNCTION and its children hold the lock, too: what outlives a killed run still blocks the next.
  set +e
  (
    set -e
    cd "$repository"
    "$function"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [[ $status -ne 0 ]]; then
    say "FAILED after $((SECONDS - started)) s"
    {
      say '' "The last lines of $log:"
      tail -n 30 "$log" | sed 's/^/    /'
      say '' "$hint"
    } >&2
    exit 1
  fi
  printf '%s' "$key" >"$stamps/$name.new"
  mv "$stamps/$name.new" "$stamps/$name"
  say "done in $((SECONDS - started)) s"
}

# lock_prefix: one run at a time in this checkout; released when the script ends.
lock_prefix() {
  mkdir -p "$bringup_root"
  touch "$bringup_root/COLCON_IGNORE" "$bringup_root/AMENT_IGNORE"
  exec 9>"$bringup_root/lock"
  if ! flock --nonblock 9; then
    say 'Another run prepares this checkout; waiting for it …'
    flock 9
  fi
}

# missing_tools: the Debian and Ubuntu packages to install first, one per line.
missing_tools() {
  local python=$1
  command -v cmake >/dev/null || say cmake
  command -v c++ >/dev/null || say g++
  command -v make >/dev/null || say make
  "$python" -c 'import ensurepip, venv' 2>/dev/null || say python3-venv
  [[ -f $("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h ]] \
    || say python3-dev
}
