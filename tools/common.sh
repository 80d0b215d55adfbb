# Sourced by the scripts of this folder: where they run, what they keep, how they call Bazel.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/coaio

# One compiler for tests and benchmarks, so that figures speak of what was tested.
if [ -z "${CC:-}" ]; then
  if command -v clang-19 >/dev/null; then CC=clang-19; else CC=gcc; fi
fi
export CC

# The disk cache keeps every configuration; Bazel's own output folder keeps only the last one.
coaio_bazel() {
  local command=$1
  shift
  local progress=()
  [ -t 2 ] || progress=(--noshow_progress)
  bazel "$command" --disk_cache="$cache/bazel" --repo_env=CC="$CC" "${progress[@]}" "$@"
}
