"""Sweeps: which settings make the metric better, found by trials that publish nothing.

`begin` plans the trials and does the first, under the settings of now; `trial` does one of the others; `close` compares
them all. On one machine `pool` does the trials at once, each in a process of its own. An engine does them by its own
means, and calls these three. What is known of a sweep lies beside the runs: its plan, and a record of each trial.
"""
