"""A first look at the orders, through the package: what is learnt here needs no rewriting later."""

import marimo

__generated_with = "0.25.2"
app = marimo.App()

with app.setup:
    from datetime import date

    import marimo as mo
    import polars as pl

    from burger_combos import model, orders
    from burger_combos.ops import plots
    from burger_combos.ops.ingest import parted, read
    from burger_combos.ops.problems import told_in_one_line
    from burger_combos.ops.settings import Stage, enter_project, load
    from burger_combos.pipeline import Settings
    from burger_combos.sample import make_up


@app.cell(hide_code=True)
def _():
    mo.md("""
    # A first look at the orders
    Through the package, on the settings of `explore/settings.toml`: what proves itself here moves to `src/`, with a
    test, and needs no rewriting.
    """)
    return


@app.cell
def _():
    with told_in_one_line():
        enter_project(Stage.explore)
        settings = load(Settings, Stage.explore)
        raw = read(settings.orders, lambda: make_up(settings.orders.sample, date.today()))
        found, rejected = parted(raw, settings.orders, orders.schema(date.today()))
    mo.md(f"**{len(found):,} orders** from {settings.orders.source}; **{len(rejected):,} rows set aside**:")
    return found, rejected, settings


@app.cell
def _(rejected):
    rejected.select("reason", pl.exclude("reason"))
    return


@app.cell
def _(found):
    days = found.group_by(pl.col("ordered_at").dt.date().alias("day")).len().sort("day")
    a_day = plots.lines({"orders": days["len"].to_list()}, days["day"].cast(pl.String).to_list(), "Orders a day")
    mo.Html(f"<h3>Orders a day</h3>{a_day}")
    return


@app.cell
def _(found):
    sales = dict(found["item"].value_counts(sort=True).head(10).iter_rows())
    mo.Html(f"<h3>What sells</h3>{plots.bars(sales, 'What sells', across=True)}")
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    What a few customers ordered, and what the model would recommend:
    """)
    return


@app.cell
def _(found, settings):
    customers, items = (found[name].unique().sort() for name in ("customer", "item"))
    codes = [found[name].rank("dense").to_numpy() - 1 for name in ("customer", "item")]
    history = model.histories(codes[0], codes[1], (len(customers), len(items)))
    few = history[:5]
    best = next(model.recommend(model.fit(history), few, settings.model.top_k))
    pl.DataFrame(
        {
            "customer": customers[: len(best)],
            "ordered": [", ".join(items.gather(few[[row]].indices)) for row in range(len(best))],
            "would like": [", ".join(items.gather(row)) for row in best.items],
        }
    )
    return


if __name__ == "__main__":
    app.run()
