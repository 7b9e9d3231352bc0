import numpy as np
import pytest

from burger_combos import evaluate, model
from burger_combos.ops.metrics import Metric


def codes(*numbers: int) -> model.Codes:
    return np.array(numbers, np.uint32)


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
    affinity = model.fit(model.histories(customers, items, (others + 1, 2))).affinity
    beside = much**2 + others
    itself = beside - much - others  # an order does not pair with itself
    assert affinity[0].tolist() == pytest.approx([itself / (itself + beside), beside / (itself + beside)], rel=1e-6)


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
