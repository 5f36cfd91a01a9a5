"""Writes docs/reference and docs/report.svg from the registries: `make docs`, or `python -m docs.generator`.

What a page says comes from where mqverify itself has it (the models, the headers of the SQL, the options of commands);
how it looks is a template; the examples of guarantees are runs of shipped specs. Commands of all documents are
executed, by the tests too, and what they print is brought up to date. Nothing here is shipped.
"""
