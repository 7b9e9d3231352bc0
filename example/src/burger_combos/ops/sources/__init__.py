"""Tables from wherever they are: a module for each kind of file, and for databases; `ops/tables.py` chooses among them."""
