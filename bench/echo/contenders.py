"""The contenders: the servers, how each is started, and the server that each is compared with."""

import dataclasses
import os

import processes

EXIT_UNAVAILABLE = 3


@dataclasses.dataclass(frozen=True)
class Contender:
    id: str
    label: str
    family: str  # "coaio" or "raw"
    interface: str  # of the kernel: "ppoll", "epoll" or "io_uring"
    polls: bool  # looks for work before it sleeps, or never sleeps
    program: str
    arguments: tuple
    # By id, what a coaio server is held against: in latency the raw server that waits in the same
    # way, in CPU the one that sleeps, which is the cheapest, and itself with polling off.
    latency_floor: str | None = None
    cpu_floor: str | None = None
    polling_off: str | None = None

    def floor_of(self, metric):
        return self.cpu_floor if metric == "cpu_us_per_request" else self.latency_floor


def all_contenders(polling_policy):
    """Every contender, next to its raw servers. The policy is coaio's where polling is on."""
    found = []
    for interface in ("epoll", "io_uring", "ppoll"):
        for polls in (False, True):
            if interface != "ppoll":
                found.append(_raw(interface, polls))
            found.append(_coaio(interface, polling_policy if polls else None))
    return found


def _raw(interface, spins):
    program = {"epoll": "raw_epoll_server", "io_uring": "raw_uring_server"}[interface]
    arguments = ("--wait=spin",) if spins else ("--wait=block",)
    suffix, words = ("-spin", ", spinning") if spins else ("", "")
    return Contender(
        f"raw-{interface}{suffix}",
        f"raw {interface}{words}",
        "raw",
        interface,
        spins,
        program,
        arguments,
    )


def _coaio(interface, polling):
    arguments = (f"--backend={interface}", f"--polling={polling or 'off'}")
    suffix, words = ("-poll", ", polling") if polling else ("", "")
    # No program would use a raw ppoll loop for many descriptors, so coaio's ppoll back end is compared
    # with epoll.
    floor = "raw-io_uring" if interface == "io_uring" else "raw-epoll"
    return Contender(
        f"coaio-{interface}{suffix}",
        f"coaio {interface}{words}",
        "coaio",
        interface,
        bool(polling),
        "coaio_server",
        arguments,
        latency_floor=floor + ("-spin" if polling else ""),
        cpu_floor=floor,
        polling_off=f"coaio-{interface}" if polling else None,
    )


def reason_not_to_run(contender, binaries):
    """None, or the sentence that says why it cannot run here. Found by starting it once."""
    program = os.path.join(binaries, contender.program)
    if not os.access(program, os.X_OK):
        return f"{contender.program} is not built"
    try:
        with processes.Server([program, *contender.arguments], cpu=None):
            return None
    except processes.Failed as failure:
        prefix = "" if failure.exit_code == EXIT_UNAVAILABLE else "failed to start: "
        return prefix + failure.sentence
