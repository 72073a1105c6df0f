"""Power BI is asked for a refresh: the client of its REST API, and the outbox of what is asked."""
