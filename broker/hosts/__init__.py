"""The configuration files that hosts already have: read as they are, rewritten in place, and given back.

Reading goes in four steps, each a module: a text becomes a tree that knows where everything stands (`jsonc`,
`yaml_text`, `toml_text`), the tree gives entries (`shapes`), an entry gives a server (`servers`), and its variables
are filled in (`variables`) only where the broker itself is to serve it (`serving`). `connect` puts the broker into the
entries and takes it out again. Nothing that stands in such a file is ever executed here.
"""
