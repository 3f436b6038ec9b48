"""Sparse gradients: the rows they name are stepped, and no others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fallline import InputError, optim
from fallline.kernels.reach import Reach, reach
from fallline.rules import REGISTRY, get, rule
from fallline.rules.trace import trace

TABLES = {
    "embedding": lambda: nn.Embedding(10, 4, sparse=True),
    "bag": lambda: nn.EmbeddingBag(10, 4, sparse=True, mode="sum"),
}


def by_rows(rule):
    return reach(rule)[0] is Reach.ELEMENT and not trace(rule).rounds


ELEMENTWISE = [name for name in sorted(REGISTRY) if by_rows(get(name))]
REST = {name: get(name).of_shape((10, 4), elementwise=True) for name in sorted(REGISTRY)}
MATRICES = [name for name, rest in REST.items() if rest is not get(name) and by_rows(rest)]


def table(kind="embedding"):
    torch.manual_seed(0)
    return TABLES[kind]().double()


def look_up(embedding, optimizer, steps=5, highest=7):
    """Training in which rows from `highest` on are never looked up, and others several times at once."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        rows = torch.randint(0, highest, (4, 3), generator=generator)
        optimizer.zero_grad()
        (embedding(rows).double() ** 2).sum().backward()
        optimizer.step()
    return embedding.weight.detach().clone()


@pytest.fixture(autouse=True)
def checked_invariants():
    with torch.sparse.check_sparse_tensor_invariants():
        yield


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        ("SparseAdam", {"lr": 0.1}),
        ("SparseAdam", {"betas": (0.5, 0.9), "eps": 1e-3, "maximize": True}),
        ("SGD", {"lr": 0.1}),
        ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "lr_decay": 0.1}),
    ],
    ids=["sparse_adam", "sparse_adam_set", "sgd", "adagrad"],
)
def test_the_same_numbers_as_torchs_optimizer(cls, settings, kind):
    one, two = table(kind), table(kind)
    ours = look_up(one, getattr(optim, cls)(one.parameters(), **settings))
    theirs = look_up(two, getattr(torch.optim, cls)(two.parameters(), **settings))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["sparse_adam", "adagrad"])
def test_checkpoints_are_exchanged_with_torchs_optimizer(name):
    cls = get(name).title
    one, two = table(), table()
    ours, theirs = getattr(optim, cls)(one.parameters()), getattr(torch.optim, cls)(two.parameters())
    look_up(one, ours)
    look_up(two, theirs)
    saved = ours.state_dict()
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(saved)
    torch.testing.assert_close(look_up(one, ours), look_up(two, theirs), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "decoupled(momentum)"])
def test_rows_go_the_way_of_a_dense_parameter_of_just_these_rows(name):
    """Any element-wise rule is lazy: what a batch does not look up is not there for it."""
    whole = table()
    part = whole.weight.detach()[2:5].clone().requires_grad_()
    before = whole.weight.detach().clone()
    settings = {"weight_decay": 0.1} if "weight_decay" in get(name).hypers else {}
    one, two = (optim.optimizer(name, [p], **settings) for p in (whole.weight, part))
    for step in range(4):
        part.grad = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4) * (step + 1)
        rows = torch.tensor([[3, 2, 4, 3]])
        values = torch.cat([part.grad[[1, 0, 2]], torch.zeros(1, 4)])  # unordered, and one row twice
        whole.weight.grad = torch.sparse_coo_tensor(rows, values, (10, 4))
        one.step()
        two.step()
    torch.testing.assert_close(whole.weight.detach()[2:5], part.detach(), rtol=1e-12, atol=1e-14)
    assert torch.equal(whole.weight.detach()[5:], before[5:])
    for key, state in one.state[whole.weight].items():
        if isinstance(state, torch.Tensor):
            assert torch.equal(state[2:5], two.state[part][key])
        else:
            assert state == two.state[part][key]


def test_rows_that_are_not_looked_up_keep_their_states():
    embedding = table()
    optimizer = optim.AdamW(embedding.parameters(), weight_decay=0.5)
    look_up(embedding, optimizer, highest=7)
    weight = embedding.weight.detach().clone()
    kept = {key: value.clone() for key, value in optimizer.state[embedding.weight].items() if key != "step"}
    look_up(embedding, optimizer, highest=3)
    assert torch.equal(embedding.weight[3:], weight[3:])
    for key, value in kept.items():
        assert value[3:7].any()
        assert torch.equal(optimizer.state[embedding.weight][key][3:], value[3:])
        assert not torch.equal(optimizer.state[embedding.weight][key][:3], value[:3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_types_and_scattered_elements(dtype):
    """A gradient may name single elements as well as rows."""
    p, q = (torch.linspace(-1, 1, 12).view(3, 4).to(dtype).requires_grad_() for _ in range(2))
    where = torch.tensor([[0, 2, 2], [1, 0, 3]])
    p.grad = torch.sparse_coo_tensor(where, torch.tensor([1.0, -2.0, 3.0], dtype=dtype), (3, 4))
    q.grad = p.grad.to_dense()
    optim.Adam([p], lr=0.1).step()
    optim.Adam([q], lr=0.1).step()
    assert torch.equal(p, q)  # at the first step, what has no gradient stays either way


def test_a_gradient_without_rows_counts_as_a_step():
    p = torch.ones(3, 2, requires_grad=True)
    p.grad = torch.sparse_coo_tensor(torch.empty(1, 0, dtype=torch.long), torch.empty(0, 2), (3, 2))
    optimizer = optim.SparseAdam([p])
    optimizer.step()
    assert torch.equal(p.detach(), torch.ones(3, 2))
    assert optimizer.state[p]["step"] == 1


def test_dense_and_sparse_gradients_may_alternate():
    p = torch.ones(3, 2, requires_grad=True)
    optimizer = optim.Adam([p])
    for gradient in (torch.ones(3, 2), torch.ones(3, 2).to_sparse(1), torch.ones(3, 2)):
        p.grad = gradient
        optimizer.step()
    q = torch.ones(3, 2, requires_grad=True)
    dense = optim.Adam([q])
    for _ in range(3):
        q.grad = torch.ones(3, 2)
        dense.step()
    assert torch.equal(p, q)


def test_states_in_eight_bits_are_kept_whole_once_a_gradient_is_sparse():
    torch.manual_seed(0)
    start = torch.randn(100, 64)
    rows = torch.sparse_coo_tensor(torch.arange(40)[None], start[:40].cos(), start.shape)
    found = []
    for settings in ({}, {"state_8bit": True}):
        p = start.clone().requires_grad_()
        optimizer = optim.AdamW([p], **settings)
        p.grad = start.sin()
        optimizer.step()
        coded = optimizer.state[p]["exp_avg"].dtype
        p.grad = rows
        optimizer.step()
        assert optimizer.state[p]["exp_avg"].dtype is torch.float32
        found.append((coded, p.detach()))
    assert [coded for coded, _ in found] == [torch.float32, torch.uint8]
    torch.testing.assert_close(found[1][1], found[0][1], rtol=0, atol=2e-4)
    assert torch.equal(found[1][1][40:], found[0][1][40:])


@pytest.fixture
def whole_tensor_rules():
    @rule
    def own_norm(p, g, *, t, lr=0.1):
        return p - lr * g / g.norm()

    @rule
    def own_rows(p, g, *, t, lr=0.1):
        return p - lr * (g - g.mean(-1, keepdim=True))

    yield
    for name in ("own_norm", "own_rows"):
        REGISTRY.pop(name)


@pytest.mark.usefixtures("whole_tensor_rules")
@pytest.mark.parametrize(
    ("name", "settings", "operation"),
    [("own_norm", {}, "norm"), ("own_rows", {}, "mean"), ("adamw", {"clip_norm": 1.0}, "total")],
)
def test_a_rule_that_needs_more_than_the_rows_says_why(name, settings, operation):
    embedding = table()
    optimizer = optim.optimizer(name, embedding.parameters(), **settings)
    embedding(torch.tensor([1])).sum().backward()
    before = embedding.weight.detach().clone()
    with pytest.raises(InputError, match=rf"sparse gradient, but needs more .*`{operation}`.*make the gradient dense"):
        optimizer.step()
    assert torch.equal(embedding.weight, before)


def test_a_sparse_parameter_is_refused():
    p = torch.eye(3).to_sparse().requires_grad_()
    with pytest.raises(InputError, match=r"takes no parameters in torch\.sparse_coo; their gradients may be sparse"):
        optim.Adam([p])


@pytest.mark.parametrize("name", MATRICES)
def test_a_rule_for_matrices_leaves_a_table_to_its_rule_for_the_rest(name):
    embedding = table()
    make = lambda **group: optim.optimizer(name, [{"params": embedding.parameters(), **group}])  # noqa: E731
    with pytest.raises(InputError, match="put the parameter in a group with elementwise=True"):
        look_up(embedding, make())
    before = embedding.weight.detach().clone()
    assert not torch.equal(look_up(embedding, make(elementwise=True))[:7], before[:7])
