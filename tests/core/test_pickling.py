"""What otdist returns can be pickled and copied, before and after its plan and potentials were made."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

import otdist
from otdist import metrics
from otdist.learn import Critic, SinkhornLoss, W1Loss, evaluate, fit_wgan, spectral_norm

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 2)), RNG.normal(size=(21, 2)) + 1.0
ONES = np.ones(24), np.ones(21)
COST = RNG.random((24, 21))
RESULTS = {
    "line": lambda: otdist.w1(X[:, 0], Y[:, 0]),
    "dense": lambda: otdist.w1(X, Y, method="dense"),
    "sparse": lambda: otdist.w1(X, Y, method="sparse"),
    "sinkhorn": lambda: otdist.w1(X, Y, method="sinkhorn"),
    "eps": lambda: otdist.w1(X, Y, method="sinkhorn", eps=0.1),
    "W2": lambda: otdist.wasserstein(X, Y),
    "emd": lambda: otdist.emd(COST),
    "emd sparse": lambda: otdist.emd(COST, method="sparse"),
    "circle": lambda: otdist.w1(X[:, 0], Y[:, 0], metric=metrics.periodic(10.0)),
    "torus": lambda: otdist.w1(X, Y, metric=metrics.periodic([10.0, None])),
    "minkowski": lambda: otdist.w1(X, Y, metric=metrics.minkowski(3)),
    "mixed": lambda: otdist.w1(X, Y, metric=metrics.mixed([1.0, 2.0])),
    "callable": lambda: otdist.w1(X, Y, metric=lambda u, v: float(np.abs(u - v).sum())),
    "cosine": lambda: otdist.w1(X, Y, metric="cosine"),
    "tv": lambda: otdist.unbalanced_w1(X, Y, *ONES, reach=1.0),
    "kl": lambda: otdist.unbalanced_w1(X, Y, *ONES, reach=1.0, penalty="kl"),
    "partial": lambda: otdist.partial_w1(X, Y, *ONES, moved=9.0),
    "divergence": lambda: otdist.sinkhorn_divergence(X, Y),
    "divergence with reach": lambda: otdist.sinkhorn_divergence(X, Y, reach=1.0),
    "sliced": lambda: otdist.sliced_w1(X, Y, n_projections=8),
    "max sliced": lambda: otdist.max_sliced_w1(X, Y),
    "critic": lambda: otdist.w1(X, Y, method="critic", max_seconds=0.1),
    "laws": lambda: otdist.closed.laws(stats.norm(), stats.norm(1.0)),
    "tensor": lambda: otdist.w1(torch.tensor(X), torch.tensor(Y)),
    "graph": lambda: otdist.w1(torch.tensor(X, requires_grad=True), torch.tensor(Y)),
    "graph of slices": lambda: otdist.sliced_w1(torch.tensor(X, requires_grad=True), Y, n_projections=8),
}
COPIES = {"pickle": lambda r: pickle.loads(pickle.dumps(r)), "copy": copy.copy, "deepcopy": copy.deepcopy}
COPIES["protocol 0"] = lambda r: pickle.loads(pickle.dumps(r, protocol=0))


def require_same(new, old):
    """Raise unless two results say the same; the last digits of sums may depend on where arrays lie."""
    assert type(new) is type(old) and new == old and new.value == old.value and str(new) == str(old)
    assert (new.lower, new.upper, new.info.keys()) == (old.lower, old.upper, old.info.keys())
    assert (new.plan is None, new.potentials is None) == (old.plan is None, old.potentials is None)
    if old.plan is not None:
        np.testing.assert_allclose(new.plan.toarray(), old.plan.toarray(), rtol=1e-13)
    for one, other in zip(new.potentials or (), old.potentials or (), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)
    for name in ("directions", "distances"):
        np.testing.assert_array_equal(getattr(new, name, 0), getattr(old, name, 0))


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.filterwarnings("ignore::otdist.ConvergenceWarning")  # of the critic, which has no time
def test_results(name):
    result = RESULTS[name]()
    before = {how: COPIES[how](result) for how in COPIES}
    for how, new in before.items():  # plan and potentials are made here for the first time
        assert how == "copy" or "plan" not in vars(new) or name == "callable"
        require_same(new, result)
    for how in COPIES:
        require_same(COPIES[how](result), result)


def test_the_critic_of_a_result_is_copied_where_its_metric_can_be():
    for name in ("dense", "sparse", "mixed"):
        result = RESULTS[name]()
        for how in COPIES.values():
            np.testing.assert_allclose(how(result).critic(X), result.critic(X), atol=1e-13)
    metric = metrics.Metric("mine", lambda x, y: np.abs(x[:, None] - y).max(-1), triangle=True)
    result = otdist.w1(X, Y, metric=metric)
    np.testing.assert_array_equal(copy.deepcopy(result).critic(X), result.critic(X))
    with pytest.raises(otdist.InputError, match="critic: was lost when the result was pickled"):
        pickle.loads(pickle.dumps(result)).critic(X)
    assert result.critic(X).shape == (24,)


def test_only_a_shallow_copy_has_the_graph():
    result = RESULTS["graph"]()
    assert copy.copy(result).value is result.value
    for how in ("pickle", "deepcopy"):
        new = COPIES[how](result)
        assert not new.value.requires_grad and new.value == result.value.detach()
    assert result.value.requires_grad
    assert copy.deepcopy([result, result])[1].value == result.value.detach()


def test_a_deep_copy_shares_no_numbers():
    result = RESULTS["dense"]()
    new = copy.deepcopy(result)
    assert new.plan is not result.plan and not np.shares_memory(new.potentials[0], result.potentials[0])
    new.info["more"] = 1
    assert "more" not in result.info


def test_a_solver_whose_makers_are_lambdas():
    cost = np.abs(np.subtract.outer([0.0, 1.0], [0.0, 2.0]))
    problem = otdist.w1([0.0, 1.0], [0.0, 2.0])
    from scipy.sparse import coo_array

    calls = []

    def make_plan():
        calls.append(1)
        return coo_array(np.eye(2) / 2)

    result = otdist.Result(
        0.5, 0.0, 1.0, "mine", _make_plan=make_plan, _make_potentials=lambda: (cost[0], -cost[0])
    )
    new = pickle.loads(pickle.dumps(result))
    assert problem == result == new and calls == [1]
    assert new.plan.toarray().tolist() == [[0.5, 0.0], [0.0, 0.5]] and new.potentials[0].tolist() == [
        0.0,
        2.0,
    ]
    again = pickle.loads(pickle.dumps(new))
    assert again.plan.toarray().tolist() == new.plan.toarray().tolist()


def test_batches():
    x = torch.tensor(np.stack([X[:6], X[6:12]]), requires_grad=True)
    batch = otdist.sinkhorn_divergence(x, torch.tensor(Y))
    for name, how in COPIES.items():
        new = how(batch)
        assert len(new) == 2 and torch.equal(new.value, batch.value)
        assert new.value.requires_grad is (name == "copy")
        assert np.array_equal(new.lower, batch.lower)


def test_errors():
    result = RESULTS["graph"]()
    errors = [
        otdist.InputError("x", "is wrong", "mend it"),
        otdist.ConvergenceError("stopped early", result),
        otdist.BudgetError("needs 3 TB"),
    ]
    for error in errors:
        for how in COPIES.values():
            new = how(error)
            assert type(new) is type(error) and str(new) == str(error)
    assert pickle.loads(pickle.dumps(errors[1])).result == result
    assert pickle.loads(pickle.dumps(errors[0])).remedy == "mend it"


def solve(seed):
    """One result of each kind of value, for another process to return."""
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.normal(size=(5, 2)), requires_grad=True)
    return otdist.w1(x, rng.normal(size=(4, 2))), otdist.w1([0.0], [float(seed)])


def refuse(seed):
    raise otdist.InputError("x", f"is {seed}", "try another")


@pytest.mark.slow
def test_processes_return_them():
    """By multiprocessing's own pickler, in processes that start anew."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for seed, (first, second) in enumerate(pool.map(solve, range(2))):
            assert first == solve(seed)[0] and second == float(seed)
            assert first.plan.shape == (5, 4)
        with pytest.raises(otdist.InputError, match="x: is 3; try another"):
            pool.map(refuse, [3])


@pytest.mark.slow
def test_loky_returns_them():
    joblib = pytest.importorskip("joblib")
    tasks = (joblib.delayed(lambda seed: solve(seed))(seed) for seed in range(2))
    found = joblib.Parallel(n_jobs=2)(tasks)
    assert [pair[1] for pair in found] == [0.0, 1.0]


class TestLearn:
    """Critics, losses and runs, trained before; they go on as they would have."""

    x, y = torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)

    @pytest.mark.parametrize(
        "family", ["anchors", "orthogonal", "folds", "pieces", "gp", "lp", "clip", "spectral"]
    )
    def test_critics(self, family):
        critic = Critic(family=family, steps=3, batch=8, anchors=8, rng=0).fit(X, Y)
        for how in COPIES.values():
            new = how(critic)
            assert np.array_equal(new(X), critic(X)) and new.gaps == critic.gaps
            assert new.confidence == critic.confidence and new.lipschitz == critic.lipschitz
        assert repr(pickle.loads(pickle.dumps(Critic()))) == "Critic(not fitted)"

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"family": "anchors", "anchors": 8},
            {"family": "pieces", "anchors": 8},
            {"family": "gp"},
            {"family": "clip"},
            {"family": "spectral"},
            {"method": "exact"},
            {"method": "sinkhorn"},
            {"method": "sliced"},
        ],
    )
    def test_losses(self, options):
        loss = W1Loss(**options)
        for _ in range(2):
            loss(self.x.clone().requires_grad_(), self.y).backward()
        # Not by copy.copy, which shares layers, as torch's modules do.
        copies = [COPIES[how](loss) for how in ("pickle", "deepcopy")]
        following = [[one(self.x, self.y).item() for _ in range(3)] for one in (loss, *copies)]
        assert following[0] == following[1] == following[2]

    def test_a_loss_that_holds_a_network_of_the_caller(self):
        net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
        loss = W1Loss(critic=net)
        loss(self.x, self.y)
        new = pickle.loads(pickle.dumps(loss))
        assert [loss(self.x, self.y).item() for _ in range(2)] == [
            new(self.x, self.y).item() for _ in range(2)
        ]

    @pytest.mark.slow
    def test_sinkhorn_loss(self):
        loss = SinkhornLoss()
        loss(self.x.clone().requires_grad_(), self.y).backward()
        for how in COPIES.values():
            assert how(loss)(self.x, self.y) == loss(self.x, self.y)

    def test_layers_with_spectral_norms(self):
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(32, 1))
        spectral_norm(net, (1, 6, 6), generator=torch.Generator().manual_seed(0))
        z = torch.randn(3, 1, 6, 6, generator=torch.Generator().manual_seed(1))
        new = pickle.loads(pickle.dumps(net))
        again = pickle.loads(pickle.dumps(new))
        for one in (new, again, copy.deepcopy(new)):
            assert one.state_dict().keys() == net.state_dict().keys()
            assert torch.equal(one.eval()(z), copy.deepcopy(net).eval()(z))
        net.train()
        assert torch.equal(new.train()(z), net(z))  # the power iterations go on alike
        new(z).sum().backward()
        assert all(p.grad is not None for p in new.parameters())
        assert sum(p.numel() for p in new.parameters()) == sum(p.numel() for p in net.parameters())

    @pytest.mark.slow
    @pytest.mark.parametrize("constraint", ["orthogonal", "spectral"])
    def test_runs(self, constraint):
        data = np.random.default_rng(0).normal(size=(80, 2))
        run = fit_wgan(data, steps=2, check_every=2, check_points=16, batch_size=16, constraint=constraint)
        for how in COPIES.values():
            new = how(run)
            assert np.array_equal(new.sample(3), run.sample(3)) and new.history == run.history
            assert str(new) == str(run)
        new = pickle.loads(pickle.dumps(run))
        for one in (run, new):
            assert one.state.critic_step(one.real.train) and one.state.generator_step()
        assert np.array_equal(new.sample(3), run.sample(3))

    def test_reports(self):
        found = evaluate(X, Y)
        table = {"a": X[:20, 0], "b": list("ab" * 10)}
        report = otdist.compare(table, table, n_resamples=9)
        for how in COPIES.values():
            assert str(how(found)) == str(found)
            assert str(how(report)) == str(report)
