-- name: busy_feeds
-- Feeds with a run that waits or is at work: the landing zone is looked at again after it.
select distinct dataset from etl.run where status in ('queued', 'running', 'lost');
