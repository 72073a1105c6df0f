"""Airflow runs the feeds: one task a step, each the command line with a deadline.

For Airflow 3; put this file into its folder of DAGs. `revenue` and the REVENUE_ settings must be known
where tasks run: REVENUE_DATABASE_URL_FILE keeps the password out of Airflow, and REVENUE_HOME must be
the folder that all of them see. A task that is tried again, or killed, does no harm: what a step did
is in the database, and the next attempt goes on from there.
"""

from __future__ import annotations

import datetime as dt
import os

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, TaskGroup, chain

COMMAND = os.environ.get("REVENUE_COMMAND", "revenue")
FEEDS = ("customers", "sales")  # in this order, sales find their customers
STEPS = ("extract", "load", "promote", "archive")
STEP_DEADLINE = dt.timedelta(hours=1)
RUN_DEADLINE = dt.timedelta(hours=4)

with DAG(
    dag_id="revenue",
    description="Sales and customer files to raw, silver and gold",
    schedule="0 * * * *",
    start_date=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    catchup=False,  # one run takes all that waits; there is nothing to catch up
    max_active_runs=1,
    dagrun_timeout=RUN_DEADLINE,
    default_args={
        "execution_timeout": STEP_DEADLINE,
        "retries": 2,
        "retry_delay": dt.timedelta(minutes=1),
    },
    tags=["revenue"],
) as dag:
    groups = []
    for feed in FEEDS:
        with TaskGroup(feed) as group:
            chain(
                *(
                    BashOperator(
                        task_id=step,
                        bash_command=f"{COMMAND} run {feed} --until {step} --json",
                        append_env=True,
                        do_xcom_push=False,
                    )
                    for step in STEPS
                )
            )
        groups.append(group)
    chain(*groups)
