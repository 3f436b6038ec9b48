"""Who trains what, when several processes work on one study; in both kinds of database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fallline.study.record import claims
from fallline.study.record.record import Record

from .records import TRIAL, fill, key_of

HERE = claims.owner()


def test_a_key_is_granted_to_one_owner(place: str) -> None:
    with Record.create(place) as one, Record.create(place) as other:
        study = fill(one)
        assert one.claim(study, ["a", "b"], HERE) == {"a", "b"}
        assert other.claim(study, ["a", "b", "c"], "elsewhere:1:1") == {"c"}
        assert one.claim(study, ["a", "c"], HERE) == {"a"}
        one.release(HERE)
        assert other.claim(study, ["a", "b"], "elsewhere:1:1") == {"a", "b"}
        assert one.claim(study, [], HERE) == set()


def test_an_owner_that_is_silent_for_a_minute_loses_its_claims(place: str) -> None:
    with Record.create(place) as record:
        study = fill(record)
        record._clock = lambda: 1000.0
        assert record.claim(study, ["a", "b"], "elsewhere:1:1") == {"a", "b"}
        record._clock = lambda: 1050.0
        record.beat("elsewhere:1:1")
        record._clock = lambda: 1110.0
        assert record.claim(study, ["a"], HERE) == set()
        record._clock = lambda: 1110.1
        assert record.claim(study, ["a"], HERE) == {"a"}
        record.beat("elsewhere:1:1")
        assert record.claim(study, ["b"], HERE) == set()


def test_a_dead_process_of_this_host_loses_its_claims_at_once(place: str) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child,
        Record.create(place) as it,
    ):
        study = fill(it)
        start = claims._start(child.pid)
        owner = f"{socket.gethostname()}:{child.pid}:{start}"
        assert it.claim(study, ["a"], owner) == {"a"}
        assert it.claim(study, ["a"], HERE) == set()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but nobody has waited for it
        assert it.claim(study, ["a"], HERE) == {"a"}
    assert not claims.lives(owner)
    assert not claims.lives(f"{socket.gethostname()}:{os.getpid()}:1")  # another process that had this number
    assert claims.lives(HERE)


def test_a_finished_trial_is_nobodys(place: str) -> None:
    with Record.create(place) as record:
        study = fill(record)
        assert record.claim(study, [key_of(TRIAL)], HERE) == {key_of(TRIAL)}
        fill(record, TRIAL)
        record.release("nobody")
        assert record.claim(study, [key_of(TRIAL), "a"], HERE) == {"a"}
        assert record.claim(study, [key_of(TRIAL)], "elsewhere:1:1") == set()


def test_the_first_execution_holds(place: str) -> None:
    with Record.create(place) as one, Record.create(place) as other:
        study = fill(one)
        assert one.execution(study) is None
        assert one.keep_execution(study, {"width": 64, "reason": ""}) == {"width": 64, "reason": ""}
        assert other.keep_execution(study, {"width": 1}) == {"width": 64, "reason": ""}
        fill(other)  # gone on with
        assert one.execution(study) == {"width": 64, "reason": ""}
        assert one.study(study)[0].id == study


TRIALS = [replace(TRIAL, number=number, seed=number) for number in range(60)]


TOGETHER = 4


def work(place: str, claimed: Callable[[], object] | None = None) -> None:
    """Claim what is free, a few at a time, tell it with who we are, and store it."""
    with Record.create(place) as record:
        study = record.study_ids()[0]
        every = {key_of(t): t for t in TRIALS}
        me = claims.owner()
        while missing := sorted(every.keys() - record.known(every)):
            ours = record.claim(study, missing[:TOGETHER], me) or record.claim(study, missing, me)
            os.write(1, "".join(f"{os.getpid()} {key}\n" for key in ours).encode())
            if claimed is not None:
                claimed()
            record.add_many([(key, "p", "x", every[key]) for key in ours])
            assert len(record.trials(study)) <= len(TRIALS)


def test_processes_share_a_study_and_a_killed_one_is_made_up_for(place: str) -> None:
    command = [sys.executable, "-m", f"{__package__}.test_claims", place]
    path = os.pathsep.join([str(Path(__file__).parents[__package__.count(".") + 1]), *filter(None, sys.path)])
    told: dict[str, list[str]] = defaultdict(list)
    with Record.create(place) as record:
        study = fill(record)
        record.plan(study, [(t.rule, t.kind, t.number, key_of(t)) for t in TRIALS])
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
        ) as parent:
            assert parent.stdout is not None
            for line in parent.stdout:
                pid, key = line.split()
                told[key].append(pid)
        assert parent.returncode == 0
        assert record.trials(study) == TRIALS
    assert told.keys() == set(map(key_of, TRIALS))
    lost = [key for key, pids in told.items() if len(pids) > 1]
    assert len(lost) == TOGETHER, "what the killed one had claimed, and nothing else, is trained twice"


def killed_before_storing() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    children = [os.fork()]
    if not children[0]:
        work(sys.argv[1], killed_before_storing)
    os.waitid(os.P_PID, children[0], os.WEXITED | os.WNOWAIT)
    for _ in range(2):
        children.append(os.fork())
        if not children[-1]:
            work(sys.argv[1])
            os._exit(0)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(codes != [-signal.SIGKILL, 0, 0])
