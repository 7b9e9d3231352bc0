"""What the values of a table mean: what is missing, names, numbers and times."""
