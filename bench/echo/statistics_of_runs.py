"""From single runs to what is reported: medians with their range, and ratios taken pair by
pair.
"""

import random
import statistics

_RESAMPLES = 2000
_PAIRS_FOR_RATIO = 2
# Resampling fewer pairs than this says nothing that their range does not say.
_PAIRS_FOR_BOOTSTRAP = 5


def figures(run):
    """The figures of one run of the load generator that are compared, in units fit for reading."""
    cpu = run["server_cpu_seconds"]
    result = {"cpu_percent": 100 * cpu / run["seconds"]}
    if "requests" in run:
        for name in ("min", "p50", "p90", "p99", "p999", "max"):
            result[f"{name}_us"] = run[f"{name}_ns"] / 1000
        result["requests_per_second"] = run["requests"] / run["seconds"]
        result["cpu_us_per_request"] = 1e6 * cpu / run["requests"]
    return result


def median_and_range(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(runs):
    all_figures = [figures(run) for run in runs]
    return {name: median_and_range([f[name] for f in all_figures]) for name in all_figures[0]}


def bootstrap_interval(values, seed=1):
    """The central 95 % of the medians of resampled values; the seed is fixed so that a report can
    be made again.
    """
    source = random.Random(seed)
    medians = sorted(
        statistics.median(source.choices(values, k=len(values))) for _ in range(_RESAMPLES)
    )
    return medians[int(0.025 * _RESAMPLES)], medians[int(0.975 * _RESAMPLES) - 1]


def paired_ratio(runs, other_runs, metric):
    """Median over the repetitions of this contender's figure by another one's in the same
    repetition, or None with fewer than two pairs: a single ratio has no spread, and so says nothing.

    Runs are dicts by repetition. What moves the whole machine for a while moves both halves of a
    pair.
    """
    ratios = []
    for repetition in sorted(runs.keys() & other_runs.keys()):
        below = figures(other_runs[repetition])[metric]
        if below > 0:
            ratios.append(figures(runs[repetition])[metric] / below)
    if len(ratios) < _PAIRS_FOR_RATIO:
        return None
    bootstrap = len(ratios) >= _PAIRS_FOR_BOOTSTRAP
    low, high = bootstrap_interval(ratios) if bootstrap else (min(ratios), max(ratios))
    return {
        "metric": metric,
        "median": statistics.median(ratios),
        "low": low,
        "high": high,
        "pairs": len(ratios),
        "interval": "bootstrap 95 %" if bootstrap else "range",
    }


def merged_histogram(runs):
    counts = {}
    for run in runs:
        for value, count in run.get("histogram", ()):
            counts[value] = counts.get(value, 0) + count
    return sorted(counts.items())
