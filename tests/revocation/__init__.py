"""Hundreds of open streams whose credential ends: all close in time, in good form, and are cancelled and audited.

`python -m tests.revocation` runs it in full size; `test_revocation` a small one.
"""
