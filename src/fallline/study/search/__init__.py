"""The search: from what may be searched to the trials that are trained next.

`space.py` joins a rule's hyper-parameters with the problem's own, `samplers/` draw from it, `pruners.py` end what falls
behind, and `batches.py` says which trials are trained together, and which settings won.
"""
