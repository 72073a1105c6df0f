"""The operator's side: command line, processes, pages."""
