"""Hostile input through the public faces, on the wire, for every client before every server; see `catalogue.yaml`."""
