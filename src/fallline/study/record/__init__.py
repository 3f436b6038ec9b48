"""The record: every trial of every study, in one database that outlives the process that wrote it.

A trial is known by what determines its numbers and is stored once; a study is a list of trials by key. Studies use
`record.py`; `schema.py` has the tables, `migrations/` the steps from older ones, `opening.py` the ways in (a file, a
server), `claims.py` who trains what, `recover.py` what to do with a damaged file. Everything is text and numbers:
nothing is unpickled.
"""
