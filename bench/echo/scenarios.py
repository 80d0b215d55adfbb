"""What is measured: the loads that every contender is put under."""

import dataclasses
import resource

# What a server has open besides its connections.
_OTHER_DESCRIPTORS = 16


@dataclasses.dataclass(frozen=True)
class Scenario:
    id: str
    title: str
    mode: str  # of the load generator: "ping_pong", "concurrent" or "idle"
    connections: int
    message_bytes: int
    client_spins: bool

    def generator_arguments(self, think_us):
        arguments = [
            f"--mode={self.mode}",
            f"--connections={self.connections}",
            f"--size={self.message_bytes}",
        ]
        if self.mode == "ping_pong":
            arguments.append("--wait=" + ("spin" if self.client_spins else "block"))
        if self.mode != "idle":
            arguments.append(f"--think={think_us}")
        return arguments

    def reason_not_to_run(self):
        """None, or the sentence that says why this load cannot be put on a server here."""
        _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.connections + _OTHER_DESCRIPTORS
        if limit == resource.RLIM_INFINITY or wanted <= limit:
            return None
        return f"the hard limit of {limit} open files (RLIMIT_NOFILE) is below {wanted}"

    @property
    def bounded_metric(self):
        """The one figure whose ratio to the floor judges a contender: a lone request waits, many
        keep the server busy.
        """
        return {"ping_pong": "p50_us", "concurrent": "cpu_us_per_request", "idle": None}[self.mode]


def all_scenarios(idle_connections):
    return [
        Scenario(
            "ping-pong-64-block", "Ping-pong, 64 B, client blocking", "ping_pong", 1, 64, False
        ),
        Scenario("ping-pong-64-spin", "Ping-pong, 64 B, client spinning", "ping_pong", 1, 64, True),
        Scenario(
            "ping-pong-16k-block", "Ping-pong, 16 KiB, client blocking", "ping_pong", 1, 16384, False
        ),
        Scenario(
            "ping-pong-16k-spin", "Ping-pong, 16 KiB, client spinning", "ping_pong", 1, 16384, True
        ),
        Scenario("64x64", "64 connections, 64 B", "concurrent", 64, 64, True),
        Scenario("64x16k", "64 connections, 16 KiB", "concurrent", 64, 16384, True),
        Scenario("1000x64", "1,000 connections, 64 B", "concurrent", 1000, 64, True),
        Scenario("1000x16k", "1,000 connections, 16 KiB", "concurrent", 1000, 16384, True),
        Scenario(
            "idle", f"{idle_connections:,} idle connections", "idle", idle_connections, 64, False
        ),
    ]
