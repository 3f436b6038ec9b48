"""What the built-in problems reach: each trained once for real, with the settings of its command.

`python -m benchmarks.problems --data DIR` trains them, prints the table and writes `benchmarks/PROBLEMS.md`. Runs
are kept in `build/problems`: the same command goes on where it was stopped, and what is finished is not trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import fallline
from fallline.problems import load
from fallline.runs import Run

from .timing import machine

RESULTS = Path(__file__).with_name("PROBLEMS.md")
KEPT = Path("build/problems")


@dataclass(frozen=True)
class Case:
    """How a problem is trained, and the score on test data that it is to reach, in so many seconds at most."""

    rule: str
    lr: float
    target: float
    settings: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None

    def command(self, name: str) -> str:
        """The same at the command line."""
        rule = f'"{self.rule}"' if "(" in self.rule else self.rule
        rest = "".join(f" --set {setting}={value:g}" for setting, value in self.settings.items())
        return f"fallline train {name} --rule {rule} --lr {self.lr:g}{rest}"


CASES = {
    "fashion_mnist_mlp": Case("adamw", 0.003, target=0.89),
    "fashion_mnist_squeezenet": Case("adamw", 0.001, target=0.90),
    "fashion_mnist_resnet": Case("adamw", 0.005, target=0.915, settings={"weight_decay": 0.05}),
    "mnist1d_cnn_turned": Case("adamw", 0.01, target=0.92),
    "tiny_shakespeare": Case("clip_norm(adamw)", 0.004, target=1.60, seconds=900),
}


def row(name: str, run: Run, maximize: bool) -> str:
    """A problem's line of the table."""
    case = CASES[name]
    if run.test is None:
        return f"| {name} | {run.state} | | | | | `{case.command(name)}` |"
    reached, sign = run.test.metric, 1 if maximize else -1
    in_time = case.seconds is None or run.seconds <= case.seconds
    verdict = "met" if in_time and sign * (reached - case.target) >= 0 else "**not met**"
    limit = f" in {case.seconds:.0f} s" if case.seconds else ""
    wanted = f"{'at least' if maximize else 'at most'} {case.target:g}{limit}"
    cells = [name, f"{reached:.4f} ({run.metric})", wanted, verdict, f"{run.history[-1].epoch}", f"{run.seconds:.0f}"]
    return f"| {' | '.join(cells)} | `{case.command(name)}` |"


def main() -> None:
    """Train, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--data", type=Path, help="directory of the data sets (default: FALLLINE_DATA)")
    given = parser.parse_args()
    rows = []
    for name in given.problems:
        case, problem = CASES[name], load(name, given.data)
        run = fallline.train(problem, case.rule, dict(case.settings), lr=case.lr, out=KEPT / name)
        rows.append(row(name, run, problem.metric.maximize))
        print(rows[-1], flush=True)
        if not run.complete:
            raise SystemExit("Stopped: the same command goes on.")
    if given.problems == list(CASES):
        RESULTS.write_text(page(rows))
        print(f"Look next at {RESULTS}")


def page(rows: list[str]) -> str:
    """The table with what it is."""
    return "\n".join(
        [
            "# What the built-in problems reach\n",
            "Command: `python -m benchmarks.problems --data DIR`. Each problem trained once, seed 0, with the settings",
            "of its command; scores on test data. Seconds are of training, without evaluation.\n",
            f"Machine: {machine()}.\n",
            "| problem | test score | wanted | | epochs | seconds | command |",
            "| --- | ---: | --- | --- | ---: | ---: | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
