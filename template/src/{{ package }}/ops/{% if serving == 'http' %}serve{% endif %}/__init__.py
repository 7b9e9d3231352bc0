"""The results by HTTP: each key's row, pages of rows, and what the model says of a key that no run has seen."""
