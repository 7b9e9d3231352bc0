"""A first look at the orders, through the package: what is learnt here needs no rewriting later."""

import marimo

__generated_with = "0.25.2"
app = marimo.App()

with app.setup:
    from datetime import date

    import marimo as mo
    import polars as pl
    import pygal
    from pygal.style import Style

    from burger_combos import model, orders
    from burger_combos.ops.problems import told_in_one_line
    from burger_combos.ops.settings import Stage, enter_project, load
    from burger_combos.pipeline import Settings

    plain = Style(background="white", plot_background="white", colors=("#4c78a8",))


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
        raw = orders.read(settings.orders, date.today())
        found, rejected = orders.check(raw, settings.orders, date.today())
    mo.md(f"**{len(found):,} orders** from {settings.orders.source}; **{len(rejected):,} rows set aside**:")
    return found, rejected, settings


@app.cell
def _(rejected):
    rejected.select("reason", pl.exclude("reason"))
    return


@app.cell
def _(found):
    days = found.group_by(pl.col("ordered_at").dt.date().alias("day")).len().sort("day")
    a_day = pygal.Line(
        title="Orders a day",
        style=plain,
        js=[],
        height=300,
        show_legend=False,
        show_dots=False,
        show_minor_x_labels=False,
        truncate_label=-1,
        x_labels_major_count=6,
    )
    a_day.x_labels = map(str, days["day"])
    a_day.add("orders", days["len"].to_list())
    mo.Html(a_day.render(is_unicode=True))
    return


@app.cell
def _(found):
    sales = found["item"].value_counts(sort=True).head(10).reverse()
    sells = pygal.HorizontalBar(title="What sells", style=plain, js=[], height=400, show_legend=False)
    sells.x_labels = sales["item"].to_list()
    sells.add("orders", sales["count"].to_list())
    mo.Html(sells.render(is_unicode=True))
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
