"""From a study's trials to what they say: every number of a result is computed here, from the record alone.

`summary.py` puts a result together; `statistics.py` has its estimates and intervals, `differences.py` what is said of
two rules, `importance.py` which hyper-parameters mattered, `notes.py` and `table.py` the words.
"""
