"""Where and with what it was measured."""

import os
import platform
import re
import subprocess


def _output(*command):
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def describe_machine():
    cpuinfo = _read("/proc/cpuinfo") or ""
    model = re.search(
        r"^(?:model name|Hardware|CPU implementer)\s*:\s*(.*)$", cpuinfo, re.MULTILINE
    )
    return {
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu_model": model.group(1) if model else platform.machine(),
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)),
        "virtual": bool(re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.MULTILINE)),
        "frequency_governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_average": os.getloadavg()[0],
    }


_FLAGS_FOR_SPEED = re.compile(
    r"(?<=\s)-(?:O\w*|march=\S+|mtune=\S+|fsanitize=\S+|flto\S*|fno-exceptions|D ?NDEBUG)"
)


def describe_build(program, checkout):
    """Taken from the program itself, so that it is true however it was built."""
    comment = _output("readelf", "-p", ".comment", program) or ""
    compilers = re.findall(r"\]\s+(.+)", comment)
    # A program made by clang names gcc too, which made the C library's start-up code.
    compiler = next((c for c in compilers if "clang" in c), compilers[0] if compilers else None)
    recorded = _output("readelf", "-p", ".GCC.command.line", program) or ""
    return {
        "compiler": compiler.replace("GCC: (", "GCC (") if compiler else None,
        "flags": " ".join(sorted(set(_FLAGS_FOR_SPEED.findall(recorded)))) or None,
        "commit": _output("git", "-C", checkout, "describe", "--always", "--dirty", "--abbrev=12"),
    }


def _siblings(cpu):
    text = _read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu)
    found = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def choose_cpus(usable):
    """(client's CPU, server's CPU): two different cores where there are, and None where there is
    only one CPU.

    The client takes the first CPU, where most interrupts go on a default machine, and leaves the
    server a quieter one.
    """
    client, *others = sorted(usable)
    if not others:
        return None
    other_cores = [cpu for cpu in others if cpu not in _siblings(client)]
    return client, (other_cores or others)[0]
