"""The four steps of a run; each commits its work together with its checkpoint."""
