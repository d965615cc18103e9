"""The mean of the last column of a table."""

import sys

import pandas as pd

table = pd.read_csv(sys.argv[1])
sys.stdout.write(f"{len(table)} rows, mean {table.iloc[:, -1].mean()}\n")
