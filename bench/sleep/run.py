#!/usr/bin/env python3
"""Measures how late a loop is for its own timers, and at which cost in CPU time, and draws the
picture of docs/adaptive-polling.md. Build first: bazel build --config=opt //bench/sleep/...
"""

import sys

# This is run from a checkout, where nothing but its results should appear.
sys.dont_write_bytecode = True

import argparse
import os
import pathlib
import statistics

HERE = pathlib.Path(__file__).absolute().parent
sys.path += [str(HERE.parent / "poll_policy"), str(HERE.parent / "echo")]

import machine
import pictures
import processes
import progress as progress_module

SLEEPS_US = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
WAITING = {
    "default_slack": "default slack",
    "slack_1ns": "slack 1 ns",
    "tail": "polled tail",
    "spin": "spin",
}
BACK_ENDS = ("io_uring", "epoll", "ppoll")
BOUND_US = 2  # at the median of 100 µs, with a polled tail


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of each, 20 s; judges nothing")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    parser.add_argument(
        "--backend", default="io_uring", choices=(*BACK_ENDS, "all"), help="(default io_uring)"
    )
    parser.add_argument("--binaries", default=str(HERE.parents[1] / "bazel-bin/bench/sleep"))
    parser.add_argument("--pictures", metavar="DIR", help="draw the picture there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.repetitions, options.seconds = 1, 0.2
    if not os.access(os.path.join(options.binaries, "sleep_bench"), os.X_OK):
        parser.error(f"no program 'sleep_bench' in {options.binaries}; build it first")
    return options


def measure(options, back_end, cpu):
    """All runs by (sleep, waiting), interleaved."""
    one = options.seconds * 1.1 + 0.03
    progress = progress_module.Progress(options.repetitions * len(SLEEPS_US) * len(WAITING) * one)
    runs = {}
    try:
        for repetition in range(options.repetitions):
            for sleep in SLEEPS_US:
                for waiting in WAITING:
                    where = f"{back_end} {repetition + 1} · {sleep} µs"
                    progress.show(where, WAITING[waiting])
                    command = [
                        os.path.join(options.binaries, "sleep_bench"),
                        f"--sleep={sleep}",
                        f"--waiting={waiting}",
                        f"--seconds={options.seconds}",
                        f"--backend={back_end}",
                        f"--cpu={cpu}",
                    ]
                    result = processes.run_to_json(command, None, 30)
                    runs.setdefault((sleep, waiting), []).append(result)
                    progress.advance(one)
    finally:
        progress.close()
    return runs


def median(runs, sleep, waiting, figure):
    return statistics.median(run[figure] for run in runs[sleep, waiting])


def print_table(back_end, runs):
    print(f"{back_end}: lateness at the median / p99, µs; CPU, %\n")
    print("".join(title.rjust(24) for title in ("sleep, µs", *WAITING.values())))
    for sleep in SLEEPS_US:
        cells = [
            f"{median(runs, sleep, w, 'p50_us'):.1f} / {median(runs, sleep, w, 'p99_us'):.0f}; "
            f"{median(runs, sleep, w, 'cpu_percent'):.1f}"
            for w in WAITING
        ]
        print("".join(cell.rjust(24) for cell in (str(sleep), *cells)))
    late = median(runs, 100, "tail", "p50_us")
    verdict = "pass" if late <= BOUND_US else "FAIL"
    if len(runs[100, "tail"]) == 1:
        verdict = "one run, not a result"
    print(f"\n100 µs, polled tail: {late:.2f} µs late at the median, bound {BOUND_US}: {verdict}\n")


def draw(runs, folder):
    folder.mkdir(parents=True, exist_ok=True)
    of = lambda figure: {
        title: [median(runs, sleep, waiting, figure) for sleep in SLEEPS_US]
        for waiting, title in WAITING.items()
    }
    x_title = "length of the sleep, µs"
    (folder / "sleep-lateness.svg").write_text(
        pictures.lines(
            "Median lateness of a timer, µs",
            x_title,
            SLEEPS_US,
            [0.1, 0.3, 1, 3, 10, 30, 100, 300],
            of("p50_us"),
            True,
        )
    )
    (folder / "sleep-cpu.svg").write_text(
        pictures.lines(
            "CPU time of the loop, %",
            x_title,
            SLEEPS_US,
            [0, 25, 50, 75, 100],
            of("cpu_percent"),
            False,
        )
    )


def main():
    options = parse(sys.argv[1:])
    cpus = machine.choose_cpus(os.sched_getaffinity(0))
    cpu = cpus[1] if cpus else min(os.sched_getaffinity(0))
    for back_end in BACK_ENDS if options.backend == "all" else (options.backend,):
        try:
            runs = measure(options, back_end, cpu)
        except processes.Failed as failure:
            if options.backend != "all":
                raise
            print(f"{back_end} does not take part: {failure.sentence}", file=sys.stderr)
            continue
        print_table(back_end, runs)
        if options.pictures:
            folder = pathlib.Path(options.pictures)
            draw(runs, folder / back_end if options.backend == "all" else folder)


if __name__ == "__main__":
    try:
        main()
    except processes.Failed as failure:
        sys.exit(failure.sentence)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        processes.end_all()
