"""The report's colours and type, as a theme of its own."""

from __future__ import annotations

from typing import Any

BRAND = "#12239E"
BACKGROUND = "#F8FAFC"
SURFACE = "#FFFFFF"
TEXT = "#1E293B"
QUIET = "#64748B"
LINE = "#E2E8F0"
DATA_COLORS = ("#118DFF", "#12239E", "#E66C37", "#6B007B", "#64748B", "#0F766E")
FONT = "Segoe UI"
# the keys that hold one colour
COLOR_KEYS = (
    "foreground",
    "foregroundNeutralSecondary",
    "background",
    "backgroundLight",
    "tableAccent",
    "good",
    "neutral",
    "bad",
    "maximum",
    "center",
    "minimum",
)


def theme(file_name: str) -> dict[str, Any]:
    """Return the theme; its name is that of its file, or Power BI does not find it."""
    return {
        "name": file_name,
        "dataColors": list(DATA_COLORS),
        "foreground": TEXT,
        "foregroundNeutralSecondary": QUIET,
        "background": SURFACE,
        "backgroundLight": BACKGROUND,
        "tableAccent": BRAND,
        "textClasses": {
            "callout": {"fontFace": FONT, "fontSize": 24, "color": BRAND},
            "title": {"fontFace": FONT, "fontSize": 12, "color": TEXT},
            "header": {"fontFace": FONT, "fontSize": 12, "color": TEXT},
            "label": {"fontFace": FONT, "fontSize": 10, "color": TEXT},
        },
        "visualStyles": {
            "page": {
                "*": {
                    "background": [{"color": {"solid": {"color": BACKGROUND}}, "transparency": 0}]
                }
            },
            "*": {
                "*": {
                    "background": [
                        {"show": True, "color": {"solid": {"color": SURFACE}}, "transparency": 0}
                    ],
                    "border": [{"show": True, "color": {"solid": {"color": LINE}}, "radius": 6}],
                }
            },
        },
    }
