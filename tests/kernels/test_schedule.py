"""Which passes a rule takes, and what each reads and writes: as little as can be."""

from __future__ import annotations

import pytest
import torch

from fallline.kernels import cost
from fallline.kernels.cost import state_bytes
from fallline.kernels.operation import UnknownOperation
from fallline.kernels.plan import plan
from fallline.kernels.program import Apply, Pass, Round
from fallline.kernels.schedule import program
from fallline.rules import REGISTRY, get, rule, total, when
from fallline.rules.modifiers.averages import ema
from fallline.rules.modifiers.clipping import clip_norm
from fallline.rules.trace import chosen, decision


def sweeps(name, **kwargs):
    """Of every pass over elements, what it reads and what it writes."""
    made = program(plan(get(name) if isinstance(name, str) else name), **kwargs)
    return [
        (
            "".join(load.array[0] for load in step.loads if load.extent == "elements"),
            "".join(array[0] for array, _ in step.stores),
        )
        for step in made.passes
        if step.extent == "elements"
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adam", [("pgmv", "pmv")]),
        ("clip_norm(adamw)", [("g", ""), ("pgmv", "pmv")]),
        ("ema(clip_norm(adamw))", [("g", ""), ("pgmva", "pmva")]),
        # what the first pass has made is not made again
        ("lamb", [("pgmv", "mv"), ("pmv", "p")]),
        ("clip_norm(lamb)", [("g", ""), ("pgmv", "mv"), ("pmv", "p")]),
        ("novograd", [("g", ""), ("pgm", "pm")]),
        # rows and columns are summed in one pass
        ("sm3", [("g", ""), ("pg", "p")]),
        ("came", [("g", ""), ("g", ""), ("gm", "m"), ("pm", "p")]),
    ],
)
def test_no_array_is_moved_without_need(name, expected):
    assert sweeps(name) == expected


def test_states_that_memory_rounds_are_read_once_and_written_last():
    """As the text has it: what a step computes with is rounded only when it is stored."""
    assert sweeps("lamb", rereads=False) == [("pgmv", ""), ("pgmv", "pmv")]


def test_a_rule_that_looks_ahead_by_its_sums_still_moves_everything_once():
    """What is summed for the next step does not delay this one's update."""

    @rule
    def _watched(p, g, m, seen, *, t, lr=0.1):
        m = 0.9 * m + g
        return p - lr * m, m, seen + g / total(g * m)

    @rule
    def _summed(p, g, m, *, t, lr=0.1):
        m = 0.9 * m + g
        return p - lr * m / total(m), m

    assert sweeps(_watched) == [("gm", "m"), ("pgms", "ps")]
    assert sweeps(_summed) == [("gm", "m"), ("pm", "p")]
    steps = program(plan(_summed)).steps
    assert [type(step) for step in steps].count(Round) == 1


def test_functions_of_matrices_stand_between_passes():
    @rule
    def _flipped(p, g, m, *, t, lr=0.1):
        m = 0.9 * m + g
        return p - lr * torch.flip(m, (-1,)), m

    steps = program(plan(_flipped, (30, 20))).steps
    assert [step.call.title if isinstance(step, Apply) else step.stores[0][0] for step in steps] == [
        "m",
        "flip",
        "p",
    ]


def follow(plan, program):
    """Go through a program: everything is there when it is needed, and in the end all outputs where they belong."""
    holds = {array: array for array in plan.arrays}
    columns = {*plan.numbers} | {name for name in program.layout.columns if name.startswith("#")}
    for step in program.steps:
        if isinstance(step, Pass):
            there = columns | {load.value for load in step.loads}
            assert all(holds[load.array] == load.value for load in step.loads)
            for op in step.operations:
                assert all(not isinstance(arg, str) or arg in there for arg in op.args)
                there.add(op.name)
            values = [value for _, value in (*step.stores, *step.keeps)] + [r.of for r in step.reductions]
            assert all(not isinstance(value, str) or value in there for value in values)
            columns |= {r.name for r in step.reductions if r.into == "scalar"} | {name for name, _ in step.keeps}
            holds.update({r.name: r.name for r in step.reductions if r.into != "scalar"} | dict(step.stores))
        elif isinstance(step, Round):
            assert {*step.names} <= columns
        elif isinstance(step, Apply):
            for source in step.sources:
                assert source.place in columns or holds[source.place] == source.value
            holds[step.name] = step.name
            columns |= {step.name} if step.extent == "scalar" else set()
        else:
            holds.update({state: holds[array] for state, array in step.pairs})
    assert {array: holds[array] for array in plan.written} == plan.written
    assert {f"{name}'" for name in plan.kept} <= columns
    assert {*program.layout.columns} <= columns


@pytest.mark.parametrize("rereads", [True, False], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("view", [None, (30, 20), (5, 5), (1, 7), (3, 4, 4)], ids=str)
@pytest.mark.parametrize("name", [*sorted(REGISTRY), "ema(clip_norm(lamb))", "lookahead(agc(muon))"])
def test_everything_is_there_when_it_is_needed(name, view, rereads):
    for part in {get(name), get(name).otherwise or get(name)}:
        numbers = [*part.defaults.values(), *part.numbers.values()]
        for said in {decision(part)([t, *numbers]) for t in (1, 2, 10_007)}:
            made = plan(chosen(part, said), view)
            follow(made, program(made, rereads))


def test_a_choice_must_be_made_before():
    @rule
    def _chosen(p, g, *, t, lr=0.1):
        return p - lr * when(t % 2 == 0, g, 2 * g)

    with pytest.raises(UnknownOperation):
        program(plan(_chosen))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sgd", 12), ("momentum", 20), ("adam", 28), ("amsgrad", 36), ("lamb", 40), ("sm3", 16), ("came", 32)],
)
def test_bytes_a_step_count_every_array_read_and_written(name, expected):
    assert cost(get(name)).bytes_per_parameter == expected


def test_the_training_recipe_is_one_reduction_and_one_update():
    sheet = cost(ema(clip_norm(get("adamw"))))
    assert [str(sweep) for sweep in sheet.sweeps] == [
        "reads g; makes sums",
        "reads p, g, m, v, average; writes p, m, v, average",
    ]
    assert sheet.bytes_per_parameter == 40
    assert sheet.shapes == (("m", "as p"), ("v", "as p"), ("average", "as p"))


def test_the_sheet_names_functions_and_shapes():
    assert cost(get("muon")).functions == ("orthogonalized",)
    assert cost(get("adafactor")).shapes == (("r", "rows x 1"), ("c", "1 x columns"))


def test_factored_states_take_a_row_and_a_column():
    assert state_bytes(get("adafactor"), (300, 500)) == 4 * 800
    assert state_bytes(get("adam"), (300, 500)) == 8 * 300 * 500
    assert state_bytes(get("adafactor"), (500,)) == 4 * 500
