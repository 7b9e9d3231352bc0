from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from burger_combos import evaluate, model, pairs
from burger_combos.ops.metrics import Metric


def codes(*numbers: int) -> model.Codes:
    return np.array(numbers, np.uint32)


def shop(customers: int, items: int, orders: int) -> sp.csr_array:
    """Histories with a few popular items and eight tastes; each customer has one order at least."""
    random = np.random.default_rng(7)
    who = np.r_[np.arange(customers), random.integers(0, customers, orders - customers)]
    what = np.minimum(random.geometric(0.08, orders) - 1 + who % 8, items - 1)
    return model.histories(who.astype(np.uint32), what.astype(np.uint32), (customers, items))


def test_what_is_ordered_together_is_recommended() -> None:
    history = model.histories(codes(0, 0, 1, 1, 2, 3, 3), codes(0, 1, 0, 1, 0, 2, 3), (4, 4))
    (best,) = model.recommend(model.fit(history), history[[2]], 2)
    assert best.items[0, 0] == 1


def test_what_customers_come_back_for_is_recommended_again() -> None:
    repeated = model.histories(codes(0, 0, 0, 1), codes(2, 2, 2, 2), (2, 3))
    (best,) = model.recommend(model.fit(repeated), repeated, 1)
    assert best.items[:, 0].tolist() == [2, 2]


def test_popularity_fills_the_places_that_histories_leave() -> None:
    history = model.histories(codes(0, 1, 1, 2), codes(0, 1, 1, 2), (3, 3))
    (best,) = model.recommend(model.fit(history), history[[0]], 5)
    assert best.items[0, 0] == 1
    assert sorted(best.items[0].tolist()) == [0, 1, 2]


def test_pairs_are_counted_exactly_beyond_the_integers_of_float32() -> None:
    much, others = 4096, 100_000  # 2^24 pairs of one customer's orders, and one of each other customer
    customers = np.r_[np.zeros(2 * much, np.uint32), np.arange(1, others + 1, dtype=np.uint32).repeat(2)]
    items = np.r_[np.repeat(codes(0, 1), much), np.tile(codes(0, 1), others)]
    affinity = model.fit(model.histories(customers, items, (others + 1, 2))).affinity.toarray()
    beside = much**2 + others
    itself = beside - much - others  # an order does not pair with itself
    assert affinity[0].tolist() == pytest.approx([itself / (itself + beside), beside / (itself + beside)], rel=1e-6)


def test_shards_of_customers_count_what_all_customers_count(tmp_path: Path) -> None:
    history = shop(customers=500, items=40, orders=4_000)
    parts = [history[:200], history[200:350], history[350:]]
    folders = [tmp_path / str(number) for number in range(len(parts))]
    for part, folder in zip(parts, folders, strict=True):
        folder.mkdir()
        for block in pairs.count(part):
            block.save(folder)
    orders = np.asarray(history.sum(axis=0), np.float64)
    for kept in (3, 10, 40):
        joined = model.learnt(pairs.add_up(folders), orders, kept).affinity
        whole = model.fit(history, kept).affinity
        assert (joined.indptr.tolist(), joined.indices.tolist()) == (whole.indptr.tolist(), whole.indices.tolist())
        assert joined.data.tolist() == whole.data.tolist()
        assert np.diff(joined.indptr).max() == min(kept, np.diff(model.fit(history, 40).affinity.indptr).max())


def test_the_pairs_of_earlier_orders_and_of_all_are_those_that_are_counted_one_by_one() -> None:
    history = shop(customers=500, items=40, orders=4_000)
    earlier = history.copy()
    earlier.data = np.floor(earlier.data / 2)
    late = history - earlier
    earlier.eliminate_zeros()
    for kept in (3, None):
        alone = zip(pairs.count(earlier, kept), pairs.count(history, kept), strict=True)
        for both, each in zip(pairs.count_both(earlier, late, kept), alone, strict=True):
            for found, expected in zip(both, each, strict=True):
                assert found.first == expected.first
                assert found.totals.tolist() == expected.totals.tolist()
                assert found.counts.shape == expected.counts.shape
                assert abs(found.counts - expected.counts).max() == 0


def test_the_best_neighbours_are_kept_and_their_shares_are_of_all_that_was_ordered() -> None:
    history = model.histories(codes(0, 0, 1, 1, 2, 2, 3, 3), codes(0, 1, 0, 1, 0, 1, 0, 2), (4, 3))
    best = model.fit(history, 1).affinity.toarray()
    assert best[0].tolist() == [0, pytest.approx(3 / 4), 0]


@pytest.mark.parametrize(("items", "neighbours"), [(60, 60), (600, 5)])
def test_scores_are_those_of_all_pairs_in_a_dense_matrix(
    items: int, neighbours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "CUSTOMERS", 20)  # so that threads do chunks, whose order is the customers'
    history = shop(customers=300, items=items, orders=3_000)
    learnt = model.fit(history, neighbours)
    dense = history.toarray() @ learnt.affinity.toarray() + 1e-6 * learnt.popularity
    best = model.joined(model.recommend(learnt, history, 5), 300)
    assert len(best) == 300
    scores = best.scores
    assert scores == pytest.approx(np.sort(dense, axis=1)[:, :-6:-1], abs=1e-4)
    assert scores == pytest.approx(np.take_along_axis(dense, best.items.astype(np.int64), axis=1), abs=1e-4)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_what_is_not_available_is_not_recommended() -> None:
    history = shop(customers=300, items=60, orders=3_000)
    available = np.arange(60) % 3 > 0
    learnt = model.fit(history)
    for best in model.recommend(learnt, history, 5, available):
        assert available[best.items].all()
    assert available[model.popular(learnt, 5, available)].all()
    (few,) = model.recommend(learnt, history[:2], 5, np.arange(60) < 3)
    assert [sorted(row) for row in few.items.tolist()] == [[0, 1, 2], [0, 1, 2]]


def test_a_model_is_renumbered_for_another_catalogue() -> None:
    learnt = model.fit(shop(customers=300, items=6, orders=3_000))
    found = model.renumbered(learnt, np.array([2, -1, 0, 1, 4, 5]), np.array([5, 1, 1, 90, 2, 1]))
    old, there = learnt.affinity.toarray(), np.array([2, 3, 0, 4, 5])  # the old codes of 0, 1, 2, 4, 5; 3 is new
    kept = np.array([0, 1, 2, 4, 5])
    assert found.affinity.toarray()[np.ix_(kept, kept)].tolist() == old[np.ix_(there, there)].tolist()
    assert found.affinity[[3]].nnz == found.affinity[:, [3]].nnz == 0
    assert model.popular(found, 2).tolist() == [3, 0]


def test_a_customer_without_orders_gets_what_is_popular() -> None:
    history = shop(customers=300, items=60, orders=3_000)
    learnt = model.fit(history)
    nobody = sp.csr_array((2, 60))
    (best,) = model.recommend(learnt, nobody, 5)
    assert best.items.tolist() == [model.popular(learnt, 5).tolist()] * 2


def test_a_backtest_does_not_see_the_orders_that_it_is_judged_by() -> None:
    history = model.histories(codes(0, 0, 1, 1), codes(0, 1, 0, 1), (3, 3))
    learnt = model.fit(history)
    found = evaluate.backtest(learnt, history, codes(0, 1, 2), codes(1, 2, 0), 1)
    assert found is not None
    assert found.orders == 2  # the third is of a customer without a history
    assert found.hit_rate in (0, 0.5)
    assert evaluate.backtest(learnt, history, codes(2), codes(0), 1) is None


def test_a_model_worse_than_a_baseline_is_refused() -> None:
    hit_rate = Metric("hit_rate", 0.30, "higher", {"popularity": 0.10, "own frequency": 0.31})
    enough, better = evaluate.judge(hit_rate, 500, evaluate.GateSettings())
    assert enough.passed
    assert not better.passed
    assert "own frequency 0.310" in better.finding


def test_a_comparison_by_chance_is_not_judged() -> None:
    few = Metric("hit_rate", 0.01, "higher", {"popularity": 0.02, "own frequency": 0.0})
    assert [v.passed for v in evaluate.judge(few, 500, evaluate.GateSettings(unjudged="pass"))] == [True]
    assert [v.passed for v in evaluate.judge(few, 500, evaluate.GateSettings(unjudged="refuse"))] == [False]
    assert [v.passed for v in evaluate.judge(None, 0, evaluate.GateSettings(unjudged="refuse"))] == [False]


def test_an_order_of_what_was_recommended_is_a_hit() -> None:
    rows = {"customer": ["ann", "bob"], "item_1": ["tea", "milk"], "item_2": ["milk", None]}
    orders = {"customer": ["bob", "ann", "ann", "eve"], "item": ["tea", "milk", "rice", "tea"]}
    found = evaluate.hits(pl.DataFrame(rows), pl.DataFrame(orders))
    assert found.rows() == [("bob", "tea", False), ("ann", "milk", True), ("ann", "rice", False)]


def test_the_baselines_know_what_was_ordered_before() -> None:
    history = model.histories(codes(0, 0, 1, 1), codes(2, 2, 0, 1), (2, 3))
    popularity = np.array([0.2, 0.7, 0.1])
    found = evaluate.baselines(history, popularity, np.array([0, 0, 1]), codes(2, 1, 0), 1)
    assert found == pytest.approx({"popularity": 1 / 3, "own frequency": 1 / 3})
