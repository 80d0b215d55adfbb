#!/usr/bin/env python3
"""User instructions for each wait with one ready descriptor, on each back end, beside the bare loop.

bazel build -c opt //bench/backends:turns && bench/backends/instructions.py bazel-bin/bench/backends/turns

Exact, so no statistics: callgrind counts two runs of different length, and the difference is free of
start-up. What it costs to make an edge-triggered descriptor ready is not counted.
"""

import re
import subprocess
import sys
import tempfile

FEW, MANY = 1_000, 3_000
BACKENDS = ("ppoll", "epoll", "io_uring")
TRIGGERS = ("one-shot", "level", "edge")
LIMIT = 1.5
COUNTED = "coaio::bench::Load::wait_for_all()"


def instructions(program, contender, backend, trigger, turns):
    """Those of the waits, with what they call."""
    with tempfile.NamedTemporaryFile() as out:
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out.name}",
            f"--toggle-collect={COUNTED}",
        ]
        run = subprocess.run(
            [*command, program, contender, backend, trigger, str(turns)],
            check=True,
            capture_output=True,
            text=True,
        )
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def per_turn(*arguments):
    few, many = (instructions(*arguments, turns) for turns in (FEW, MANY))
    if few == 0:
        sys.exit(f"no call of {COUNTED} was seen: has it been inlined?")
    return (many - few) / (MANY - FEW)


def main():
    program = sys.argv[1]
    worst = 0
    print(f"{'back end':9} {'trigger':9} {'coaio':>7} {'bare':>7} {'ratio':>6}")
    for backend in BACKENDS:
        for trigger in TRIGGERS:
            both = {c: per_turn(program, c, backend, trigger) for c in ("coaio", "bare")}
            ratio = both["coaio"] / both["bare"]
            worst = max(worst, ratio)
            print(f"{backend:9} {trigger:9} {both['coaio']:7.0f} {both['bare']:7.0f} {ratio:6.2f}")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
