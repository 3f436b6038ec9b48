"""Claims of the field, run again in small: what the paper says, what was measured here, and whether the two agree.

    python -m reproductions                # all that was not measured yet; writes reproductions/RESULTS.md
    python -m reproductions adam_amsgrad   # one
    python -m reproductions --list

A claim is a function in a file of `claims/`: it measures, as a user of Fallline would, and gives *findings*. A finding
is a quantity with its 95 % interval and the values among which the claim puts it; the verdict is computed from these
alone (`finding.py`). A new claim is a new file, found by being there:

    @claim(number=7, title="Adam can converge to the worst point", paper="Reddi et al. 2018", figures="...", ...)
    def adam_amsgrad(lab: Lab, steps: int = 300_000) -> list[Finding]:
        ...
        return [exactly("Adam's last point", x, above(0.9))]

What takes long goes through the `Lab`, which keeps it: an interrupted run goes on where it stopped.
"""
