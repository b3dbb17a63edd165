"""Which source model adapts best to a new detector: the truth, and every score against it.

`measure` evaluates from the stored truth (benchmarks/truth) alone, and draws docs/plots. To make
more truth: `python -m benchmarks.transfer.runs`, then `.scores`, then `.stored`.
"""

from __future__ import annotations

from typing import Any

SEED = 5


def measure(quick: bool) -> dict[str, Any]:
    """All figures: per split the stack, every score and baseline, and the verdicts."""
    # Here, so that the processes of `runs` import nothing of the evaluation.
    from benchmarks.transfer import evaluate, plots
    from benchmarks.transfer.cases import cases
    from benchmarks.transfer.stored import load

    truth = load()
    found = evaluate.figures(truth, quick)
    if quick:
        return found
    plots.write(
        truth,
        evaluate.known_to(evaluate.OURS, truth, evaluate.MAIN_SIZE),
        found,
        evaluate.MAIN_SIZE,
    )
    built = cases()
    nothing = [case for case in built if case.right == "nothing-fits"]
    return {
        **found,
        "nofit_right": round(sum(c.given == c.right for c in nothing) / len(nothing), 3),
        "nofit_cases": len(nothing),
        "nofit_false": sum(c.given == "nothing-fits" for c in built if c not in nothing),
        "nofit_wrong": [case.name for case in built if case.given != case.right],
    }
