"""Who takes part: the servers, how each is started, and which raw server is whose floor."""

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
    floor: str | None  # the raw contender that does the same work in the same way


def all_contenders(polling_policy):
    """Every contender, next to the raw server that is its floor. The policy is coaio's where
    polling is on.
    """
    found = []
    for interface in ("epoll", "io_uring", "ppoll"):
        # A raw ppoll loop over many descriptors is nobody's floor; coaio's ppoll back end
        # is held against epoll.
        floor = "raw-io_uring" if interface == "io_uring" else "raw-epoll"
        for polls in (False, True):
            if interface != "ppoll":
                found.append(_raw(interface, polls))
            found.append(
                _coaio(
                    interface, polling_policy if polls else None, floor + ("-spin" if polls else "")
                )
            )
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
        None,
    )


def _coaio(interface, polling, floor):
    arguments = (f"--backend={interface}", f"--polling={polling or 'off'}")
    suffix, words = ("-poll", ", polling") if polling else ("", "")
    return Contender(
        f"coaio-{interface}{suffix}",
        f"coaio {interface}{words}",
        "coaio",
        interface,
        bool(polling),
        "coaio_server",
        arguments,
        floor,
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
