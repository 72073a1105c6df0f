"""Saved views of any page: a list of links, the present state kept under a name, deletion.

A page only calls `saved_views("its name")`; what is kept are the query parameters of the page, so a
page whose state lives in its address needs nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app import components, context, reads
from app.actions import saved_views as actions
from app.auth import Role

# parameters that say where somebody is, not what is shown
_PASSING = frozenset({"page", "tab"})


def saved_views(page: str, *, but: Sequence[str] = ()) -> None:
    """Show the views of a page; `but` are query parameters that belong to no view."""
    kept = present(but)
    with st.popover("Views", icon=":material/bookmarks:", type="tertiary", key="saved_views"):
        _show_list(page)
        _show_form(page, kept)


def present(but: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return what the address of the page says now."""
    return {
        key: st.query_params.get_all(key)
        for key in st.query_params
        if key not in _PASSING and key not in but
    }


def link_html(page: str, view: Mapping[str, Any]) -> str:
    """Return a link that opens a view as if its address had been typed; all text is escaped.

    Its target is a page of ours whatever the view holds: only parameters come from it.
    """
    address = f"{page}?{urlencode(view['address'], doseq=True)}"
    return (
        f"<a href='{escape(address, quote=True)}' style='overflow-wrap:anywhere'>"
        f"{escape(view['name'])}</a>"
    )


def _show_list(page: str) -> None:
    desk = context.desk()
    views = reads.rows("queries/saved_views.visible", page=page, owner=desk.operator.name)
    if not views:
        st.caption("No saved views yet. Choose what you want to see, then keep it under a name.")
    for view in views:
        is_own = view["owner"] == desk.operator.name
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(link_html(page, view), width="content")
            if not is_own:
                st.caption(f"by {components.escape(view['owner'])}", width="content")
            elif view["is_shared"]:
                st.caption("shared", width="content")
            if is_own or desk.operator.role >= Role.ADMIN:
                st.button(
                    "Delete",
                    icon=":material/delete:",
                    type="tertiary",
                    key=f"delete_view_{view['view_id']}",
                    on_click=_delete,
                    args=(view["view_id"],),
                )


def _show_form(page: str, kept: dict[str, list[str]]) -> None:
    with st.form("save_view", clear_on_submit=True, border=False):
        name = st.text_input(
            "Save this view as", max_chars=actions.NAME_CHARACTERS, placeholder="Its name"
        )
        is_shared = st.checkbox("Everybody may see it")
        if st.form_submit_button("Save", icon=":material/bookmark_add:"):
            with components.reporting("The view was not saved"):
                actions.save(
                    context.desk(), page=page, name=name, address=kept, is_shared=is_shared
                )
                st.toast("The view is saved", icon=":material/bookmark_added:")
                st.rerun()


def _delete(view_id: int) -> None:
    with components.reporting("The view was not deleted"):
        actions.delete(context.desk(), view_id)
