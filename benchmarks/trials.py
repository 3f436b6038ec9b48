"""Trials a second: Fallline beside Optuna that drives the same training loop with `torch.optim`.

Command: `python -m benchmarks.trials` (a quarter of an hour; `--quick` for 64 digits trials alone). Needs `mnist1d.npz`
in the directory named by FALLLINE_DATA for the problems that use it. Writes `benchmarks/TRIALS.md`.

Optuna samples at random and keeps its study in memory, the cheapest it can do. "One process" trains with one thread
or all, whichever is faster; "two processes" are two Python processes of one thread each.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console

from fallline.problems import Problem, derive, generator, load
from fallline.rules import get
from fallline.study.search.space import draw
from fallline.training import Execution, Trial, calibrate, train

from .timing import machine

RESULTS = Path(__file__).with_name("TRIALS.md")


@dataclass(frozen=True)
class Effort:
    """Rounds, and the trials in each that a peer is timed on: each takes as long as the next."""

    rounds: int = 3
    peer_trials: int = 3


MUCH = Effort(5, 6)


@dataclass(frozen=True)
class Row:
    """One problem at one number of trials: seconds for a trial, and trials a second as multiples of the others'."""

    problem: str
    trials: int
    execution: Execution
    ours: float
    calibrated: float
    optuna: float
    optuna_two: float
    one_by_one: float


def peer_trial(problem: Problem, lr: float, beta1: float, beta2: float) -> float:
    """One trial, written as a user of Optuna would, over the same batches; the final validation accuracy."""
    model = problem.build(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=(beta1, beta2))
    accuracy = 0.0
    for epoch in range(1, problem.epochs + 1):
        order = generator(derive(0, "order", epoch))
        for x, y in problem.train.batches(problem.batch_size, torch.device("cpu"), order):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            outputs = model(problem.valid.x)
            F.cross_entropy(outputs, problem.valid.y).item()
            accuracy = (outputs.argmax(1) == problem.valid.y).float().mean().item()
        model.train()
    return accuracy


def peer(problem: Problem, trials: int) -> None:
    """Optuna over `peer_trial`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        betas = trial.suggest_float("beta1", 0.5, 0.99), trial.suggest_float("beta2", 0.9, 0.9999)
        return peer_trial(problem, lr, *betas)

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=trials)


def two_processes(name: str, effort: Effort) -> Callable[[], float]:
    """Seconds for a trial of two processes that work at the same time; they wait, loaded and warm, between rounds."""
    command = [sys.executable, "-m", "benchmarks.trials", "--worker", name, str(effort.peer_trials)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(2)
    ]

    def hear() -> None:
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()

    def run() -> float:
        began = time.perf_counter()
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        hear()
        return (time.perf_counter() - began) / (2 * effort.peer_trials)

    hear()
    return run


def worker(name: str, trials: int) -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    problem = load(name)
    peer(problem, 1)
    print("ready", flush=True)
    for _ in sys.stdin:
        peer(problem, trials)
        print("done", flush=True)


def our_trials(count: int) -> list[Trial]:
    """Adam at random settings."""
    rule = get("adam")
    return [Trial(rule, draw(rule, 0, number), 0, "search", number) for number in range(count)]


def ours(problem: Problem, trials: list[Trial], execution: Execution) -> float:
    """Seconds for a trial."""
    began = time.perf_counter()
    for _ in train(problem, trials, execution=execution):
        pass
    return (time.perf_counter() - began) / len(trials)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _single(problem: Problem, trials: int) -> float:
    """Seconds for a trial of Optuna in one process, on one thread or all, whichever is faster."""
    threads = torch.get_num_threads()
    times = []
    for count in {1, threads}:
        torch.set_num_threads(count)
        times.append(_seconds(lambda: peer(problem, trials)) / trials)
    torch.set_num_threads(threads)
    return min(times)


def measure(name: str, counts: tuple[int, ...], effort: Effort) -> list[Row]:
    """The rows of a problem. Every round times all candidates, in an order that alternates."""
    problem = load(name)
    rows = []
    for count in counts:
        trials = our_trials(count)
        calibrate(problem, trials)
        calibrating = _seconds(lambda trials=trials: calibrate(problem, trials))
        execution = calibrate(problem, trials)
        both = two_processes(name, effort)
        works: dict[str, Callable[[], float]] = {
            "ours": lambda trials=trials, execution=execution: ours(problem, trials, execution),
            "one": lambda trials=trials: ours(problem, trials[: effort.peer_trials], Execution()),
            "optuna": lambda: _single(problem, effort.peer_trials),
            "two": both,
        }
        found: dict[str, list[float]] = {key: [] for key in works}
        for k in range(effort.rounds):
            for key in list(works) if k % 2 == 0 else reversed(list(works)):
                found[key].append(works[key]())
        seconds = statistics.median(found["ours"])
        ratios = [
            statistics.median(other / mine for other, mine in zip(found[key], found["ours"], strict=True))
            for key in ("optuna", "two", "one")
        ]
        rows.append(Row(name, count, execution, seconds, seconds + calibrating / count, *ratios))
        print(rows[-1], flush=True)
    return rows


def memory() -> int:
    """Peak bytes of a process that trains 512 digits trials in one stack."""
    code = (
        "import resource; from benchmarks.trials import Execution, load, our_trials, ours; "
        "p = load('digits'); p.epochs = 1; ours(p, our_trials(512), Execution(width=512)); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024)


def write(rows: list[Row], peak: int) -> None:
    """The table, and whether the limits are met."""
    lines = [
        "# Trials a second",
        "",
        "Command: `python -m benchmarks.trials`. Medians of ratios over rounds in alternating order. Adam at random",
        "settings, the same batches and evaluations for all. Optuna drives `torch.optim.Adam` with a random sampler,",
        "its study in memory: one process (one thread or all, whichever is faster), and two processes of one thread",
        "each. The last three columns are Fallline's trials a second as multiples of theirs.",
        "",
        f"Machine: {machine()}.",
        "",
        f"Peak memory of a process that trains 512 digits trials in one stack: {peak / 2**30:.2f} GiB.",
        "",
        "| problem | trials | trained | s a trial | with calibration | Optuna | Optuna, two processes | one by one |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row.problem} | {row.trials} | {row.execution} | {row.ours:.4f} | {row.calibrated:.4f} | "
            f"**{row.optuna:.1f}** | **{row.optuna_two:.1f}** | {row.one_by_one:.1f} |"
        )
    text = "\n".join(lines) + "\n"
    RESULTS.write_text(text)
    Console().print(text, markup=False)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="64 digits trials alone, nothing written")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given.worker[0], int(given.worker[1]))
        return
    if given.quick:
        measure("digits", (64,), MUCH)
        return
    rows = measure("digits", (16, 64, 256), MUCH)
    for name in ("mnist1d", "mnist1d_cnn", "moons", "breast_cancer", "fashion_mnist"):
        rows += measure(name, (16, 64) if name.startswith("mnist") else (16,), Effort())
    write(rows, memory())


if __name__ == "__main__":
    main()
