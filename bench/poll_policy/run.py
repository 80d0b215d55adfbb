#!/usr/bin/env python3
"""Measures the poll policies on a live loop, judges them by the criteria, and draws the pictures of
docs/adaptive-polling.md. Build first: bazel build --config=opt //bench/poll_policy/...
"""

import sys

# This is run from a checkout, where nothing but its results should appear.
sys.dont_write_bytecode = True

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess

HERE = pathlib.Path(__file__).absolute().parent
sys.path.append(str(HERE.parent / "echo"))

import machine
import processes
import progress as progress_module

import criteria
import pictures
import scenarios

_OVERHEAD_SECONDS = 0.05
_PATIENCE_SECONDS = 30
ONE_RUN = "one run: not a result"


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of each, 2 minutes; judges nothing")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one measurement")
    parser.add_argument("--scenarios", default="", help="only those whose name begins so")
    parser.add_argument("--binaries", default=str(HERE.parents[1] / "bazel-bin/bench/poll_policy"))
    parser.add_argument("--out", help="a file for all runs as JSON")
    parser.add_argument("--pictures", metavar="DIR", help="draw the pictures there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.repetitions, options.seconds = 1, 0.1
    if not os.access(os.path.join(options.binaries, "live"), os.X_OK):
        parser.error(f"no program 'live' in {options.binaries}; build it first")
    return options


def usable_back_ends(options):
    """Those that this machine lets run; of the others, the reason is printed."""
    usable = []
    for back_end in scenarios.BACK_ENDS:
        try:
            program = os.path.join(options.binaries, "live")
            shortly = ["--idle=yes", "--seconds=0.001", "--warm_up=0.001"]
            cpu = f"{options.loop_cpu}"
            command = [program, f"--backend={back_end}", *shortly, "--loop_cpu=" + cpu]
            processes.run_to_json([*command, "--partner_cpu=" + cpu], None, _PATIENCE_SECONDS)
            usable.append(back_end)
        except processes.Failed as failure:
            print(f"{back_end} does not take part: {failure.sentence}", file=sys.stderr)
    return usable


def plan(options, back_ends):
    """(repetition, scenario, back end, policy), interleaved such that what is compared is near."""
    chosen = [s for s in scenarios.all_scenarios() if s.name.startswith(options.scenarios)]
    most = max(s.repetitions if not options.quick else 2 for s in chosen)
    for repetition in range(max(most, options.repetitions)):
        for scenario in chosen:
            # Two cold starts at least: one awake, one asleep.
            special = min(scenario.repetitions, 2) if options.quick else scenario.repetitions
            if repetition < (special or options.repetitions):
                for back_end in back_ends:
                    for policy in scenario.policies:
                        yield repetition, scenario, back_end, policy


def seconds_of(options, scenario):
    return options.seconds * scenario.times


def whole_seconds(options, scenario):
    """With the warm-up, and what starting costs."""
    return seconds_of(options, scenario) + options.seconds / 3 + _OVERHEAD_SECONDS


def run_once(options, repetition, scenario, back_end, policy):
    partner_cpu = options.loop_cpu if scenario.same_cpu else options.partner_cpu
    command = [
        os.path.join(options.binaries, "live"),
        f"--backend={back_end}",
        f"--seconds={seconds_of(options, scenario)}",
        f"--warm_up={options.seconds / 3}",
        f"--loop_cpu={options.loop_cpu}",
        f"--partner_cpu={partner_cpu}",
        *scenarios.POLICIES[policy],
        *scenario.arguments,
        *(scenario.alternate if repetition % 2 else ()),
    ]
    return processes.run_to_json(command, None, _PATIENCE_SECONDS)


def measure(options):
    steps = list(plan(options, usable_back_ends(options)))
    if not steps:
        sys.exit("no scenario begins so, or no back end can be had")
    progress = progress_module.Progress(sum(whole_seconds(options, s) for _, s, _, _ in steps))
    runs = {}
    try:
        for repetition, scenario, back_end, policy in steps:
            progress.show(f"{repetition + 1} · {scenario.name}", f"{back_end}, {policy}")
            result = run_once(options, repetition, scenario, back_end, policy)
            runs.setdefault((scenario.name, back_end, policy), []).append(result)
            progress.advance(whole_seconds(options, scenario))
    finally:
        progress.close()
    return runs


def print_table(header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print()


def print_runs(runs):
    """p50 / p99 in µs / CPU in %, medians."""
    print("p50 us / p99 us / CPU %, medians of the runs\n")
    names = dict.fromkeys((name, back_end) for name, back_end, _ in runs)
    rows = []
    for name, back_end in names:
        cells = []
        for policy in scenarios.POLICIES:
            own = runs.get((name, back_end, policy))
            median = lambda figure: statistics.median(run[figure] for run in own)
            cells.append(
                f"{median('p50_us'):.0f}/{median('p99_us'):.0f}/{median('cpu_percent'):.1f}"
                if own
                else "–"
            )
        rows.append([f"{back_end}, {name}", *cells])
    print_table(["", *scenarios.POLICIES], rows)


def print_cold_starts(runs):
    """How many of them polled."""
    results = criteria.Results(runs)
    for name, back_end, policy in runs:
        if name.startswith("cold start"):
            polled, count = results.polled(name, back_end, policy)
            print(f"{back_end}, {name}, {policy}: {polled}/{count} polled")
    print()


def print_guard(runs):
    """Which pauses there were, and under which scenario."""
    for (name, back_end, policy), own in runs.items():
        counts = {k: sum(run[k] for run in own) for k in ("over_quota", "crowded", "shared_cpu")}
        if any(counts.values()):
            told = ", ".join(f"{k} {v}" for k, v in counts.items() if v)
            print(f"polling gave way: {back_end}, {name}, {policy}: {told}")
    print()


def write(path, described, runs):
    keyed = [
        {"scenario": s, "back_end": b, "policy": p, "runs": r} for (s, b, p), r in runs.items()
    ]
    document = {"machine": described, "results": keyed}
    pathlib.Path(path).write_text(json.dumps(document, indent=1))


def judge(options, runs):
    results = criteria.Results(runs)
    command = [os.path.join(options.binaries, "criteria")]
    simulated = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    measured = [
        [text, value, _verdict(holds, options.repetitions)]
        for text, value, holds in criteria.live(results)
    ]
    # What the simulation gives is exact, however often the live loop was measured.
    exact = [
        [text, value, _VERDICTS[holds]] for text, value, holds in criteria.simulated(simulated)
    ]
    print_table(["criterion", "worst", ""], [*measured, *exact])


_VERDICTS = {True: "pass", False: "FAIL", None: ""}


def _verdict(holds, repetitions):
    """Single runs scatter by more than the limits allow, so they judge nothing."""
    return ONE_RUN if repetitions == 1 else _VERDICTS[holds]


def main():
    options = parse(sys.argv[1:])
    cpus = machine.choose_cpus(os.sched_getaffinity(0))
    if cpus is None:
        sys.exit("the loop and its partner need a CPU each, and there is only one")
    options.partner_cpu, options.loop_cpu = cpus
    described = machine.describe_machine()
    runs = measure(options)
    if options.out:
        write(options.out, described, runs)
    print_runs(runs)
    print_cold_starts(runs)
    print_guard(runs)
    if not options.scenarios:
        judge(options, runs)
    load = f"load before {described['load_average']:.1f}"
    print(f"{described['kernel']}, {described['cpu_model']}, {load}")
    if options.pictures:
        pictures.draw_policies(criteria.Results(runs), pathlib.Path(options.pictures))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        processes.end_all()
