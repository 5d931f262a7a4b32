"""`python -m broker.reference`: write the pages anew, after the code has changed."""

from __future__ import annotations

from broker.reference.pages import FOLDER, PAGES

for name, page in PAGES.items():
    (FOLDER / page.file).write_text(page.render(), encoding="utf-8")
    print(f"{name}: {page.file}")
