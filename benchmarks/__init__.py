"""What the platform reaches, measured against dlt and against its own limits: one module per benchmark.

Each benchmark has a `measure()` that returns a `Result`; `python -m benchmarks <name>` prints it.
"""
