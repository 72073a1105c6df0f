"""How a promotion keeps gold.daily_sales and gold.monthly_sales; what changes is remembered before."""

from __future__ import annotations

from etl.model import Promotion

KEPT = (
    Promotion(subject="rollup", statement="remember_drift", remembers=True, only_full=True),
    Promotion(subject="rollup", statement="remember_months", remembers=True, only_changes=True),
    Promotion(subject="rollup", statement="change_days", follows=True, bulk="gold.daily_sales"),
    Promotion(
        subject="rollup", statement="remember_drift_of_months", remembers=True, only_full=True
    ),
    Promotion(subject="rollup", statement="change_months", follows=True),
)
"""Ends the promotion of every feed that moves sales between groups."""
