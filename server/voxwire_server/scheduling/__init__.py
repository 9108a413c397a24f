"""Decides which synthesis requests are stepped next and together, which streams are admitted, and runs the steps.

| module | what it holds |
|---|---|
| `request` | requests, batches, outcomes of steps, outputs |
| `scheduler`, `state` | every unfinished request; executors, stages and engines; no clock, threads or I/O |
| `selection`, `batching` | which group is stepped next; which requests share its step |
| `queue` | queues by deadline and account |
| `cost` | what steps cost, learned |
| `admission`, `demand` | whether one more stream is served, and when to try again; streams expected soon |
| `policy`, `stats` | settings; statistics for the metrics |
| `runner`, `workers` | the worker threads: start, pick, replace; what each does and since when |
| `execution`, `delivery` | runs one batch's step and validates its results; brings outputs to the event loop |
"""
