"""The Triton backend: the same programs as on the CPU, each pass printed as Triton's Python.

A pass over elements is one launch for all tensors, groups and trials, after a small one for the rows of numbers. What
is counted and carried from step to step stands on the device (`numbers.py`), so that a step waits for nothing and can
be captured in a CUDA graph. Triton is imported when a kernel is first launched.
"""
