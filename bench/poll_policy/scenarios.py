"""What is measured: which policies, against which partner, how often."""

import dataclasses

POLICIES = {
    "block": ["--polling=off"],
    "spin": ["--polling=fixed:3600000000", "--gives_way=no"],
    "grow/shrink 32": ["--polling=grow_shrink:32"],
    "grow/shrink 128": ["--polling=grow_shrink:128"],
    "learned": ["--polling=learned"],
    "learned late": ["--polling=learned_late"],
}
_ALL = tuple(POLICIES)
_FEW = ("block", "spin", "learned")

BACK_ENDS = ("epoll", "io_uring")
THINK_US = (0, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    arguments: tuple
    policies: tuple = _ALL
    repetitions: int = 0  # 0: as many as the plan says
    times: float = 1  # as long as the plan says
    # The figures of every second run, which begins with a policy that has learned to sleep.
    alternate: tuple = ()
    same_cpu: bool = False


def all_scenarios():
    fixed = lambda us: f"--think=fixed:{us}"
    longer = lambda us: 4 if us >= 1000 else 2 if us >= 200 else 1
    yield from (Scenario(f"think {us}", (fixed(us),), times=longer(us)) for us in THINK_US)
    cold = lambda name, *arguments: Scenario(
        name,
        arguments,
        ("block", "spin", "grow/shrink 32", "learned"),
        repetitions=6,
        alternate=("--asleep=8",),
    )
    yield from (cold(f"cold start, think {us}", fixed(us)) for us in (10, 20, 50))
    eventfd = "--transport=eventfd"
    yield from (cold(f"cold start, eventfd {us}", fixed(us), eventfd) for us in (10, 20))
    for us in THINK_US:
        yield Scenario(f"eventfd, think {us}", (fixed(us), eventfd), _FEW, times=longer(us))
    yield Scenario("eventfd, bursts", ("--think=bursts", eventfd), _FEW)
    yield Scenario("eventfd, phases", ("--think=phases:100", eventfd), _FEW, times=2)
    for us in (5, 20):
        yield Scenario(f"partner blocks, think {us}", (fixed(us), "--partner=block"), _FEW)
    for mean in (5, 20, 50, 200):
        yield Scenario(f"exponential {mean}", (f"--think=exponential:{mean}",))
    yield Scenario("bursts", ("--think=bursts",))
    yield Scenario("bimodal", ("--think=bimodal",))
    yield Scenario("phases", ("--think=phases:100",), times=2)
    for beside in ("idle", "slow"):
        yield Scenario(f"{beside} one beside, think 10", (fixed(10), f"--beside={beside}"), _FEW)
    for us in (5, 50):
        yield Scenario(
            f"same CPU, think {us}",
            (fixed(us), "--partner=block"),
            ("block", "grow/shrink 128", "learned"),
            times=5,
            same_cpu=True,
        )
    for cap in (50, 20):
        yield Scenario(f"cap {cap}", (fixed(20), f"--share={cap}"), ("learned",), times=2)
    yield Scenario("idle", ("--idle=yes",), times=3)
