#!/usr/bin/env python3
"""User instructions for each wait with one ready descriptor, on each back end, beside the bare loop.

bazel build -c opt //bench/backends:turns && bench/backends/instructions.py bazel-bin/bench/backends/turns

Exact, so no statistics: callgrind counts two runs of different length, and the difference is free of
start-up. What the load itself takes, as to make an edge-triggered descriptor ready, is counted by a run that
waits for nothing, and taken out of both.
"""

import re
import subprocess
import sys
import tempfile

FEW, MANY = 1_000, 3_000
BACKENDS = ("ppoll", "epoll", "io_uring")
TRIGGERS = ("one-shot", "level", "edge")
LIMIT = 1.5


def instructions(program, contender, backend, trigger, turns):
    with tempfile.NamedTemporaryFile() as out:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}"]
        run = subprocess.run(
            [*command, program, contender, backend, trigger, str(turns)],
            check=True,
            capture_output=True,
            text=True,
        )
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def per_turn(*arguments):
    few, many = (instructions(*arguments, turns) for turns in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def main():
    program = sys.argv[1]
    worst = 0
    print(f"{'back end':9} {'trigger':9} {'coaio':>7} {'bare':>7} {'ratio':>6}")
    for backend in BACKENDS:
        for trigger in TRIGGERS:
            load = per_turn(program, "nothing", backend, trigger)
            both = {c: per_turn(program, c, backend, trigger) - load for c in ("coaio", "bare")}
            ratio = both["coaio"] / both["bare"]
            worst = max(worst, ratio)
            print(f"{backend:9} {trigger:9} {both['coaio']:7.0f} {both['bare']:7.0f} {ratio:6.2f}")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
