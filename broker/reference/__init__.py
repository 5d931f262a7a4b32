"""The reference pages: what errors, notes, losses, metrics, audit lines and the configuration mean, made from the code.

    scan     what stands in the sources
    said     what only people can say: what kinds of notes mean
    pages    each page as Markdown

`dragoman reference SECTION` prints the pages beside this file; `python -m broker.reference` writes those anew that are
made from the code. The others are guides (`said.GUIDES`), written by people and tested with the front page.
"""
