"""The command line: what is measured, how long, where, and which CPUs it takes."""

import argparse
import os
import pathlib
import re

import machine

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

_DESCRIPTION = """Measures coaio's echo server against the same server written in bare system calls.

The server is pinned to one CPU and the load generator to another. The results, report.html and
results.json (described in bench/echo/README.md), go to a new folder in bench-results/.
"""

PROFILES = {
    "default": dict(
        repetitions=5, warm_up=0.1, duration=0.25, idle_repetitions=1, idle_duration=10.0
    ),
    "quick": dict(
        repetitions=1, warm_up=0.05, duration=0.15, idle_repetitions=1, idle_duration=0.5
    ),
    "full": dict(repetitions=15, warm_up=0.2, duration=1.0, idle_repetitions=3, idle_duration=10.0),
}


_POLICIES = "fixed:MAX_US, grow_shrink:MAX_US, learned[:WEIGHT] and learned_late[:WEIGHT]"


def _positive(kind):
    def convert(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return value

    convert.__name__ = kind.__name__
    return convert


def _not_negative(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below zero")
    return value


def _polling_policy(text):
    if not re.fullmatch(r"(fixed|grow_shrink):[1-9]\d*|learned(_late)?(:[1-9]\d*)?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is none of {_POLICIES}")
    return text


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="bench", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    profile = parser.add_mutually_exclusive_group()
    profile.add_argument(
        "--quick",
        action="store_const",
        dest="profile",
        const="quick",
        help="one short run of each, about 45 seconds: no ratios, for one run is not a result",
    )
    profile.add_argument(
        "--full",
        action="store_const",
        dest="profile",
        const="full",
        help="15 interleaved pairs, about half an hour",
    )
    parser.set_defaults(profile="default")
    parser.add_argument(
        "--contenders",
        metavar="GLOBS",
        default="*",
        help="comma-separated, such as 'coaio-epoll*,raw-epoll*'",
    )
    parser.add_argument(
        "--scenarios",
        metavar="GLOBS",
        default="*",
        help="comma-separated, such as 'ping-pong-*,idle'",
    )
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--list", action="store_true", help="print the contenders and scenarios, and stop"
    )
    parser.add_argument(
        "--repetitions", type=_positive(int), metavar="N", help="of everything but idle"
    )
    parser.add_argument(
        "--duration", type=_positive(float), metavar="SECONDS", help="of one measurement"
    )
    parser.add_argument(
        "--warm-up", type=_positive(float), metavar="SECONDS", help="before each measurement"
    )
    parser.add_argument("--idle-repetitions", type=_positive(int), metavar="N")
    parser.add_argument("--idle-duration", type=_positive(float), metavar="SECONDS")
    parser.add_argument("--idle-connections", type=_positive(int), metavar="N", default=10_000)
    parser.add_argument(
        "--think",
        type=_not_negative,
        metavar="MICROSECONDS",
        default=0,
        help="between an echo and the next request",
    )
    parser.add_argument(
        "--polling",
        type=_polling_policy,
        metavar="POLICY",
        default="learned",
        help=f"coaio's, where it polls: one of {_POLICIES} (%(default)s)",
    )
    parser.add_argument("--client-cpu", type=int, metavar="CPU")
    parser.add_argument("--server-cpu", type=int, metavar="CPU")
    parser.add_argument(
        "--allow-shared-cpu",
        action="store_true",
        help="measure although client and server must share one CPU",
    )
    parser.add_argument(
        "--binaries",
        metavar="DIR",
        default=str(CHECKOUT / "bazel-bin/bench/echo"),
        help="where the programs are",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="for results.json and report.html (default: a new folder in bench-results/)",
    )
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument(
        "--readme", action="store_true", help="print the table of the README, as Markdown"
    )
    options = parser.parse_args(arguments)
    _choose_cpus(parser, options)
    return parser, options


def _choose_cpus(parser, options):
    usable = os.sched_getaffinity(0)
    for cpu in (options.client_cpu, options.server_cpu):
        if cpu is not None and cpu not in usable:
            parser.error(f"CPU {cpu} is not among those this process may use: {sorted(usable)}")
    client, server = machine.choose_cpus(usable) or (min(usable), min(usable))
    if (
        options.server_cpu is not None
        and options.client_cpu is None
        and options.server_cpu == client
    ):
        client = server
    if (
        options.client_cpu is not None
        and options.server_cpu is None
        and options.client_cpu == server
    ):
        server = client
    options.client_cpu = client if options.client_cpu is None else options.client_cpu
    options.server_cpu = server if options.server_cpu is None else options.server_cpu
    if options.client_cpu == options.server_cpu and not options.allow_shared_cpu:
        parser.error(
            "client and server would share one CPU, where polling only takes time from the other "
            "side and latencies measure the scheduler; give them two CPUs, or insist with "
            "--allow-shared-cpu"
        )


def lengths(options):
    """The profile's durations and repetitions, where the command line does not say otherwise."""
    profile = PROFILES[options.profile]
    given = {name: getattr(options, name) for name in profile}
    return {name: profile[name] if value is None else value for name, value in given.items()}
