"""The benchmarks' pure parts: figures, tables, plots, configurations."""
