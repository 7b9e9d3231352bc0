"""A first look at the orders, through the package: what is learnt here needs no rewriting later."""

from datetime import date

from burger_combos import model, orders
from burger_combos.ops.problems import told_in_one_line
from burger_combos.ops.settings import Stage, enter_project, load
from burger_combos.pipeline import Settings

with told_in_one_line():
    enter_project(Stage.explore)
    settings = load(Settings, Stage.explore)
    raw = orders.read(settings.orders, date.today())
    found, rejected = orders.check(raw, settings.orders, date.today())
print(f"{len(found):,} orders from {settings.orders.source}; {len(rejected):,} rows set aside, such as")
print(rejected.head(3))
print("\nWhat sells:")
print(found["item"].value_counts(sort=True).head(10))

customers, items = (found[name].unique().sort() for name in ("customer", "item"))
codes = [found[name].rank("dense").to_numpy() - 1 for name in ("customer", "item")]
history = model.histories(codes[0], codes[1], (len(customers), len(items)))
learnt = model.fit(history)

print("\nWhat a few customers ordered, and what the model would recommend:")
few = history[:3]
for row, best in enumerate(next(model.recommend(learnt, few, settings.model.top_k))):
    print(f"\n{customers[row]} ordered    ", ", ".join(items.gather(few[[row]].indices)))
    print(f"{customers[row]} would like ", ", ".join(items.gather(best)))
