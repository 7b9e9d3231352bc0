"""The example's model on a real catalogue: as good as all pairs of items in a dense matrix, which it does without."""

import json

import pytest
from rig import Project

# Popularity by Zipf, 60 % of the orders from one of 50 tastes; the last seventh of the orders is held out.
COMPARED = """
import json
import numpy as np
import scipy.sparse as sp
from {package} import evaluate, model

items, customers, orders = {items}, 5_000, 150_000
random = np.random.default_rng(3)
popularity = 1 / np.arange(1.0, items + 1)
tastes = np.array([random.permutation(items)[:150] for _ in range(50)])
who = np.r_[np.arange(customers), random.integers(0, customers, orders - customers)].astype(np.uint32)
popular = np.searchsorted(np.cumsum(popularity / popularity.sum()), random.random(orders)).clip(max=items - 1)
liked = tastes[who % 50, (150 * random.random(orders) ** 2).astype(int)]
what = np.where(random.random(orders) < 0.6, liked, popular).astype(np.uint32)
late = np.arange(orders) % 7 == 6
history = model.histories(who[~late], what[~late], (customers, items))

found = evaluate.backtest(model.fit(history), history, who[late], what[late], 5)

pairs = (history.T @ history).astype(np.float32).toarray()
pairs[np.diag_indices(items)] -= history.sum(axis=0).astype(np.float32)
pairs /= np.maximum(pairs.sum(axis=1, keepdims=True), 1)
share = (history.sum(axis=0) / history.sum()).astype(np.float32)
best = []
for start in range(0, customers, 500):
    scores = history[start : start + 500].astype(np.float32) @ pairs + np.float32(1e-6) * share
    best.append(np.argpartition(-scores, 5, axis=1)[:, :5])
best = np.concatenate(best)
known = np.diff(history.indptr)[who[late]] > 0
hits = (best[who[late]] == what[late][:, None]).any(axis=1)[known]
print(json.dumps([found.hit_rate, hits.mean(), found.orders, len(hits), found.baselines]))
"""


@pytest.mark.parametrize("items", [2_000, 10_000])
def test_the_best_neighbours_hit_as_often_as_all_pairs(project: Project, items: int) -> None:
    done = project.python(COMPARED.format(package=project.package, items=items))
    assert done.returncode == 0, done.stderr
    mine, dense, judged, of_dense, baselines = json.loads(done.stdout)
    assert judged == of_dense > 15_000
    assert mine >= dense - 0.002
    assert mine > max(baselines.values())
