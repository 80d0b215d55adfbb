# Sourced by the scripts of this folder: where they run, what they keep, how they call Bazel.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/coaio

# coaio_bazel COMMAND [argument]...
coaio_bazel() {
  local command=$1
  shift
  # One compiler for tests and benchmarks, so that figures speak of what was tested. Not Debian's
  # g++: docs/compilers.md.
  local compiler=(--config=clang)
  case " $* " in *" --config=gcc "* | *" --config=clang "*) compiler=() ;; esac
  local progress=()
  [ -t 2 ] || progress=(--noshow_progress)
  # The disk cache keeps every configuration; Bazel's own output folder keeps only the last one.
  bazel "$command" --disk_cache="$cache/bazel" "${compiler[@]}" "${progress[@]}" "$@"
}
