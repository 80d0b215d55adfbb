"""Who takes part: the servers, how each is started, and which raw server is whose floor."""

import dataclasses
import os
import subprocess

import processes

EXIT_UNAVAILABLE = 3


@dataclasses.dataclass(frozen=True)
class Contender:
    id: str
    label: str
    family: str  # "coaio" or "raw"
    interface: str  # of the kernel: "ppoll", "epoll" or "io_uring"
    polls: bool  # looks for work in user space (or with a timeout of zero) before it sleeps, or never sleeps
    program: str
    arguments: tuple
    floor: str | None  # the raw contender that does the same work in the same way


def all_contenders(polling_policy):
    """Every contender, each floor before those who stand on it. The policy is coaio's where polling is on."""
    found = []
    for interface, program in (("epoll", "raw_epoll_server"), ("io_uring", "raw_uring_server")):
        found.append(Contender(f"raw-{interface}", f"raw {interface}", "raw", interface, False, program, ("--wait=block",), None))
        found.append(Contender(f"raw-{interface}-spin", f"raw {interface}, spinning", "raw", interface, True, program, ("--wait=spin",), None))
    for interface in ("ppoll", "epoll", "io_uring"):
        # A raw ppoll loop over many descriptors is nobody's floor; coaio's ppoll back end is held against epoll.
        floor = "raw-io_uring" if interface == "io_uring" else "raw-epoll"
        backend = f"--backend={interface}"
        found.append(Contender(f"coaio-{interface}", f"coaio {interface}", "coaio", interface, False, "coaio_server",
                               (backend, "--polling=off"), floor))
        found.append(Contender(f"coaio-{interface}-poll", f"coaio {interface}, polling", "coaio", interface, True, "coaio_server",
                               (backend, f"--polling={polling_policy}"), floor + "-spin"))
    return found


def reason_not_to_run(contender, binaries):
    """None, or the sentence that says why this contender cannot run here. Found by starting it once."""
    program = os.path.join(binaries, contender.program)
    if not os.access(program, os.X_OK):
        return f"{contender.program} is not built"
    try:
        with processes.Server([program, *contender.arguments], cpu=None):
            return None
    except processes.Failed as failure:
        prefix = "" if failure.exit_code == EXIT_UNAVAILABLE else "failed to start: "
        return prefix + failure.sentence
    except (OSError, subprocess.SubprocessError) as error:
        return f"failed to start: {error}"
