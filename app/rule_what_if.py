"""Where the drafts of a feed are tried on the records that came so far."""

from __future__ import annotations


def show_what_if(dataset: str) -> None:
    """Show what the drafts of a feed would do; nothing yet."""
    del dataset
