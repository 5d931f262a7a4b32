"""Mutation run over the steps and the repairs: whatever is broken on purpose must make a test fail.

    python -m tests.mutation                      every removal of one operation, and 400 seeded others
    python -m tests.mutation --seed 7 --jobs 2    another sample, two children at a time
    python -m tests.mutation --count 100000       all there are
    python -m tests.mutation --only '*dialect*'   only mutants whose description fits the pattern
    python -m tests.mutation --machines           the machines of session clients before a stateless server
    python -m tests.mutation --machines stateless_client   those of stateless clients before a session server

The killing suite is `runner.SUITE`: the golden pairs, the laws with a fixed hypothesis profile, the tests of repairs,
of the compatibility table, and `test_mutants_*.py`, which were written because a mutant survived without them. It is
collected once; every mutant is applied in a forked child, which stops at the first failing test (POSIX only).

`declared.py` changes what Changes declare (operations removed, reordered, losing something else; gates), `edits.py`
changes the functions and constants beside them by syntax tree, `adopt.py` puts a changed module in the place of the
imported one. Type hints, docstrings, texts of refusals and names of pages are never changed.

With `--machines` the mutants are those of `machines.py`, with a suite, and reasons in a file, of their own.

Two controls come first: the suite passes with every module executed again unchanged, and fails with the oldest step
emptied. A child that ends otherwise than by a failing test (the changed module cannot be
executed, a limit of processor time was met) is no kill: it is counted by itself, and counts against the kill rate
unless it could not even be executed. The exit code is 1 below 95 % killed, when a survivor has no reason in
`survivors.yaml`, or when that file names a mutant that does not exist or was killed.
"""
