"""The measurement itself: every contender under every scenario, interleaved, and what comes out of
it as one document.
"""

import dataclasses
import os

import processes
import statistics_of_runs as statistics

# What starting, connecting and stopping cost, for the estimate of the time that is left.
_OVERHEAD_SECONDS = 0.15
_IDLE_OVERHEAD_SECONDS = 0.9
# Beyond this, a run that gives no result is given up.
_PATIENCE_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Plan:
    contenders: list
    scenarios: list
    repetitions: int
    warm_up: float
    duration: float
    idle_repetitions: int
    idle_duration: float
    think_us: int
    client_cpu: int
    server_cpu: int
    binaries: str

    def repetitions_of(self, scenario):
        return self.idle_repetitions if scenario.mode == "idle" else self.repetitions

    def seconds_of(self, scenario):
        if scenario.mode == "idle":
            return self.idle_duration + self.warm_up + _IDLE_OVERHEAD_SECONDS
        return self.duration + self.warm_up + _OVERHEAD_SECONDS

    def total_seconds(self):
        return len(self.contenders) * sum(
            self.seconds_of(s) * self.repetitions_of(s) for s in self.scenarios
        )


def _rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def _run_once(plan, contender, scenario):
    duration = plan.idle_duration if scenario.mode == "idle" else plan.duration
    program = os.path.join(plan.binaries, contender.program)
    with processes.Server([program, *contender.arguments], plan.server_cpu) as server:
        command = [
            os.path.join(plan.binaries, "load_generator"),
            f"--connect={server.address}",
            f"--server_pid={server.pid}",
            f"--warm_up={plan.warm_up}",
            f"--duration={duration}",
            *scenario.generator_arguments(plan.think_us),
        ]
        try:
            timeout = plan.warm_up + duration + _PATIENCE_SECONDS
            return processes.run_to_json(command, plan.client_cpu, timeout)
        except processes.Failed as failure:
            sentence = failure.sentence + server.how_it_ended()
            raise processes.Failed(sentence, failure.exit_code) from failure


class Runs:
    """All runs so far: results by (scenario, contender, repetition), and the sentences of those
    that failed.
    """

    def __init__(self):
        self._results = {}
        self.failures = []

    def add(self, scenario, contender, repetition, result):
        self._results.setdefault((scenario.id, contender.id), {})[repetition] = result

    def fail(self, scenario, contender, repetition, sentence):
        self.failures.append(
            {
                "scenario": scenario.id,
                "contender": contender.id,
                "repetition": repetition,
                "reason": sentence,
            }
        )

    def of(self, scenario, contender_id):
        return self._results.get((scenario.id, contender_id), {})


def measure(plan, progress):
    """Runs the plan. The contenders take turns within each repetition, in an order that rotates, so
    that a slow minute of the machine or a warm cache falls on each of them.
    """
    runs = Runs()
    for repetition in range(max(plan.repetitions_of(s) for s in plan.scenarios)):
        for number, scenario in enumerate(plan.scenarios):
            if repetition >= plan.repetitions_of(scenario):
                continue
            chapter = f"{repetition + 1}/{plan.repetitions_of(scenario)} · {scenario.title}"
            for contender in _rotated(plan.contenders, repetition * 3 + number):
                progress.show(chapter, contender.label)
                try:
                    runs.add(scenario, contender, repetition, _run_once(plan, contender, scenario))
                except processes.Failed as failure:
                    runs.fail(scenario, contender, repetition, failure.sentence)
                progress.advance(plan.seconds_of(scenario))
    return runs


def _ratio(runs, scenario, contender_id, other_id, metric):
    """How the figure stands to that of another contender, or None where there is nothing to compare."""
    if metric is None or other_id is None:
        return None
    ratio = statistics.paired_ratio(
        runs.of(scenario, contender_id), runs.of(scenario, other_id), metric
    )
    return ratio and {"to": other_id, **ratio}


def results_of(plan, runs):
    """One entry for each contender under each scenario that has at least one run."""
    results = []
    for scenario in plan.scenarios:
        for contender in plan.contenders:
            own = runs.of(scenario, contender.id)
            if not own:
                continue
            in_order = [own[repetition] for repetition in sorted(own)]
            metric = scenario.bounded_metric
            results.append(
                {
                    "scenario": scenario.id,
                    "contender": contender.id,
                    "runs": [
                        {
                            "repetition": repetition,
                            **{k: v for k, v in own[repetition].items() if k != "histogram"},
                        }
                        for repetition in sorted(own)
                    ],
                    "summary": statistics.summary(in_order),
                    "ratio_to_floor": _ratio(
                        runs, scenario, contender.id, contender.floor_of(metric), metric
                    ),
                    "ratio_to_polling_off": _ratio(
                        runs, scenario, contender.id, contender.polling_off, "p50_us"
                    )
                    if scenario.mode == "ping_pong"
                    else None,
                    "histogram": statistics.merged_histogram(in_order),
                }
            )
    return results
