"""A Power BI project of the gold tables and the metric catalogue, as text files, and its linter.

gold      the gold tables, columns, keys and comments, from `sql/schema.sql`
model     what the semantic model holds: tables, columns, measures, relationships
tmdl      the model as TMDL;  `tmdl_reader` reads the part of TMDL that is written here
report    the page and its visuals as PBIR JSON;  `theme` its colours
project   all files of a project, as a folder or a zip;  `source` the connection
lint      what is wrong with a project;  `lint_model` and `lint_report` are its two halves

Nothing here needs a database, and no file holds a credential.
"""
