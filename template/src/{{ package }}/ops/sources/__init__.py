"""Tables from wherever they are: a module for each kind; `ops/tables.py` chooses among them."""
