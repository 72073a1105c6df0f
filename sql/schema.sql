--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: dq; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA dq;

--
-- Name: SCHEMA dq; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA dq IS 'Data quality: rules, quarantine and violations';

--
-- Name: etl; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA etl;

--
-- Name: SCHEMA etl; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA etl IS 'Batches, runs, steps, schedules, logs and the audit trail';

--
-- Name: gold; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA gold;

--
-- Name: SCHEMA gold; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA gold IS 'Star schema for dashboards and Power BI';

--
-- Name: raw; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA raw;

--
-- Name: SCHEMA raw; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA raw IS 'Audit and replay: every record of every accepted file, exactly as received';

--
-- Name: silver; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA silver;

--
-- Name: SCHEMA silver; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA silver IS 'Clean data, one row a key';

--
-- Name: keep_rule_version(); Type: FUNCTION; Schema: dq; Owner: -
--

CREATE FUNCTION dq.keep_rule_version() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into dq.rule_history (rule_id, version, rule, changed_by)
    values (new.rule_id, new.version, to_jsonb(new), new.updated_by);
    return null;
end
$$;

--
-- Name: FUNCTION keep_rule_version(); Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON FUNCTION dq.keep_rule_version() IS 'Copies each version of a rule into its history';

--
-- Name: unfinished(); Type: FUNCTION; Schema: dq; Owner: -
--

CREATE FUNCTION dq.unfinished() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['open'::text, 'assigned'::text, 'snoozed'::text, 'back_to_source'::text];

--
-- Name: FUNCTION unfinished(); Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON FUNCTION dq.unfinished() IS 'States of a queue item that somebody still has to do something about';

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: cause; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.cause (
    batch_id bigint NOT NULL,
    "position" integer NOT NULL,
    rule_id bigint NOT NULL,
    column_name text NOT NULL,
    pattern text NOT NULL,
    value text,
    worth numeric
);

--
-- Name: TABLE cause; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.cause IS 'One row an invalid record and rule that refuses it: what stood in the column, and its pattern';

--
-- Name: COLUMN cause.batch_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.cause.batch_id IS 'Batch of the record';

--
-- Name: COLUMN cause."position"; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.cause."position" IS 'Position of the record in the file';

--
-- Name: COLUMN cause.rule_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.cause.rule_id IS 'Rule that refuses it';

--
-- Name: COLUMN cause.column_name; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.cause.column_name IS 'Column that the rule looked at';

--
-- Name: COLUMN cause.pattern; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.cause.pattern IS 'Pattern of the received value: digits are 9, letters A or a, runs end in +; or missing, blank, list or object';

--
-- Name: COLUMN cause.value; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.cause.value IS 'The received value, its first 100 characters; null: missing, a list or an object';

--
-- Name: COLUMN cause.worth; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.cause.worth IS 'Money at stake, USD: quantity x price less discount, signs apart; null where it cannot be read';

--
-- Name: prediction; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.prediction (
    prediction_id bigint NOT NULL,
    dataset text NOT NULL,
    rules jsonb NOT NULL,
    rule_set text NOT NULL,
    first_day date,
    last_day date,
    data_version bigint,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    run_id bigint,
    result jsonb,
    ended_at timestamp with time zone
);

--
-- Name: TABLE prediction; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.prediction IS 'What a set of rules would do to the records that came so far';

--
-- Name: COLUMN prediction.prediction_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.prediction_id IS 'Identity of the prediction';

--
-- Name: COLUMN prediction.dataset; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.dataset IS 'Feed';

--
-- Name: COLUMN prediction.rules; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.rules IS 'The rules that were tried, in order';

--
-- Name: COLUMN prediction.rule_set; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.rule_set IS 'Their fingerprint';

--
-- Name: COLUMN prediction.first_day; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.first_day IS 'First day of acceptance of the batches tried; null: all';

--
-- Name: COLUMN prediction.last_day; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.last_day IS 'Last day of acceptance';

--
-- Name: COLUMN prediction.data_version; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.data_version IS 'Data version of the feed that it was worked out against';

--
-- Name: COLUMN prediction.requested_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.requested_by IS 'Who asked';

--
-- Name: COLUMN prediction.requested_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.requested_at IS 'When';

--
-- Name: COLUMN prediction.run_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.run_id IS 'Run that worked it out';

--
-- Name: COLUMN prediction.result; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.result IS 'Counts, money by region and month, sample records';

--
-- Name: COLUMN prediction.ended_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.prediction.ended_at IS 'When it was done';

--
-- Name: prediction_prediction_id_seq; Type: SEQUENCE; Schema: dq; Owner: -
--

ALTER TABLE dq.prediction ALTER COLUMN prediction_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dq.prediction_prediction_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: quarantine; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.quarantine (
    quarantine_id bigint NOT NULL,
    dataset text NOT NULL,
    batch_id bigint NOT NULL,
    "position" integer NOT NULL,
    record_key text,
    dq_errors text NOT NULL,
    rule_set text NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    assigned_to text,
    note text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    snoozed_until timestamp with time zone,
    closed_batch_id bigint,
    closed_position integer,
    repair_id bigint,
    customer_id text,
    region text,
    product_id text,
    product_name text,
    category text,
    day date,
    worth numeric,
    CONSTRAINT quarantine_closed_check CHECK (((status <> ALL (ARRAY['fixed'::text, 'superseded'::text])) OR (closed_batch_id IS NOT NULL))),
    CONSTRAINT quarantine_snoozed_check CHECK (((status = 'snoozed'::text) = (snoozed_until IS NOT NULL))),
    CONSTRAINT quarantine_status_check CHECK ((status = ANY (ARRAY['open'::text, 'assigned'::text, 'snoozed'::text, 'back_to_source'::text, 'fixed'::text, 'dismissed'::text, 'superseded'::text])))
);

--
-- Name: TABLE quarantine; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.quarantine IS 'The queue of invalid records';

--
-- Name: COLUMN quarantine.quarantine_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.quarantine_id IS 'Identity of the queue item';

--
-- Name: COLUMN quarantine.dataset; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.dataset IS 'Feed';

--
-- Name: COLUMN quarantine.batch_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.batch_id IS 'Batch of the record';

--
-- Name: COLUMN quarantine."position"; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine."position" IS 'Position of the record in the file, from 1';

--
-- Name: COLUMN quarantine.record_key; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.record_key IS 'Key of the record, when it has one';

--
-- Name: COLUMN quarantine.dq_errors; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.dq_errors IS 'Messages of the rules it broke, joined by "; "';

--
-- Name: COLUMN quarantine.rule_set; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.rule_set IS 'Fingerprint of the rules that judged it';

--
-- Name: COLUMN quarantine.status; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.status IS 'open, assigned, snoozed, back_to_source; or closed: fixed, dismissed, superseded';

--
-- Name: COLUMN quarantine.assigned_to; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.assigned_to IS 'Who works on it';

--
-- Name: COLUMN quarantine.note; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.note IS 'Reason of the last decision';

--
-- Name: COLUMN quarantine.created_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.created_at IS 'When it was quarantined';

--
-- Name: COLUMN quarantine.updated_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.updated_at IS 'Last change';

--
-- Name: COLUMN quarantine.version; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.version IS 'Optimistic lock';

--
-- Name: COLUMN quarantine.snoozed_until; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.snoozed_until IS 'When a snoozed item is open again';

--
-- Name: COLUMN quarantine.closed_batch_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.closed_batch_id IS 'Batch of the record that closed it: its repair, or a newer valid record of its key';

--
-- Name: COLUMN quarantine.closed_position; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.closed_position IS 'Position of that record';

--
-- Name: COLUMN quarantine.repair_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.repair_id IS 'Its newest repair';

--
-- Name: COLUMN quarantine.customer_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.customer_id IS 'Customer of the record, as normalised; null where it cannot be read or the feed has none';

--
-- Name: COLUMN quarantine.region; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.region IS 'Region of the record, as normalised; null where it cannot be read or the feed has none';

--
-- Name: COLUMN quarantine.product_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.product_id IS 'Product of the record, as normalised; null where it cannot be read or the feed has none';

--
-- Name: COLUMN quarantine.product_name; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.product_name IS 'Product name of the record, as normalised; null where it cannot be read or the feed has none';

--
-- Name: COLUMN quarantine.category; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.category IS 'Product category of the record, as normalised; null where it cannot be read or the feed has none';

--
-- Name: COLUMN quarantine.day; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.day IS 'Day of the record, UTC, as normalised; null where it cannot be read or the feed has none';

--
-- Name: COLUMN quarantine.worth; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.quarantine.worth IS 'Money at stake, USD, as in dq.cause; null where it cannot be read or the feed has none';

--
-- Name: quarantine_quarantine_id_seq; Type: SEQUENCE; Schema: dq; Owner: -
--

ALTER TABLE dq.quarantine ALTER COLUMN quarantine_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dq.quarantine_quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: recipe; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.recipe (
    recipe_id bigint NOT NULL,
    dataset text NOT NULL,
    name text NOT NULL,
    column_name text NOT NULL,
    operation text NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    rule_id bigint,
    pattern text,
    active boolean DEFAULT true NOT NULL,
    made_by text NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT recipe_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT recipe_operation_check CHECK ((operation = ANY (ARRAY['set'::text, 'absolute'::text, 'map'::text, 'parse'::text, 'digits'::text])))
);

--
-- Name: TABLE recipe; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.recipe IS 'A repair under a name: proposed for records that come later, never applied by itself';

--
-- Name: COLUMN recipe.recipe_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.recipe_id IS 'Identity of the recipe';

--
-- Name: COLUMN recipe.dataset; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.dataset IS 'Feed';

--
-- Name: COLUMN recipe.name; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.name IS 'Name, one a feed';

--
-- Name: COLUMN recipe.column_name; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.column_name IS 'Column whose received value it changes';

--
-- Name: COLUMN recipe.operation; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.operation IS 'set (a value), absolute (value), map (values), parse (with a format) or digits (take them)';

--
-- Name: COLUMN recipe.parameters; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.parameters IS 'Parameters of the operation';

--
-- Name: COLUMN recipe.rule_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.rule_id IS 'Rule whose violations it was made for';

--
-- Name: COLUMN recipe.pattern; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.pattern IS 'Pattern of values that it was made for';

--
-- Name: COLUMN recipe.active; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.active IS 'false: no longer proposed';

--
-- Name: COLUMN recipe.made_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.made_by IS 'Who made it';

--
-- Name: COLUMN recipe.made_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.recipe.made_at IS 'When';

--
-- Name: recipe_recipe_id_seq; Type: SEQUENCE; Schema: dq; Owner: -
--

ALTER TABLE dq.recipe ALTER COLUMN recipe_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dq.recipe_recipe_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: repair; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.repair (
    repair_id bigint NOT NULL,
    dataset text NOT NULL,
    batch_id bigint NOT NULL,
    records integer NOT NULL,
    reason text NOT NULL,
    recipe_id bigint,
    operation text,
    made_by text NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    revert_run_id bigint,
    reverted_by text,
    reverted_at timestamp with time zone,
    revert_reason text,
    CONSTRAINT repair_check CHECK (((reverted_at IS NULL) OR (revert_run_id IS NOT NULL))),
    CONSTRAINT repair_reason_check CHECK ((length(TRIM(BOTH FROM reason)) > 0)),
    CONSTRAINT repair_records_check CHECK ((records > 0))
);

--
-- Name: TABLE repair; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.repair IS 'One act of repairing: edited copies of invalid records, replayed as a batch of their own';

--
-- Name: COLUMN repair.repair_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.repair_id IS 'Identity of the repair';

--
-- Name: COLUMN repair.dataset; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.dataset IS 'Feed';

--
-- Name: COLUMN repair.batch_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.batch_id IS 'Batch of the edited records (kind correction)';

--
-- Name: COLUMN repair.records; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.records IS 'How many records were edited';

--
-- Name: COLUMN repair.reason; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.reason IS 'Why, in the words of who made it';

--
-- Name: COLUMN repair.recipe_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.recipe_id IS 'Recipe that was applied, if one was';

--
-- Name: COLUMN repair.operation; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.operation IS 'What was done to all of them, in words; null where each was edited by hand';

--
-- Name: COLUMN repair.made_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.made_by IS 'Who made it';

--
-- Name: COLUMN repair.made_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.made_at IS 'When';

--
-- Name: COLUMN repair.revert_run_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.revert_run_id IS 'Run that takes it back';

--
-- Name: COLUMN repair.reverted_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.reverted_by IS 'Who asked to take it back';

--
-- Name: COLUMN repair.reverted_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.reverted_at IS 'When it was taken back; null while that run has not come so far';

--
-- Name: COLUMN repair.revert_reason; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repair.revert_reason IS 'Why it was taken back';

--
-- Name: repair_repair_id_seq; Type: SEQUENCE; Schema: dq; Owner: -
--

ALTER TABLE dq.repair ALTER COLUMN repair_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dq.repair_repair_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: repaired_record; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.repaired_record (
    repair_id bigint NOT NULL,
    "position" integer NOT NULL,
    source_batch_id bigint NOT NULL,
    source_position integer NOT NULL,
    record text NOT NULL
);

--
-- Name: TABLE repaired_record; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.repaired_record IS 'The edited records of a repair; the record before stands in raw, at its source';

--
-- Name: COLUMN repaired_record.repair_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repaired_record.repair_id IS 'Repair';

--
-- Name: COLUMN repaired_record."position"; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repaired_record."position" IS 'Position in the batch of the repair, from 1';

--
-- Name: COLUMN repaired_record.source_batch_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repaired_record.source_batch_id IS 'Batch of the record that was edited';

--
-- Name: COLUMN repaired_record.source_position; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repaired_record.source_position IS 'Position of that record';

--
-- Name: COLUMN repaired_record.record; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.repaired_record.record IS 'JSON text after the edit';

--
-- Name: rule; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.rule (
    rule_id bigint NOT NULL,
    dataset text NOT NULL,
    code text NOT NULL,
    ordinal integer NOT NULL,
    column_name text NOT NULL,
    kind text NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    judges text NOT NULL,
    severity text NOT NULL,
    message text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    origin text DEFAULT 'shipped'::text NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_by text DEFAULT 'shipped'::text NOT NULL,
    owner text,
    warn_records bigint,
    warn_rate numeric,
    stop_records bigint,
    stop_rate numeric,
    CONSTRAINT rule_judges_check CHECK ((judges = ANY (ARRAY['received'::text, 'normalised'::text]))),
    CONSTRAINT rule_origin_check CHECK ((origin = ANY (ARRAY['shipped'::text, 'operator'::text]))),
    CONSTRAINT rule_severity_check CHECK ((severity = ANY (ARRAY['reject'::text, 'warn'::text]))),
    CONSTRAINT rule_stop_rate_check CHECK (((stop_rate > (0)::numeric) AND (stop_rate <= (1)::numeric))),
    CONSTRAINT rule_stop_records_check CHECK ((stop_records > 0)),
    CONSTRAINT rule_warn_rate_check CHECK (((warn_rate > (0)::numeric) AND (warn_rate <= (1)::numeric))),
    CONSTRAINT rule_warn_records_check CHECK ((warn_records > 0))
);

--
-- Name: TABLE rule; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.rule IS 'Rules that judge records: kind + column + parameters + severity';

--
-- Name: COLUMN rule.rule_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.rule_id IS 'Identity of the rule';

--
-- Name: COLUMN rule.dataset; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.dataset IS 'Feed';

--
-- Name: COLUMN rule.code; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.code IS 'Stable name, such as price_missing';

--
-- Name: COLUMN rule.ordinal; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.ordinal IS 'Order of the messages in dq_errors';

--
-- Name: COLUMN rule.column_name; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.column_name IS 'Column judged';

--
-- Name: COLUMN rule.kind; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.kind IS 'Kind of rule, from the closed catalogue';

--
-- Name: COLUMN rule.parameters; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.parameters IS 'Parameters of the kind';

--
-- Name: COLUMN rule.judges; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.judges IS 'received (the value in the file) or normalised';

--
-- Name: COLUMN rule.severity; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.severity IS 'reject (to quarantine) or warn (kept, counted, shown)';

--
-- Name: COLUMN rule.message; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.message IS 'Words in dq_errors';

--
-- Name: COLUMN rule.active; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.active IS 'false: not applied';

--
-- Name: COLUMN rule.version; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.version IS 'Grows with every change';

--
-- Name: COLUMN rule.origin; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.origin IS 'shipped, or operator once someone made or changed it';

--
-- Name: COLUMN rule.updated_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.updated_at IS 'Last change';

--
-- Name: COLUMN rule.updated_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.updated_by IS 'Who changed it';

--
-- Name: COLUMN rule.owner; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.owner IS 'Who answers for it';

--
-- Name: COLUMN rule.warn_records; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.warn_records IS 'A batch in which it fires so often makes the run say so';

--
-- Name: COLUMN rule.warn_rate; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.warn_rate IS 'The same as a fraction of the records of the batch, 0 to 1';

--
-- Name: COLUMN rule.stop_records; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.stop_records IS 'A batch in which it fires so often is stopped: nothing of it reaches silver';

--
-- Name: COLUMN rule.stop_rate; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule.stop_rate IS 'The same as a fraction of the records of the batch, 0 to 1';

--
-- Name: rule_count; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.rule_count (
    batch_id bigint NOT NULL,
    rule_id bigint NOT NULL,
    rule_version integer NOT NULL,
    severity text NOT NULL,
    records bigint NOT NULL
);

--
-- Name: TABLE rule_count; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.rule_count IS 'How often each rule fired in a batch';

--
-- Name: COLUMN rule_count.batch_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_count.batch_id IS 'Batch';

--
-- Name: COLUMN rule_count.rule_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_count.rule_id IS 'Rule';

--
-- Name: COLUMN rule_count.rule_version; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_count.rule_version IS 'Version of the rule that judged';

--
-- Name: COLUMN rule_count.severity; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_count.severity IS 'reject or warn';

--
-- Name: COLUMN rule_count.records; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_count.records IS 'Records of the batch that break it';

--
-- Name: rule_draft; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.rule_draft (
    draft_id bigint NOT NULL,
    dataset text NOT NULL,
    rule_id bigint,
    rule jsonb NOT NULL,
    based_on integer,
    reason text DEFAULT ''::text NOT NULL,
    status text DEFAULT 'draft'::text NOT NULL,
    made_by text NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    decided_by text,
    decided_at timestamp with time zone,
    CONSTRAINT rule_draft_check CHECK (((status = 'draft'::text) = (decided_at IS NULL))),
    CONSTRAINT rule_draft_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'activated'::text, 'withdrawn'::text, 'outdated'::text])))
);

--
-- Name: TABLE rule_draft; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.rule_draft IS 'A change of a rule, or a new one, before it judges anything';

--
-- Name: COLUMN rule_draft.draft_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.draft_id IS 'Identity of the draft';

--
-- Name: COLUMN rule_draft.dataset; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.dataset IS 'Feed';

--
-- Name: COLUMN rule_draft.rule_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.rule_id IS 'Rule it changes; null: a new one';

--
-- Name: COLUMN rule_draft.rule; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.rule IS 'The rule as it shall be, by the columns of dq.rule';

--
-- Name: COLUMN rule_draft.based_on; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.based_on IS 'Version of the rule that it changes';

--
-- Name: COLUMN rule_draft.reason; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.reason IS 'Why';

--
-- Name: COLUMN rule_draft.status; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.status IS 'draft, activated, withdrawn, or outdated (the rule changed meanwhile)';

--
-- Name: COLUMN rule_draft.made_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.made_by IS 'Who made it';

--
-- Name: COLUMN rule_draft.made_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.made_at IS 'When';

--
-- Name: COLUMN rule_draft.decided_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.decided_by IS 'Who activated or withdrew it';

--
-- Name: COLUMN rule_draft.decided_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_draft.decided_at IS 'When';

--
-- Name: rule_draft_draft_id_seq; Type: SEQUENCE; Schema: dq; Owner: -
--

ALTER TABLE dq.rule_draft ALTER COLUMN draft_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dq.rule_draft_draft_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: rule_history; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.rule_history (
    rule_id bigint NOT NULL,
    version integer NOT NULL,
    rule jsonb NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_by text NOT NULL
);

--
-- Name: TABLE rule_history; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.rule_history IS 'Every version of every rule';

--
-- Name: COLUMN rule_history.rule_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_history.rule_id IS 'Rule';

--
-- Name: COLUMN rule_history.version; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_history.version IS 'Version';

--
-- Name: COLUMN rule_history.rule; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_history.rule IS 'The rule as it was';

--
-- Name: COLUMN rule_history.changed_at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_history.changed_at IS 'When this version began';

--
-- Name: COLUMN rule_history.changed_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.rule_history.changed_by IS 'Who made it';

--
-- Name: rule_rule_id_seq; Type: SEQUENCE; Schema: dq; Owner: -
--

ALTER TABLE dq.rule ALTER COLUMN rule_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dq.rule_rule_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: superseded; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.superseded (
    batch_id bigint NOT NULL,
    "position" integer NOT NULL,
    superseded_by integer NOT NULL,
    CONSTRAINT superseded_check CHECK ((superseded_by > "position"))
);

--
-- Name: TABLE superseded; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.superseded IS 'Valid records replaced by a later one of the same key in the same batch';

--
-- Name: COLUMN superseded.batch_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.superseded.batch_id IS 'Batch';

--
-- Name: COLUMN superseded."position"; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.superseded."position" IS 'Position of the replaced record';

--
-- Name: COLUMN superseded.superseded_by; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.superseded.superseded_by IS 'Position of the record that counts';

--
-- Name: triage_event; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.triage_event (
    event_id bigint NOT NULL,
    quarantine_id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    from_status text,
    to_status text,
    note text,
    repair_id bigint,
    CONSTRAINT triage_event_action_check CHECK ((action = ANY (ARRAY['comment'::text, 'assign'::text, 'dismiss'::text, 'send_back'::text, 'snooze'::text, 'reopen'::text, 'repair'::text, 'fix'::text, 'still_invalid'::text, 'supersede'::text, 'revert'::text, 'wake'::text])))
);

--
-- Name: TABLE triage_event; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.triage_event IS 'What happened to a queue item, comments included';

--
-- Name: COLUMN triage_event.event_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.event_id IS 'Order';

--
-- Name: COLUMN triage_event.quarantine_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.quarantine_id IS 'Queue item';

--
-- Name: COLUMN triage_event.at; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.at IS 'When';

--
-- Name: COLUMN triage_event.actor; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.actor IS 'Who; engine where a run did it';

--
-- Name: COLUMN triage_event.action; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.action IS 'What happened';

--
-- Name: COLUMN triage_event.from_status; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.from_status IS 'Status before';

--
-- Name: COLUMN triage_event.to_status; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.to_status IS 'Status after';

--
-- Name: COLUMN triage_event.note; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.note IS 'Comment or reason';

--
-- Name: COLUMN triage_event.repair_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.triage_event.repair_id IS 'Repair it belongs to';

--
-- Name: triage_event_event_id_seq; Type: SEQUENCE; Schema: dq; Owner: -
--

ALTER TABLE dq.triage_event ALTER COLUMN event_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME dq.triage_event_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: violation; Type: TABLE; Schema: dq; Owner: -
--

CREATE TABLE dq.violation (
    batch_id bigint NOT NULL,
    "position" integer NOT NULL,
    rule_id bigint NOT NULL,
    rule_version integer NOT NULL,
    severity text NOT NULL
);

--
-- Name: TABLE violation; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON TABLE dq.violation IS 'One row a record and rule it breaks, rejections and warnings';

--
-- Name: COLUMN violation.batch_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.violation.batch_id IS 'Batch of the record';

--
-- Name: COLUMN violation."position"; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.violation."position" IS 'Position of the record in the file';

--
-- Name: COLUMN violation.rule_id; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.violation.rule_id IS 'Rule broken';

--
-- Name: COLUMN violation.rule_version; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.violation.rule_version IS 'Version of the rule that judged';

--
-- Name: COLUMN violation.severity; Type: COMMENT; Schema: dq; Owner: -
--

COMMENT ON COLUMN dq.violation.severity IS 'reject or warn';

--
-- Name: alert_channel; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.alert_channel (
    channel_id bigint NOT NULL,
    name text NOT NULL,
    address text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone,
    last_error text,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_by text NOT NULL,
    removed_at timestamp with time zone,
    CONSTRAINT alert_channel_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)))
);

--
-- Name: TABLE alert_channel; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.alert_channel IS 'Where alerts go';

--
-- Name: COLUMN alert_channel.channel_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.channel_id IS 'Identity of the channel';

--
-- Name: COLUMN alert_channel.name; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.name IS 'Name shown to operators';

--
-- Name: COLUMN alert_channel.address; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.address IS 'Apprise address, or env:NAME where it stands in an environment variable; a secret, shown masked';

--
-- Name: COLUMN alert_channel.enabled; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.enabled IS 'false: nothing is sent';

--
-- Name: COLUMN alert_channel.last_success_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.last_success_at IS 'Last message that arrived';

--
-- Name: COLUMN alert_channel.last_failure_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.last_failure_at IS 'Last message that failed';

--
-- Name: COLUMN alert_channel.last_error; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.last_error IS 'Why it failed, without secrets; NULL once a message arrived again';

--
-- Name: COLUMN alert_channel.updated_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.updated_at IS 'Last change';

--
-- Name: COLUMN alert_channel.updated_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.updated_by IS 'Who changed it';

--
-- Name: COLUMN alert_channel.removed_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_channel.removed_at IS 'When it was removed';

--
-- Name: alert_channel_channel_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.alert_channel ALTER COLUMN channel_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.alert_channel_channel_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: alert_rule; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.alert_rule (
    alert_rule_id bigint NOT NULL,
    kind text NOT NULL,
    dataset text,
    threshold numeric,
    severity text DEFAULT 'error'::text NOT NULL,
    cooldown_seconds integer DEFAULT 900 NOT NULL,
    muted_until timestamp with time zone,
    enabled boolean DEFAULT true NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_by text DEFAULT 'shipped'::text NOT NULL,
    removed_at timestamp with time zone,
    CONSTRAINT alert_rule_cooldown_seconds_check CHECK ((cooldown_seconds >= 0)),
    CONSTRAINT alert_rule_kind_check CHECK ((kind = ANY (ARRAY['run_failed'::text, 'run_lost'::text, 'run_too_long'::text, 'invalid_count'::text, 'invalid_rate'::text, 'unusual_volume'::text, 'not_fresh'::text, 'ledger_broken'::text, 'process_silent'::text, 'refresh_failed'::text]))),
    CONSTRAINT alert_rule_severity_check CHECK ((severity = ANY (ARRAY['warning'::text, 'error'::text]))),
    CONSTRAINT alert_rule_threshold_check CHECK ((threshold >= (0)::numeric))
);

--
-- Name: TABLE alert_rule; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.alert_rule IS 'When somebody is told';

--
-- Name: COLUMN alert_rule.alert_rule_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.alert_rule_id IS 'Identity of the rule';

--
-- Name: COLUMN alert_rule.kind; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.kind IS 'What is watched, from the closed catalogue';

--
-- Name: COLUMN alert_rule.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.dataset IS 'Feed; NULL: every feed';

--
-- Name: COLUMN alert_rule.threshold; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.threshold IS 'Limit of the kind: records, a fraction 0..1, seconds, or standard deviations';

--
-- Name: COLUMN alert_rule.severity; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.severity IS 'warning or error';

--
-- Name: COLUMN alert_rule.cooldown_seconds; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.cooldown_seconds IS 'After a resolve, a new incident of the same subject waits so long, seconds';

--
-- Name: COLUMN alert_rule.muted_until; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.muted_until IS 'Nothing is sent before';

--
-- Name: COLUMN alert_rule.enabled; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.enabled IS 'false: not watched';

--
-- Name: COLUMN alert_rule.updated_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.updated_at IS 'Last change';

--
-- Name: COLUMN alert_rule.updated_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.updated_by IS 'Who changed it';

--
-- Name: COLUMN alert_rule.removed_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.alert_rule.removed_at IS 'When it was removed';

--
-- Name: alert_rule_alert_rule_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.alert_rule ALTER COLUMN alert_rule_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.alert_rule_alert_rule_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: audit; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.audit (
    audit_id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    role text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    before jsonb,
    after jsonb,
    origin text
);

--
-- Name: TABLE audit; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.audit IS 'What people did: one row a change of state or a refusal';

--
-- Name: COLUMN audit.audit_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.audit_id IS 'Order of writing';

--
-- Name: COLUMN audit.at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.at IS 'When';

--
-- Name: COLUMN audit.actor; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.actor IS 'Who';

--
-- Name: COLUMN audit.role; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.role IS 'Role at that moment';

--
-- Name: COLUMN audit.action; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.action IS 'What, as a stable word';

--
-- Name: COLUMN audit.object; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.object IS 'On what';

--
-- Name: COLUMN audit.before; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.before IS 'State before';

--
-- Name: COLUMN audit.after; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.after IS 'State after';

--
-- Name: COLUMN audit.origin; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.audit.origin IS 'From where: page, command, address';

--
-- Name: audit_audit_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.audit ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.audit_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: batch; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.batch (
    batch_id bigint NOT NULL,
    dataset text NOT NULL,
    kind text DEFAULT 'file'::text NOT NULL,
    file_name text NOT NULL,
    stored_name text,
    sha256 text NOT NULL,
    file_bytes bigint NOT NULL,
    status text DEFAULT 'accepted'::text NOT NULL,
    insert_date timestamp with time zone,
    records bigint,
    valid_records bigint,
    invalid_records bigint,
    superseded_records bigint,
    inserted_rows bigint,
    updated_rows bigint,
    unchanged_rows bigint,
    warning_records bigint,
    duplicate_of bigint,
    reason_code text,
    reason text,
    reason_detail jsonb,
    accepted_by text NOT NULL,
    accepted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    run_id bigint,
    archived_at timestamp with time zone,
    reverted_at timestamp with time zone,
    stopped_at timestamp with time zone,
    passed_by text,
    passed_at timestamp with time zone,
    pass_reason text,
    CONSTRAINT batch_check CHECK (((status <> ALL (ARRAY['extracted'::text, 'loaded'::text, 'promoted'::text])) OR ((insert_date IS NOT NULL) AND (records IS NOT NULL)))),
    CONSTRAINT batch_check1 CHECK (((status <> ALL (ARRAY['loaded'::text, 'promoted'::text])) OR (records = ((valid_records + invalid_records) + superseded_records)))),
    CONSTRAINT batch_check2 CHECK (((status <> ALL (ARRAY['loaded'::text, 'promoted'::text])) OR (valid_records = ((inserted_rows + updated_rows) + unchanged_rows)))),
    CONSTRAINT batch_check3 CHECK (((status <> ALL (ARRAY['rejected'::text, 'skipped'::text])) OR (reason IS NOT NULL))),
    CONSTRAINT batch_kind_check CHECK ((kind = ANY (ARRAY['file'::text, 'correction'::text]))),
    CONSTRAINT batch_passed_check CHECK ((num_nonnulls(passed_by, passed_at, pass_reason) = ANY (ARRAY[0, 3]))),
    CONSTRAINT batch_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT batch_status_check CHECK ((status = ANY (ARRAY['accepted'::text, 'extracted'::text, 'loaded'::text, 'promoted'::text, 'rejected'::text, 'skipped'::text, 'stopped'::text, 'discarded'::text]))),
    CONSTRAINT batch_stopped_check CHECK (((status <> ALL (ARRAY['stopped'::text, 'discarded'::text])) OR ((insert_date IS NOT NULL) AND (records IS NOT NULL) AND (reason IS NOT NULL) AND (stopped_at IS NOT NULL))))
);

--
-- Name: TABLE batch; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.batch IS 'One accepted file (or one set of corrections); its status moves in the transaction that moves its rows';

--
-- Name: COLUMN batch.batch_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.batch_id IS 'Identity of the batch, in order of arrival';

--
-- Name: COLUMN batch.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.dataset IS 'Feed';

--
-- Name: COLUMN batch.kind; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.kind IS 'file, or correction (records repaired by an operator)';

--
-- Name: COLUMN batch.file_name; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.file_name IS 'Name as received; shown, never used as a path';

--
-- Name: COLUMN batch.stored_name; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.stored_name IS 'Name on disk below data/raw, data/processed or data/rejected';

--
-- Name: COLUMN batch.sha256; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.sha256 IS 'SHA-256 of the bytes received';

--
-- Name: COLUMN batch.file_bytes; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.file_bytes IS 'Size in bytes';

--
-- Name: COLUMN batch.status; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.status IS 'accepted, extracted (in raw), loaded (in silver), promoted (in gold), rejected or skipped; stopped (in raw, a rule''s limit keeps it from silver) or discarded (stopped, and it stays so)';

--
-- Name: COLUMN batch.insert_date; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.insert_date IS 'Stamp of its raw records, strictly increasing from batch to batch of a feed';

--
-- Name: COLUMN batch.records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.records IS 'Records read; equals valid + invalid + superseded once loaded';

--
-- Name: COLUMN batch.valid_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.valid_records IS 'Records that went to silver';

--
-- Name: COLUMN batch.invalid_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.invalid_records IS 'Records that went to quarantine';

--
-- Name: COLUMN batch.superseded_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.superseded_records IS 'Valid records replaced by a later one of the same key in this batch';

--
-- Name: COLUMN batch.inserted_rows; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.inserted_rows IS 'New silver rows';

--
-- Name: COLUMN batch.updated_rows; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.updated_rows IS 'Silver rows whose values changed';

--
-- Name: COLUMN batch.unchanged_rows; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.unchanged_rows IS 'Valid records equal to their silver row';

--
-- Name: COLUMN batch.warning_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.warning_records IS 'Violations of warning rules';

--
-- Name: COLUMN batch.duplicate_of; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.duplicate_of IS 'Batch with the same content that made this one a repetition';

--
-- Name: COLUMN batch.reason_code; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.reason_code IS 'Stable code of the reason';

--
-- Name: COLUMN batch.reason; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.reason IS 'Why it was rejected, skipped, stopped or discarded';

--
-- Name: COLUMN batch.reason_detail; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.reason_detail IS 'The reason as in <name>.reason.json: code, message, line, column, offset; of a stopped batch the rules, how often they fired, and their limits';

--
-- Name: COLUMN batch.accepted_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.accepted_by IS 'Who brought it';

--
-- Name: COLUMN batch.accepted_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.accepted_at IS 'When it was accepted';

--
-- Name: COLUMN batch.run_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.run_id IS 'Run that extracted, rejected or skipped it';

--
-- Name: COLUMN batch.archived_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.archived_at IS 'When its file was moved out of the landing zone';

--
-- Name: COLUMN batch.reverted_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.reverted_at IS 'When the repair was taken back: silver is no longer made of this batch';

--
-- Name: COLUMN batch.stopped_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.stopped_at IS 'When a rule''s limit stopped it, the last time';

--
-- Name: COLUMN batch.passed_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.passed_by IS 'Who let it pass in spite of its limits';

--
-- Name: COLUMN batch.passed_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.passed_at IS 'When';

--
-- Name: COLUMN batch.pass_reason; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.batch.pass_reason IS 'Why it may pass';

--
-- Name: batch_batch_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.batch ALTER COLUMN batch_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.batch_batch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: dataset; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.dataset (
    dataset text NOT NULL,
    title text NOT NULL,
    data_version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT dataset_dataset_check CHECK ((dataset ~ '^[a-z][a-z0-9_]*$'::text))
);

--
-- Name: TABLE dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.dataset IS 'One row a declared feed; its row lock is the pipeline lock of the feed';

--
-- Name: COLUMN dataset.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.dataset.dataset IS 'Name of the feed, such as sales';

--
-- Name: COLUMN dataset.title; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.dataset.title IS 'Name shown to operators';

--
-- Name: COLUMN dataset.data_version; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.dataset.data_version IS 'Grows with every promotion that changed gold; caches are keyed by it';

--
-- Name: delivery; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.delivery (
    incident_id bigint NOT NULL,
    channel_id bigint NOT NULL,
    event text NOT NULL,
    status text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sent_at timestamp with time zone,
    error text,
    CONSTRAINT delivery_check CHECK (((status = 'sent'::text) = (sent_at IS NOT NULL))),
    CONSTRAINT delivery_event_check CHECK ((event = ANY (ARRAY['fire'::text, 'resolve'::text]))),
    CONSTRAINT delivery_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'sent'::text, 'skipped'::text])))
);

--
-- Name: TABLE delivery; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.delivery IS 'One row a message of an incident to a channel: at most one fire and one resolve each';

--
-- Name: COLUMN delivery.incident_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.delivery.incident_id IS 'Incident';

--
-- Name: COLUMN delivery.channel_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.delivery.channel_id IS 'Channel';

--
-- Name: COLUMN delivery.event; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.delivery.event IS 'fire or resolve';

--
-- Name: COLUMN delivery.status; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.delivery.status IS 'waiting, sent, or skipped (muted, or the channel was removed)';

--
-- Name: COLUMN delivery.attempts; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.delivery.attempts IS 'How often it was tried';

--
-- Name: COLUMN delivery.next_attempt_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.delivery.next_attempt_at IS 'When it is tried next; a sender moves it before it sends, so that two never send the same';

--
-- Name: COLUMN delivery.sent_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.delivery.sent_at IS 'When it arrived';

--
-- Name: COLUMN delivery.error; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.delivery.error IS 'Why the last attempt failed, without secrets';

--
-- Name: error_file; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.error_file (
    dataset text NOT NULL,
    last_id bigint NOT NULL,
    records bigint NOT NULL,
    digest bigint NOT NULL,
    bytes bigint NOT NULL
);

--
-- Name: TABLE error_file; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.error_file IS 'What the file of open invalid records of a feed held when it was last written';

--
-- Name: COLUMN error_file.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.error_file.dataset IS 'Feed';

--
-- Name: COLUMN error_file.last_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.error_file.last_id IS 'Newest queue item in it';

--
-- Name: COLUMN error_file.records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.error_file.records IS 'Records in it';

--
-- Name: COLUMN error_file.digest; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.error_file.digest IS 'Exclusive or of the hashes of its items and their messages';

--
-- Name: COLUMN error_file.bytes; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.error_file.bytes IS 'Size of the file';

--
-- Name: expected; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.expected (
    dataset text NOT NULL,
    layer text NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    CONSTRAINT expected_layer_check CHECK ((layer = ANY (ARRAY['silver'::text, 'gold'::text])))
);

--
-- Name: TABLE expected; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.expected IS 'Rows that loads and promotions left in a layer; kept in their transactions, compared by the check';

--
-- Name: COLUMN expected.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.expected.dataset IS 'Feed';

--
-- Name: COLUMN expected.layer; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.expected.layer IS 'silver or gold';

--
-- Name: COLUMN expected.rows; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.expected.rows IS 'Rows that must be there';

--
-- Name: finding; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.finding (
    dataset text NOT NULL,
    leg text NOT NULL,
    layer text NOT NULL,
    left_side numeric NOT NULL,
    right_side numeric NOT NULL,
    is_balanced boolean GENERATED ALWAYS AS ((left_side = right_side)) STORED NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    checked_at timestamp with time zone NOT NULL,
    broken_since timestamp with time zone,
    CONSTRAINT finding_check CHECK (((broken_since IS NULL) = (left_side = right_side))),
    CONSTRAINT finding_layer_check CHECK ((layer = ANY (ARRAY['raw'::text, 'silver'::text, 'gold'::text, 'quarantine'::text])))
);

--
-- Name: TABLE finding; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.finding IS 'What the newest check of all layers found: one row a leg';

--
-- Name: COLUMN finding.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.dataset IS 'Feed';

--
-- Name: COLUMN finding.leg; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.leg IS 'What was compared, in words';

--
-- Name: COLUMN finding.layer; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.layer IS 'Layer that is wrong where the leg does not balance';

--
-- Name: COLUMN finding.left_side; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.left_side IS 'What must be there: records, rows or USD';

--
-- Name: COLUMN finding.right_side; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.right_side IS 'What is there';

--
-- Name: COLUMN finding.is_balanced; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.is_balanced IS 'Whether both are equal';

--
-- Name: COLUMN finding.detail; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.detail IS 'Batches and counts that do not add up';

--
-- Name: COLUMN finding.checked_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.checked_at IS 'When it was checked';

--
-- Name: COLUMN finding.broken_since; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.finding.broken_since IS 'First check in a row that found it broken';

--
-- Name: freshness; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.freshness (
    dataset text NOT NULL,
    layer text NOT NULL,
    state text NOT NULL,
    data_at timestamp with time zone,
    judged_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT freshness_check CHECK (((state = 'never_ran'::text) = (data_at IS NULL))),
    CONSTRAINT freshness_layer_check CHECK ((layer = ANY (ARRAY['raw'::text, 'silver'::text, 'gold'::text]))),
    CONSTRAINT freshness_state_check CHECK ((state = ANY (ARRAY['fresh'::text, 'late'::text, 'stale'::text, 'never_ran'::text])))
);

--
-- Name: TABLE freshness; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.freshness IS 'How fresh each layer is, judged by the worker even when nothing runs';

--
-- Name: COLUMN freshness.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness.dataset IS 'Feed';

--
-- Name: COLUMN freshness.layer; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness.layer IS 'raw, silver or gold';

--
-- Name: COLUMN freshness.state; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness.state IS 'fresh, late, stale or never_ran';

--
-- Name: COLUMN freshness.data_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness.data_at IS 'When the layer last took data or was found complete';

--
-- Name: COLUMN freshness.judged_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness.judged_at IS 'When it was judged';

--
-- Name: COLUMN freshness.changed_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness.changed_at IS 'Since when it is in this state';

--
-- Name: freshness_limit; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.freshness_limit (
    dataset text NOT NULL,
    layer text NOT NULL,
    late_seconds bigint NOT NULL,
    stale_seconds bigint NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT freshness_limit_check CHECK ((stale_seconds >= late_seconds)),
    CONSTRAINT freshness_limit_late_seconds_check CHECK ((late_seconds > 0)),
    CONSTRAINT freshness_limit_layer_check CHECK ((layer = ANY (ARRAY['raw'::text, 'silver'::text, 'gold'::text])))
);

--
-- Name: TABLE freshness_limit; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.freshness_limit IS 'After what age a layer is late or stale; no row: a day and two days';

--
-- Name: COLUMN freshness_limit.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness_limit.dataset IS 'Feed';

--
-- Name: COLUMN freshness_limit.layer; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness_limit.layer IS 'raw, silver or gold';

--
-- Name: COLUMN freshness_limit.late_seconds; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness_limit.late_seconds IS 'Age from which the layer is late, seconds';

--
-- Name: COLUMN freshness_limit.stale_seconds; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness_limit.stale_seconds IS 'Age from which the layer is stale, seconds';

--
-- Name: COLUMN freshness_limit.updated_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness_limit.updated_at IS 'Last change';

--
-- Name: COLUMN freshness_limit.updated_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.freshness_limit.updated_by IS 'Who changed it';

--
-- Name: incident; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.incident (
    incident_id bigint NOT NULL,
    alert_rule_id bigint NOT NULL,
    subject text NOT NULL,
    dataset text,
    run_id bigint,
    message text NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    resolved_at timestamp with time zone,
    resolved_because text,
    CONSTRAINT incident_check CHECK (((resolved_at IS NULL) = (resolved_because IS NULL)))
);

--
-- Name: TABLE incident; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.incident IS 'One row a stretch of time in which an alert rule held for a subject';

--
-- Name: COLUMN incident.incident_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.incident_id IS 'Identity of the incident';

--
-- Name: COLUMN incident.alert_rule_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.alert_rule_id IS 'Rule that held';

--
-- Name: COLUMN incident.subject; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.subject IS 'What it held for, such as sales or sales/gold: one open incident a rule and subject';

--
-- Name: COLUMN incident.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.dataset IS 'Feed';

--
-- Name: COLUMN incident.run_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.run_id IS 'Run that opened it';

--
-- Name: COLUMN incident.message; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.message IS 'What happened, in words';

--
-- Name: COLUMN incident.opened_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.opened_at IS 'When it began';

--
-- Name: COLUMN incident.resolved_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.resolved_at IS 'When it ended';

--
-- Name: COLUMN incident.resolved_because; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.incident.resolved_because IS 'What ended it, in words';

--
-- Name: incident_incident_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.incident ALTER COLUMN incident_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.incident_incident_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: log; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.log (
    log_id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    level text NOT NULL,
    dataset text,
    run_id bigint,
    step text,
    batch_id bigint,
    message text NOT NULL,
    context jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT log_level_check CHECK ((level = ANY (ARRAY['debug'::text, 'info'::text, 'warning'::text, 'error'::text])))
);

--
-- Name: TABLE log; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.log IS 'Structured log of runs; the same lines stand in the log files';

--
-- Name: COLUMN log.log_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.log_id IS 'Order of writing';

--
-- Name: COLUMN log.at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.at IS 'When';

--
-- Name: COLUMN log.level; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.level IS 'debug, info, warning or error';

--
-- Name: COLUMN log.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.dataset IS 'Feed';

--
-- Name: COLUMN log.run_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.run_id IS 'Run';

--
-- Name: COLUMN log.step; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.step IS 'Step';

--
-- Name: COLUMN log.batch_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.batch_id IS 'Batch';

--
-- Name: COLUMN log.message; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.message IS 'What happened, in words';

--
-- Name: COLUMN log.context; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.log.context IS 'Figures that belong to it';

--
-- Name: log_log_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.log ALTER COLUMN log_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.log_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: migration; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.migration (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

--
-- Name: TABLE migration; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.migration IS 'One row a migration that this database has';

--
-- Name: COLUMN migration.version; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.migration.version IS 'Number of its file in sql/migrations';

--
-- Name: COLUMN migration.name; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.migration.name IS 'Name of its file';

--
-- Name: COLUMN migration.checksum; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.migration.checksum IS 'SHA-256 of its text: a released migration never changes';

--
-- Name: COLUMN migration.applied_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.migration.applied_at IS 'When it was applied';

--
-- Name: refresh; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.refresh (
    refresh_id bigint NOT NULL,
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    requested_by text NOT NULL,
    run_id bigint,
    data_version bigint NOT NULL,
    form text NOT NULL,
    status text DEFAULT 'waiting'::text NOT NULL,
    covered_by bigint,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    workspace_id text,
    powerbi_dataset_id text,
    request_id text,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    error text,
    would_send jsonb,
    CONSTRAINT refresh_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT refresh_check CHECK (((status = 'covered'::text) = (covered_by IS NOT NULL))),
    CONSTRAINT refresh_check1 CHECK ((covered_by <> refresh_id)),
    CONSTRAINT refresh_check2 CHECK (((status = ANY (ARRAY['waiting'::text, 'running'::text])) = (ended_at IS NULL))),
    CONSTRAINT refresh_check3 CHECK (((request_id IS NULL) = (started_at IS NULL))),
    CONSTRAINT refresh_check4 CHECK (((status <> ALL (ARRAY['running'::text, 'completed'::text])) OR (request_id IS NOT NULL))),
    CONSTRAINT refresh_check5 CHECK (((status = 'dry_run'::text) = (would_send IS NOT NULL))),
    CONSTRAINT refresh_form_check CHECK ((form = ANY (ARRAY['standard'::text, 'enhanced'::text]))),
    CONSTRAINT refresh_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'running'::text, 'completed'::text, 'failed'::text, 'covered'::text, 'dry_run'::text])))
);

--
-- Name: TABLE refresh; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.refresh IS 'One row a wish to refresh the Power BI dataset: the outbox of its requests and their history';

--
-- Name: COLUMN refresh.refresh_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.refresh_id IS 'Number of the refresh';

--
-- Name: COLUMN refresh.requested_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.requested_at IS 'When it was asked for';

--
-- Name: COLUMN refresh.requested_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.requested_by IS 'Who asked: the operator, or who asked for the run';

--
-- Name: COLUMN refresh.run_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.run_id IS 'Run that changed gold; NULL: an operator asked';

--
-- Name: COLUMN refresh.data_version; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.data_version IS 'Data version of gold that the dataset holds at least, once this completed';

--
-- Name: COLUMN refresh.form; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.form IS 'standard (any capacity) or enhanced (Premium)';

--
-- Name: COLUMN refresh.status; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.status IS 'waiting: not confirmed by the service; running: confirmed, and followed to its end; completed; failed: for good; covered: a later one was sent in its place; dry_run: nothing was sent';

--
-- Name: COLUMN refresh.covered_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.covered_by IS 'Refresh that was sent in its place';

--
-- Name: COLUMN refresh.attempts; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.attempts IS 'Tries in a row that failed, and the one under way; 0 after an answer';

--
-- Name: COLUMN refresh.next_attempt_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.next_attempt_at IS 'Next request to the service, not before; during a request, the end of its lease';

--
-- Name: COLUMN refresh.workspace_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.workspace_id IS 'Workspace it was sent to';

--
-- Name: COLUMN refresh.powerbi_dataset_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.powerbi_dataset_id IS 'Dataset of Power BI it was sent to';

--
-- Name: COLUMN refresh.request_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.request_id IS 'Its id at the service; two where the service gave two, separated by a space';

--
-- Name: COLUMN refresh.started_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.started_at IS 'When the service confirmed it';

--
-- Name: COLUMN refresh.ended_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.ended_at IS 'When it ended, as we learned of it';

--
-- Name: COLUMN refresh.error; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.error IS 'Why it failed, or why it still waits, in words without secrets';

--
-- Name: COLUMN refresh.would_send; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.refresh.would_send IS 'What a dry run would have sent: method, address and body';

--
-- Name: refresh_refresh_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.refresh ALTER COLUMN refresh_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.refresh_refresh_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: run; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.run (
    run_id bigint NOT NULL,
    dataset text NOT NULL,
    status text NOT NULL,
    trigger text NOT NULL,
    source_file text,
    is_full boolean DEFAULT false NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    schedule_id bigint,
    planned_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    worker_id bigint,
    attempt integer DEFAULT 0 NOT NULL,
    cancel_requested_at timestamp with time zone,
    cancel_requested_by text,
    rule_set text,
    read_records bigint DEFAULT 0 NOT NULL,
    valid_records bigint DEFAULT 0 NOT NULL,
    invalid_records bigint DEFAULT 0 NOT NULL,
    superseded_records bigint DEFAULT 0 NOT NULL,
    inserted_rows bigint DEFAULT 0 NOT NULL,
    updated_rows bigint DEFAULT 0 NOT NULL,
    unchanged_rows bigint DEFAULT 0 NOT NULL,
    warning_records bigint DEFAULT 0 NOT NULL,
    ledger jsonb,
    is_balanced boolean,
    reason_code text,
    reason text,
    batches bigint[],
    again_of bigint,
    until text,
    reverts bigint[],
    predicts bigint,
    CONSTRAINT run_check CHECK (((status = ANY (ARRAY['succeeded'::text, 'warned'::text, 'failed'::text, 'cancelled'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT run_check1 CHECK (((status <> 'running'::text) OR ((worker_id IS NOT NULL) AND (started_at IS NOT NULL)))),
    CONSTRAINT run_check2 CHECK (((status <> ALL (ARRAY['failed'::text, 'lost'::text])) OR (reason IS NOT NULL))),
    CONSTRAINT run_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'warned'::text, 'failed'::text, 'cancelled'::text, 'lost'::text]))),
    CONSTRAINT run_trigger_check CHECK ((trigger = ANY (ARRAY['manual'::text, 'upload'::text, 'schedule'::text, 'command'::text, 'demo'::text, 'watch'::text, 'again'::text, 'reprocess'::text, 'repair'::text, 'revert'::text, 'what_if'::text, 'rules'::text]))),
    CONSTRAINT run_until_check CHECK ((until = ANY (ARRAY['extract'::text, 'load'::text, 'promote'::text, 'archive'::text])))
);

--
-- Name: TABLE run; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.run IS 'One execution for one feed, and the queue: see docs/architecture.md for who moves each state on';

--
-- Name: COLUMN run.run_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.run_id IS 'Identity of the run';

--
-- Name: COLUMN run.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.dataset IS 'Feed';

--
-- Name: COLUMN run.status; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.status IS 'queued, running, succeeded, warned, failed, cancelled or lost';

--
-- Name: COLUMN run.trigger; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.trigger IS 'What asked for it: manual, upload, schedule, command, demo, watch (a file appeared), again, reprocess, repair, revert, what_if (a prediction), rules (activated)';

--
-- Name: COLUMN run.source_file; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.source_file IS 'Only this file, instead of all of the landing zone';

--
-- Name: COLUMN run.is_full; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.is_full IS 'true: every batch is judged and loaded again from raw';

--
-- Name: COLUMN run.requested_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.requested_by IS 'Who asked for it';

--
-- Name: COLUMN run.requested_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.requested_at IS 'When it was asked for';

--
-- Name: COLUMN run.schedule_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.schedule_id IS 'Schedule that planned it';

--
-- Name: COLUMN run.planned_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.planned_at IS 'Planned time; unique for a schedule, so that two schedulers never run a time twice';

--
-- Name: COLUMN run.started_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.started_at IS 'When a worker first took it';

--
-- Name: COLUMN run.ended_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.ended_at IS 'When it ended';

--
-- Name: COLUMN run.worker_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.worker_id IS 'Process that has it';

--
-- Name: COLUMN run.attempt; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.attempt IS 'How often a worker took it; also the fence against a worker that lost it';

--
-- Name: COLUMN run.cancel_requested_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.cancel_requested_at IS 'When an operator asked to cancel';

--
-- Name: COLUMN run.cancel_requested_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.cancel_requested_by IS 'Who asked to cancel';

--
-- Name: COLUMN run.rule_set; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.rule_set IS 'Fingerprint of the rules that judged it';

--
-- Name: COLUMN run.read_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.read_records IS 'Records read from batches loaded by this run';

--
-- Name: COLUMN run.valid_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.valid_records IS 'Records that went to silver';

--
-- Name: COLUMN run.invalid_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.invalid_records IS 'Records that went to quarantine';

--
-- Name: COLUMN run.superseded_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.superseded_records IS 'Valid records replaced by a later one of the same key in the same batch';

--
-- Name: COLUMN run.inserted_rows; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.inserted_rows IS 'New silver rows';

--
-- Name: COLUMN run.updated_rows; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.updated_rows IS 'Silver rows whose values changed';

--
-- Name: COLUMN run.unchanged_rows; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.unchanged_rows IS 'Valid records equal to their silver row';

--
-- Name: COLUMN run.warning_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.warning_records IS 'Violations of warning rules among the records read';

--
-- Name: COLUMN run.ledger; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.ledger IS 'The legs of the ledger: [{leg, left, right, balanced}]';

--
-- Name: COLUMN run.is_balanced; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.is_balanced IS 'true when every leg of the ledger balances';

--
-- Name: COLUMN run.reason_code; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.reason_code IS 'Stable code of the reason';

--
-- Name: COLUMN run.reason; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.reason IS 'Why it ended as it did, in words';

--
-- Name: COLUMN run.batches; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.batches IS 'Only these batches are judged and loaded again from raw; NULL: none, or all where is_full';

--
-- Name: COLUMN run.again_of; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.again_of IS 'Run that this one repeats';

--
-- Name: COLUMN run.until; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.until IS 'Last step of the run, as asked for; NULL: all of them';

--
-- Name: COLUMN run.reverts; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.reverts IS 'Batches of repairs that the run takes back';

--
-- Name: COLUMN run.predicts; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.run.predicts IS 'Prediction that the run works out; it changes no layer';

--
-- Name: run_run_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.run ALTER COLUMN run_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.run_run_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: saved_view; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.saved_view (
    view_id bigint NOT NULL,
    page text NOT NULL,
    name text NOT NULL,
    address jsonb NOT NULL,
    owner text NOT NULL,
    is_shared boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT saved_view_address_check CHECK ((jsonb_typeof(address) = 'object'::text)),
    CONSTRAINT saved_view_name_check CHECK (((length(name) >= 1) AND (length(name) <= 80)))
);

--
-- Name: TABLE saved_view; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.saved_view IS 'One row a view that somebody keeps of a page';

--
-- Name: COLUMN saved_view.view_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.saved_view.view_id IS 'Number of the view';

--
-- Name: COLUMN saved_view.page; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.saved_view.page IS 'Page it opens, by the name of its file';

--
-- Name: COLUMN saved_view.name; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.saved_view.name IS 'Its name, unique for its owner and page';

--
-- Name: COLUMN saved_view.address; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.saved_view.address IS 'Query parameters of the page: name to list of values';

--
-- Name: COLUMN saved_view.owner; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.saved_view.owner IS 'Who made it';

--
-- Name: COLUMN saved_view.is_shared; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.saved_view.is_shared IS 'Whether everybody sees it';

--
-- Name: COLUMN saved_view.created_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.saved_view.created_at IS 'When it was made';

--
-- Name: saved_view_view_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.saved_view ALTER COLUMN view_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.saved_view_view_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: schedule; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.schedule (
    schedule_id bigint NOT NULL,
    dataset text NOT NULL,
    cron text,
    interval_seconds integer,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    catch_up boolean DEFAULT false NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_by text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    made_by text NOT NULL,
    removed_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    decided_until timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT schedule_check CHECK ((num_nonnulls(cron, interval_seconds) = 1)),
    CONSTRAINT schedule_interval_seconds_check CHECK ((interval_seconds > 0)),
    CONSTRAINT schedule_name_check CHECK ((length(name) <= 100))
);

--
-- Name: TABLE schedule; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.schedule IS 'When runs are queued without an operator';

--
-- Name: COLUMN schedule.schedule_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.schedule_id IS 'Identity of the schedule';

--
-- Name: COLUMN schedule.dataset; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.dataset IS 'Feed to run';

--
-- Name: COLUMN schedule.cron; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.cron IS 'Five cron fields, weekdays as names';

--
-- Name: COLUMN schedule.interval_seconds; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.interval_seconds IS 'Seconds between two runs, instead of cron';

--
-- Name: COLUMN schedule.time_zone; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.time_zone IS 'IANA time zone of the cron fields';

--
-- Name: COLUMN schedule.enabled; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.enabled IS 'false while paused';

--
-- Name: COLUMN schedule.catch_up; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.catch_up IS 'true: one run makes up for times missed while down';

--
-- Name: COLUMN schedule.updated_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.updated_at IS 'Last change';

--
-- Name: COLUMN schedule.updated_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.updated_by IS 'Who changed it';

--
-- Name: COLUMN schedule.name; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.name IS 'Name shown to operators; empty: its times in words';

--
-- Name: COLUMN schedule.since; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.since IS 'Planned times count from here: when it was made, changed or resumed; intervals start here';

--
-- Name: COLUMN schedule.made_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.made_at IS 'When it was made';

--
-- Name: COLUMN schedule.made_by; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.made_by IS 'Who made it';

--
-- Name: COLUMN schedule.removed_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.removed_at IS 'When it was removed; its runs still point to it';

--
-- Name: COLUMN schedule.version; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.version IS 'Grows with every change; the optimistic lock of its editors';

--
-- Name: COLUMN schedule.decided_until; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.schedule.decided_until IS 'Planned times up to here are decided: queued, skipped or missed; moved in the transaction that decides';

--
-- Name: schedule_schedule_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.schedule ALTER COLUMN schedule_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.schedule_schedule_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: step; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.step (
    run_id bigint NOT NULL,
    step text NOT NULL,
    status text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    done_records bigint DEFAULT 0 NOT NULL,
    total_records bigint,
    attempted_at timestamp with time zone,
    attempted_records bigint DEFAULT 0 NOT NULL,
    reached_records bigint DEFAULT 0 NOT NULL,
    activity text,
    CONSTRAINT step_status_check CHECK ((status = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text, 'lost'::text]))),
    CONSTRAINT step_step_check CHECK ((step = ANY (ARRAY['extract'::text, 'load'::text, 'promote'::text, 'archive'::text])))
);

--
-- Name: TABLE step; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.step IS 'One row a step of a run; committed with the step''s work, it is the checkpoint';

--
-- Name: COLUMN step.run_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.run_id IS 'Run';

--
-- Name: COLUMN step.step; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.step IS 'extract, load, promote or archive';

--
-- Name: COLUMN step.status; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.status IS 'running, succeeded, failed, cancelled or lost';

--
-- Name: COLUMN step.started_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.started_at IS 'When the step first started';

--
-- Name: COLUMN step.ended_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.ended_at IS 'When it ended';

--
-- Name: COLUMN step.done_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.done_records IS 'Records done so far: most that any attempt reached, so that it never shrinks';

--
-- Name: COLUMN step.total_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.total_records IS 'Records expected, when known; grows only as far as the share done does not shrink';

--
-- Name: COLUMN step.attempted_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.attempted_at IS 'When this attempt at the step started: its rate is taken from here';

--
-- Name: COLUMN step.attempted_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.attempted_records IS 'Records that were done when this attempt started';

--
-- Name: COLUMN step.reached_records; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.reached_records IS 'Records that are done in this attempt, those before it included';

--
-- Name: COLUMN step.activity; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.step.activity IS 'What it is doing, in words';

--
-- Name: worker; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.worker (
    worker_id bigint NOT NULL,
    kind text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    backend_pid integer NOT NULL,
    backend_start timestamp with time zone NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    stopped_at timestamp with time zone,
    CONSTRAINT worker_kind_check CHECK ((kind = ANY (ARRAY['worker'::text, 'scheduler'::text, 'command'::text])))
);

--
-- Name: TABLE worker; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.worker IS 'One row a process that runs or schedules the ETL';

--
-- Name: COLUMN worker.worker_id; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.worker_id IS 'Identity of the process';

--
-- Name: COLUMN worker.kind; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.kind IS 'worker, scheduler, or command (a run in the foreground)';

--
-- Name: COLUMN worker.host; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.host IS 'Host name';

--
-- Name: COLUMN worker.pid; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.pid IS 'Process id on that host';

--
-- Name: COLUMN worker.backend_pid; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.backend_pid IS 'Server process of its heartbeat connection';

--
-- Name: COLUMN worker.backend_start; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.backend_start IS 'Start of that server process; with backend_pid it tells whether the worker still lives';

--
-- Name: COLUMN worker.started_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.started_at IS 'When the process started';

--
-- Name: COLUMN worker.heartbeat_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.heartbeat_at IS 'Last sign of life';

--
-- Name: COLUMN worker.stopped_at; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON COLUMN etl.worker.stopped_at IS 'When it stopped in order';

--
-- Name: worker_worker_id_seq; Type: SEQUENCE; Schema: etl; Owner: -
--

ALTER TABLE etl.worker ALTER COLUMN worker_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME etl.worker_worker_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: customers; Type: TABLE; Schema: gold; Owner: -
--

CREATE TABLE gold.customers (
    customer_id character varying(100) NOT NULL,
    customer_name character varying(50) NOT NULL,
    email character varying(50),
    region character varying(100) NOT NULL,
    join_date date,
    loyalty_points integer DEFAULT 0 NOT NULL,
    is_inferred boolean DEFAULT false NOT NULL,
    insert_date timestamp with time zone NOT NULL,
    update_date timestamp with time zone NOT NULL
);

--
-- Name: TABLE customers; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON TABLE gold.customers IS 'One row a customer';

--
-- Name: COLUMN customers.customer_id; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.customer_id IS 'Customer key, C + digits';

--
-- Name: COLUMN customers.customer_name; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.customer_name IS 'Name; NA when unusable, Unknown while only inferred from sales';

--
-- Name: COLUMN customers.email; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.email IS 'E-mail address in lower case, if valid';

--
-- Name: COLUMN customers.region; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.region IS 'Home region in title case, Unknown when not known';

--
-- Name: COLUMN customers.join_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.join_date IS 'Day the customer joined';

--
-- Name: COLUMN customers.loyalty_points; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.loyalty_points IS 'Loyalty points, 0 to 1,000,000';

--
-- Name: COLUMN customers.is_inferred; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.is_inferred IS 'true while only sales name this customer; not counted as a customer';

--
-- Name: COLUMN customers.insert_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.insert_date IS 'When the row was made';

--
-- Name: COLUMN customers.update_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.customers.update_date IS 'When the row last changed';

--
-- Name: daily_sales; Type: TABLE; Schema: gold; Owner: -
--

CREATE TABLE gold.daily_sales (
    transaction_date date NOT NULL,
    region character varying(100) NOT NULL,
    product_id character varying(100) NOT NULL,
    home_region character varying(100) NOT NULL,
    transactions bigint NOT NULL,
    pieces bigint NOT NULL,
    sales numeric(24,2) NOT NULL,
    high_value_transactions bigint NOT NULL,
    high_value_sales numeric(24,2) NOT NULL,
    CONSTRAINT daily_sales_check CHECK (((high_value_transactions >= 0) AND (high_value_transactions <= transactions))),
    CONSTRAINT daily_sales_transactions_check CHECK ((transactions > 0))
);

--
-- Name: TABLE daily_sales; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON TABLE gold.daily_sales IS 'Sales added up: one row a day, region, product and home region of the customers';

--
-- Name: COLUMN daily_sales.transaction_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.transaction_date IS 'Day of the sales, UTC';

--
-- Name: COLUMN daily_sales.region; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.region IS 'Region of the sales; Unknown when missing';

--
-- Name: COLUMN daily_sales.product_id; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.product_id IS 'Product sold';

--
-- Name: COLUMN daily_sales.home_region; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.home_region IS 'Home region of the customers, as in gold.customers; Unknown when it is not known';

--
-- Name: COLUMN daily_sales.transactions; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.transactions IS 'Number of sales';

--
-- Name: COLUMN daily_sales.pieces; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.pieces IS 'Pieces sold: sum of quantity';

--
-- Name: COLUMN daily_sales.sales; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.sales IS 'Sum of total_value, USD';

--
-- Name: COLUMN daily_sales.high_value_transactions; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.high_value_transactions IS 'Number of sales worth more than 1,000 USD each';

--
-- Name: COLUMN daily_sales.high_value_sales; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.daily_sales.high_value_sales IS 'Sum of the sales worth more than 1,000 USD each, USD';

--
-- Name: dim_date; Type: TABLE; Schema: gold; Owner: -
--

CREATE TABLE gold.dim_date (
    date date NOT NULL,
    year smallint NOT NULL,
    quarter smallint NOT NULL,
    month smallint NOT NULL,
    day smallint NOT NULL,
    month_start date NOT NULL,
    month_name character varying(9) NOT NULL,
    month_label character varying(8) NOT NULL,
    weekday smallint NOT NULL,
    weekday_name character varying(9) NOT NULL
);

--
-- Name: TABLE dim_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON TABLE gold.dim_date IS 'One row a day, whole years of the data and no further';

--
-- Name: COLUMN dim_date.date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.date IS 'Day';

--
-- Name: COLUMN dim_date.year; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.year IS 'Year';

--
-- Name: COLUMN dim_date.quarter; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.quarter IS 'Quarter, 1 to 4';

--
-- Name: COLUMN dim_date.month; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.month IS 'Month, 1 to 12';

--
-- Name: COLUMN dim_date.day; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.day IS 'Day of the month';

--
-- Name: COLUMN dim_date.month_start; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.month_start IS 'First day of the month';

--
-- Name: COLUMN dim_date.month_name; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.month_name IS 'English name of the month';

--
-- Name: COLUMN dim_date.month_label; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.month_label IS 'Month and year, such as Jan 2023';

--
-- Name: COLUMN dim_date.weekday; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.weekday IS 'ISO weekday, 1 Monday to 7 Sunday';

--
-- Name: COLUMN dim_date.weekday_name; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.dim_date.weekday_name IS 'English name of the weekday';

--
-- Name: monthly_sales; Type: TABLE; Schema: gold; Owner: -
--

CREATE TABLE gold.monthly_sales (
    transaction_month date NOT NULL,
    region character varying(100) NOT NULL,
    product_id character varying(100) NOT NULL,
    home_region character varying(100) NOT NULL,
    transactions bigint NOT NULL,
    pieces bigint NOT NULL,
    sales numeric(24,2) NOT NULL,
    high_value_transactions bigint NOT NULL,
    high_value_sales numeric(24,2) NOT NULL,
    CONSTRAINT monthly_sales_check CHECK (((high_value_transactions >= 0) AND (high_value_transactions <= transactions))),
    CONSTRAINT monthly_sales_transactions_check CHECK ((transactions > 0))
);

--
-- Name: TABLE monthly_sales; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON TABLE gold.monthly_sales IS 'Sales added up: one row a month, region, product and home region of the customers';

--
-- Name: COLUMN monthly_sales.transaction_month; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.transaction_month IS 'Month of the sales by its first day, UTC';

--
-- Name: COLUMN monthly_sales.region; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.region IS 'Region of the sales; Unknown when missing';

--
-- Name: COLUMN monthly_sales.product_id; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.product_id IS 'Product sold';

--
-- Name: COLUMN monthly_sales.home_region; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.home_region IS 'Home region of the customers, as in gold.customers; Unknown when it is not known';

--
-- Name: COLUMN monthly_sales.transactions; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.transactions IS 'Number of sales';

--
-- Name: COLUMN monthly_sales.pieces; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.pieces IS 'Pieces sold: sum of quantity';

--
-- Name: COLUMN monthly_sales.sales; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.sales IS 'Sum of total_value, USD';

--
-- Name: COLUMN monthly_sales.high_value_transactions; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.high_value_transactions IS 'Number of sales worth more than 1,000 USD each';

--
-- Name: COLUMN monthly_sales.high_value_sales; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.monthly_sales.high_value_sales IS 'Sum of the sales worth more than 1,000 USD each, USD';

--
-- Name: products; Type: TABLE; Schema: gold; Owner: -
--

CREATE TABLE gold.products (
    product_id character varying(100) NOT NULL,
    product_name character varying(255) NOT NULL,
    category character varying(255) NOT NULL,
    insert_date timestamp with time zone NOT NULL,
    update_date timestamp with time zone NOT NULL
);

--
-- Name: TABLE products; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON TABLE gold.products IS 'One row a product; the newest sale that names it wins';

--
-- Name: COLUMN products.product_id; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.products.product_id IS 'Product key';

--
-- Name: COLUMN products.product_name; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.products.product_name IS 'Name; the product_id when never given';

--
-- Name: COLUMN products.category; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.products.category IS 'Category; Unknown when never given';

--
-- Name: COLUMN products.insert_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.products.insert_date IS 'When the row was made';

--
-- Name: COLUMN products.update_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.products.update_date IS 'When the row last changed';

--
-- Name: transactions; Type: TABLE; Schema: gold; Owner: -
--

CREATE TABLE gold.transactions (
    transaction_id character varying(100) NOT NULL,
    customer_id character varying(100) NOT NULL,
    product_id character varying(100) NOT NULL,
    quantity integer NOT NULL,
    price numeric(12,2) NOT NULL,
    discount numeric(5,4) NOT NULL,
    total_value numeric(16,2) GENERATED ALWAYS AS (round((((quantity)::numeric * price) * ((1)::numeric - discount)), 2)) STORED NOT NULL,
    region character varying(100) NOT NULL,
    transaction_datetime timestamp without time zone NOT NULL,
    transaction_date date GENERATED ALWAYS AS ((transaction_datetime)::date) STORED NOT NULL,
    transaction_month date GENERATED ALWAYS AS ((date_trunc('month'::text, transaction_datetime))::date) STORED NOT NULL,
    insert_date timestamp with time zone NOT NULL,
    update_date timestamp with time zone NOT NULL,
    CONSTRAINT transactions_discount_check CHECK (((discount >= (0)::numeric) AND (discount <= (1)::numeric))),
    CONSTRAINT transactions_price_check CHECK (((price >= (0)::numeric) AND (price <> 'NaN'::numeric))),
    CONSTRAINT transactions_quantity_check CHECK ((quantity > 0))
);

--
-- Name: TABLE transactions; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON TABLE gold.transactions IS 'One row a sale; equals silver.sales row for row';

--
-- Name: COLUMN transactions.transaction_id; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.transaction_id IS 'Transaction key';

--
-- Name: COLUMN transactions.customer_id; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.customer_id IS 'Customer, possibly inferred';

--
-- Name: COLUMN transactions.product_id; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.product_id IS 'Product';

--
-- Name: COLUMN transactions.quantity; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.quantity IS 'Pieces sold';

--
-- Name: COLUMN transactions.price; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.price IS 'Price a piece, USD';

--
-- Name: COLUMN transactions.discount; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.discount IS 'Discount as a fraction, 0 to 1';

--
-- Name: COLUMN transactions.total_value; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.total_value IS 'quantity × price × (1 − discount), USD, rounded half up';

--
-- Name: COLUMN transactions.region; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.region IS 'Region of the sale in title case, Unknown when missing';

--
-- Name: COLUMN transactions.transaction_datetime; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.transaction_datetime IS 'Moment of the sale, UTC';

--
-- Name: COLUMN transactions.transaction_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.transaction_date IS 'Day of the sale, UTC';

--
-- Name: COLUMN transactions.transaction_month; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.transaction_month IS 'First day of the month of the sale';

--
-- Name: COLUMN transactions.insert_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.insert_date IS 'When the row was made';

--
-- Name: COLUMN transactions.update_date; Type: COMMENT; Schema: gold; Owner: -
--

COMMENT ON COLUMN gold.transactions.update_date IS 'When the row last changed';

--
-- Name: customers_raw; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.customers_raw (
    batch_id bigint NOT NULL,
    "position" integer NOT NULL,
    record text NOT NULL,
    insert_date timestamp with time zone NOT NULL
);

--
-- Name: TABLE customers_raw; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.customers_raw IS 'Customers: every record of every accepted file, exactly as received';

--
-- Name: COLUMN customers_raw.batch_id; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.customers_raw.batch_id IS 'Batch of the record';

--
-- Name: COLUMN customers_raw."position"; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.customers_raw."position" IS 'Position of the record in its file, from 1';

--
-- Name: COLUMN customers_raw.record; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.customers_raw.record IS 'JSON text exactly as received';

--
-- Name: COLUMN customers_raw.insert_date; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.customers_raw.insert_date IS 'Stamp of the batch';

--
-- Name: sales_raw; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.sales_raw (
    batch_id bigint NOT NULL,
    "position" integer NOT NULL,
    record text NOT NULL,
    insert_date timestamp with time zone NOT NULL
);

--
-- Name: TABLE sales_raw; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.sales_raw IS 'Sales: every record of every accepted file, exactly as received';

--
-- Name: COLUMN sales_raw.batch_id; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.sales_raw.batch_id IS 'Batch of the record';

--
-- Name: COLUMN sales_raw."position"; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.sales_raw."position" IS 'Position of the record in its file, from 1';

--
-- Name: COLUMN sales_raw.record; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.sales_raw.record IS 'JSON text exactly as received';

--
-- Name: COLUMN sales_raw.insert_date; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.sales_raw.insert_date IS 'Stamp of the batch';

--
-- Name: customers; Type: TABLE; Schema: silver; Owner: -
--

CREATE TABLE silver.customers (
    customer_id character varying(100) NOT NULL,
    customer_name character varying(50) NOT NULL,
    email character varying(50),
    region character varying(100) NOT NULL,
    join_date date,
    loyalty_points integer NOT NULL,
    insert_date timestamp with time zone NOT NULL,
    update_date timestamp with time zone NOT NULL,
    batch_id bigint NOT NULL,
    "position" integer NOT NULL,
    CONSTRAINT customers_loyalty_points_check CHECK (((loyalty_points >= 0) AND (loyalty_points <= 1000000)))
);

--
-- Name: TABLE customers; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON TABLE silver.customers IS 'Customers: clean, one row a customer_id, newest record wins';

--
-- Name: COLUMN customers.customer_id; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.customer_id IS 'Customer key, C + digits';

--
-- Name: COLUMN customers.customer_name; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.customer_name IS 'Name without trailing digits; NA when empty or with special characters';

--
-- Name: COLUMN customers.email; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.email IS 'E-mail address in lower case, null when it is none';

--
-- Name: COLUMN customers.region; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.region IS 'Home region in upper case, NA when missing or unknown';

--
-- Name: COLUMN customers.join_date; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.join_date IS 'Day the customer joined, null when unreadable';

--
-- Name: COLUMN customers.loyalty_points; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.loyalty_points IS 'Loyalty points, cut to 0..1,000,000; missing is 0';

--
-- Name: COLUMN customers.insert_date; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.insert_date IS 'When the row was made';

--
-- Name: COLUMN customers.update_date; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.update_date IS 'When the row last changed';

--
-- Name: COLUMN customers.batch_id; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers.batch_id IS 'Batch of the record that the row holds';

--
-- Name: COLUMN customers."position"; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.customers."position" IS 'Position of that record in its file';

--
-- Name: etl_metadata; Type: TABLE; Schema: silver; Owner: -
--

CREATE TABLE silver.etl_metadata (
    pipeline_name text NOT NULL,
    last_insert_date timestamp with time zone DEFAULT '1900-01-01 00:00:00+00'::timestamp with time zone NOT NULL
);

--
-- Name: TABLE etl_metadata; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON TABLE silver.etl_metadata IS 'Watermarks: the newest insert_date taken, derived from loaded batches';

--
-- Name: COLUMN etl_metadata.pipeline_name; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.etl_metadata.pipeline_name IS 'Pipeline: <dataset>_silver, or gold (whose row lock serialises promotion)';

--
-- Name: COLUMN etl_metadata.last_insert_date; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.etl_metadata.last_insert_date IS 'Newest insert_date taken; 1900-01-01 before the first run';

--
-- Name: sales; Type: TABLE; Schema: silver; Owner: -
--

CREATE TABLE silver.sales (
    transaction_id character varying(100) NOT NULL,
    customer_id character varying(100) NOT NULL,
    product_id character varying(100) NOT NULL,
    product_name character varying(255),
    category character varying(255),
    price numeric(12,2) NOT NULL,
    quantity integer NOT NULL,
    discount numeric(5,4) NOT NULL,
    date timestamp without time zone NOT NULL,
    region character varying(100) NOT NULL,
    insert_date timestamp with time zone NOT NULL,
    update_date timestamp with time zone NOT NULL,
    batch_id bigint NOT NULL,
    "position" integer NOT NULL,
    CONSTRAINT sales_discount_check CHECK (((discount >= (0)::numeric) AND (discount <= (1)::numeric))),
    CONSTRAINT sales_price_check CHECK (((price >= (0)::numeric) AND (price <> 'NaN'::numeric))),
    CONSTRAINT sales_quantity_check CHECK ((quantity > 0))
);

--
-- Name: TABLE sales; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON TABLE silver.sales IS 'Sales: clean, one row a transaction_id, newest record wins';

--
-- Name: COLUMN sales.transaction_id; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.transaction_id IS 'Transaction key';

--
-- Name: COLUMN sales.customer_id; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.customer_id IS 'Customer key, C + digits';

--
-- Name: COLUMN sales.product_id; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.product_id IS 'Product key';

--
-- Name: COLUMN sales.product_name; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.product_name IS 'Product name as given';

--
-- Name: COLUMN sales.category; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.category IS 'Product category as given';

--
-- Name: COLUMN sales.price; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.price IS 'Price a piece, USD';

--
-- Name: COLUMN sales.quantity; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.quantity IS 'Pieces sold';

--
-- Name: COLUMN sales.discount; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.discount IS 'Discount as a fraction, 0 to 1; missing is 0';

--
-- Name: COLUMN sales.date; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.date IS 'Moment of the sale, UTC';

--
-- Name: COLUMN sales.region; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.region IS 'Region of the sale in title case, Unknown when missing';

--
-- Name: COLUMN sales.insert_date; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.insert_date IS 'When the row was made';

--
-- Name: COLUMN sales.update_date; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.update_date IS 'When the row last changed';

--
-- Name: COLUMN sales.batch_id; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales.batch_id IS 'Batch of the record that the row holds';

--
-- Name: COLUMN sales."position"; Type: COMMENT; Schema: silver; Owner: -
--

COMMENT ON COLUMN silver.sales."position" IS 'Position of that record in its file';

--
-- Name: cause cause_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.cause
    ADD CONSTRAINT cause_pkey PRIMARY KEY (batch_id, "position", rule_id);

--
-- Name: prediction prediction_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.prediction
    ADD CONSTRAINT prediction_pkey PRIMARY KEY (prediction_id);

--
-- Name: quarantine quarantine_batch_id_position_key; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.quarantine
    ADD CONSTRAINT quarantine_batch_id_position_key UNIQUE (batch_id, "position");

--
-- Name: quarantine quarantine_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (quarantine_id);

--
-- Name: recipe recipe_dataset_name_key; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.recipe
    ADD CONSTRAINT recipe_dataset_name_key UNIQUE (dataset, name);

--
-- Name: recipe recipe_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.recipe
    ADD CONSTRAINT recipe_pkey PRIMARY KEY (recipe_id);

--
-- Name: repair repair_batch_id_key; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.repair
    ADD CONSTRAINT repair_batch_id_key UNIQUE (batch_id);

--
-- Name: repair repair_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.repair
    ADD CONSTRAINT repair_pkey PRIMARY KEY (repair_id);

--
-- Name: repaired_record repaired_record_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.repaired_record
    ADD CONSTRAINT repaired_record_pkey PRIMARY KEY (repair_id, "position");

--
-- Name: rule_count rule_count_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule_count
    ADD CONSTRAINT rule_count_pkey PRIMARY KEY (batch_id, rule_id);

--
-- Name: rule rule_dataset_code_key; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule
    ADD CONSTRAINT rule_dataset_code_key UNIQUE (dataset, code);

--
-- Name: rule_draft rule_draft_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule_draft
    ADD CONSTRAINT rule_draft_pkey PRIMARY KEY (draft_id);

--
-- Name: rule_history rule_history_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule_history
    ADD CONSTRAINT rule_history_pkey PRIMARY KEY (rule_id, version);

--
-- Name: rule rule_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule
    ADD CONSTRAINT rule_pkey PRIMARY KEY (rule_id);

--
-- Name: superseded superseded_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.superseded
    ADD CONSTRAINT superseded_pkey PRIMARY KEY (batch_id, "position");

--
-- Name: triage_event triage_event_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.triage_event
    ADD CONSTRAINT triage_event_pkey PRIMARY KEY (event_id);

--
-- Name: violation violation_pkey; Type: CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.violation
    ADD CONSTRAINT violation_pkey PRIMARY KEY (batch_id, "position", rule_id);

--
-- Name: alert_channel alert_channel_name_key; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.alert_channel
    ADD CONSTRAINT alert_channel_name_key UNIQUE (name);

--
-- Name: alert_channel alert_channel_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.alert_channel
    ADD CONSTRAINT alert_channel_pkey PRIMARY KEY (channel_id);

--
-- Name: alert_rule alert_rule_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.alert_rule
    ADD CONSTRAINT alert_rule_pkey PRIMARY KEY (alert_rule_id);

--
-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (audit_id);

--
-- Name: batch batch_dataset_insert_date_key; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.batch
    ADD CONSTRAINT batch_dataset_insert_date_key UNIQUE (dataset, insert_date);

--
-- Name: batch batch_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.batch
    ADD CONSTRAINT batch_pkey PRIMARY KEY (batch_id);

--
-- Name: dataset dataset_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.dataset
    ADD CONSTRAINT dataset_pkey PRIMARY KEY (dataset);

--
-- Name: delivery delivery_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (incident_id, channel_id, event);

--
-- Name: error_file error_file_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.error_file
    ADD CONSTRAINT error_file_pkey PRIMARY KEY (dataset);

--
-- Name: expected expected_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.expected
    ADD CONSTRAINT expected_pkey PRIMARY KEY (dataset, layer);

--
-- Name: finding finding_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.finding
    ADD CONSTRAINT finding_pkey PRIMARY KEY (dataset, leg);

--
-- Name: freshness_limit freshness_limit_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.freshness_limit
    ADD CONSTRAINT freshness_limit_pkey PRIMARY KEY (dataset, layer);

--
-- Name: freshness freshness_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.freshness
    ADD CONSTRAINT freshness_pkey PRIMARY KEY (dataset, layer);

--
-- Name: incident incident_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.incident
    ADD CONSTRAINT incident_pkey PRIMARY KEY (incident_id);

--
-- Name: log log_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (log_id);

--
-- Name: migration migration_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);

--
-- Name: refresh refresh_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.refresh
    ADD CONSTRAINT refresh_pkey PRIMARY KEY (refresh_id);

--
-- Name: run run_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (run_id);

--
-- Name: run run_schedule_id_planned_at_key; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run
    ADD CONSTRAINT run_schedule_id_planned_at_key UNIQUE (schedule_id, planned_at);

--
-- Name: saved_view saved_view_page_owner_name_key; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.saved_view
    ADD CONSTRAINT saved_view_page_owner_name_key UNIQUE (page, owner, name);

--
-- Name: saved_view saved_view_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.saved_view
    ADD CONSTRAINT saved_view_pkey PRIMARY KEY (view_id);

--
-- Name: schedule schedule_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (schedule_id);

--
-- Name: step step_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.step
    ADD CONSTRAINT step_pkey PRIMARY KEY (run_id, step);

--
-- Name: worker worker_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.worker
    ADD CONSTRAINT worker_pkey PRIMARY KEY (worker_id);

--
-- Name: customers customers_pkey; Type: CONSTRAINT; Schema: gold; Owner: -
--

ALTER TABLE ONLY gold.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (customer_id);

--
-- Name: daily_sales daily_sales_pkey; Type: CONSTRAINT; Schema: gold; Owner: -
--

ALTER TABLE ONLY gold.daily_sales
    ADD CONSTRAINT daily_sales_pkey PRIMARY KEY (transaction_date, region, product_id, home_region);

--
-- Name: dim_date dim_date_pkey; Type: CONSTRAINT; Schema: gold; Owner: -
--

ALTER TABLE ONLY gold.dim_date
    ADD CONSTRAINT dim_date_pkey PRIMARY KEY (date);

--
-- Name: monthly_sales monthly_sales_pkey; Type: CONSTRAINT; Schema: gold; Owner: -
--

ALTER TABLE ONLY gold.monthly_sales
    ADD CONSTRAINT monthly_sales_pkey PRIMARY KEY (transaction_month, region, product_id, home_region);

--
-- Name: products products_pkey; Type: CONSTRAINT; Schema: gold; Owner: -
--

ALTER TABLE ONLY gold.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (product_id);

--
-- Name: transactions transactions_pkey; Type: CONSTRAINT; Schema: gold; Owner: -
--

ALTER TABLE ONLY gold.transactions
    ADD CONSTRAINT transactions_pkey PRIMARY KEY (transaction_id);

--
-- Name: customers_raw customers_raw_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.customers_raw
    ADD CONSTRAINT customers_raw_pkey PRIMARY KEY (batch_id, "position");

--
-- Name: sales_raw sales_raw_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.sales_raw
    ADD CONSTRAINT sales_raw_pkey PRIMARY KEY (batch_id, "position");

--
-- Name: customers customers_pkey; Type: CONSTRAINT; Schema: silver; Owner: -
--

ALTER TABLE ONLY silver.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (customer_id);

--
-- Name: etl_metadata etl_metadata_pkey; Type: CONSTRAINT; Schema: silver; Owner: -
--

ALTER TABLE ONLY silver.etl_metadata
    ADD CONSTRAINT etl_metadata_pkey PRIMARY KEY (pipeline_name);

--
-- Name: sales sales_pkey; Type: CONSTRAINT; Schema: silver; Owner: -
--

ALTER TABLE ONLY silver.sales
    ADD CONSTRAINT sales_pkey PRIMARY KEY (transaction_id);

--
-- Name: cause_by_pattern; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX cause_by_pattern ON dq.cause USING btree (rule_id, pattern);

--
-- Name: prediction_by_dataset; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX prediction_by_dataset ON dq.prediction USING btree (dataset, prediction_id DESC);

--
-- Name: quarantine_by_key; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX quarantine_by_key ON dq.quarantine USING btree (dataset, record_key);

--
-- Name: quarantine_by_owner; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX quarantine_by_owner ON dq.quarantine USING btree (assigned_to, quarantine_id) WHERE (assigned_to IS NOT NULL);

--
-- Name: quarantine_by_status; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX quarantine_by_status ON dq.quarantine USING btree (status, quarantine_id);

--
-- Name: quarantine_closed; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX quarantine_closed ON dq.quarantine USING btree (closed_batch_id) WHERE (closed_batch_id IS NOT NULL);

--
-- Name: quarantine_queue; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX quarantine_queue ON dq.quarantine USING btree (dataset, status, quarantine_id);

--
-- Name: quarantine_snoozed; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX quarantine_snoozed ON dq.quarantine USING btree (snoozed_until) WHERE (snoozed_until IS NOT NULL);

--
-- Name: repair_by_dataset; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX repair_by_dataset ON dq.repair USING btree (dataset, repair_id DESC);

--
-- Name: repaired_record_by_source; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX repaired_record_by_source ON dq.repaired_record USING btree (source_batch_id, source_position);

--
-- Name: rule_draft_by_dataset; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX rule_draft_by_dataset ON dq.rule_draft USING btree (dataset, draft_id DESC);

--
-- Name: rule_draft_open; Type: INDEX; Schema: dq; Owner: -
--

CREATE UNIQUE INDEX rule_draft_open ON dq.rule_draft USING btree (rule_id) WHERE (status = 'draft'::text);

--
-- Name: triage_event_by_item; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX triage_event_by_item ON dq.triage_event USING btree (quarantine_id, event_id);

--
-- Name: violation_by_rule; Type: INDEX; Schema: dq; Owner: -
--

CREATE INDEX violation_by_rule ON dq.violation USING btree (rule_id, batch_id);

--
-- Name: audit_by_object; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX audit_by_object ON etl.audit USING btree (object, audit_id);

--
-- Name: batch_by_content; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX batch_by_content ON etl.batch USING btree (dataset, sha256);

--
-- Name: batch_by_run; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX batch_by_run ON etl.batch USING btree (run_id);

--
-- Name: batch_open; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX batch_open ON etl.batch USING btree (dataset, batch_id) WHERE ((status = ANY (ARRAY['accepted'::text, 'extracted'::text, 'loaded'::text])) OR (archived_at IS NULL));

--
-- Name: batch_stopped; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX batch_stopped ON etl.batch USING btree (dataset, batch_id) WHERE (status = 'stopped'::text);

--
-- Name: delivery_waiting; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX delivery_waiting ON etl.delivery USING btree (next_attempt_at) WHERE (status = 'waiting'::text);

--
-- Name: incident_by_time; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX incident_by_time ON etl.incident USING btree (opened_at DESC);

--
-- Name: incident_open; Type: INDEX; Schema: etl; Owner: -
--

CREATE UNIQUE INDEX incident_open ON etl.incident USING btree (alert_rule_id, subject) WHERE (resolved_at IS NULL);

--
-- Name: log_by_dataset; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX log_by_dataset ON etl.log USING btree (dataset, log_id);

--
-- Name: log_by_level; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX log_by_level ON etl.log USING btree (level, log_id) WHERE (level = ANY (ARRAY['warning'::text, 'error'::text]));

--
-- Name: log_by_run; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX log_by_run ON etl.log USING btree (run_id, log_id);

--
-- Name: log_by_time; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX log_by_time ON etl.log USING btree (at, log_id);

--
-- Name: log_search; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX log_search ON etl.log USING gin (to_tsvector('simple'::regconfig, message));

--
-- Name: refresh_covered_by; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX refresh_covered_by ON etl.refresh USING btree (covered_by) WHERE (covered_by IS NOT NULL);

--
-- Name: refresh_of_run; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX refresh_of_run ON etl.refresh USING btree (run_id) WHERE (run_id IS NOT NULL);

--
-- Name: refresh_one_at_a_time; Type: INDEX; Schema: etl; Owner: -
--

CREATE UNIQUE INDEX refresh_one_at_a_time ON etl.refresh USING btree (powerbi_dataset_id) WHERE (status = 'running'::text);

--
-- Name: refresh_open; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX refresh_open ON etl.refresh USING btree (status, refresh_id) WHERE (status = ANY (ARRAY['waiting'::text, 'running'::text]));

--
-- Name: refresh_started; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX refresh_started ON etl.refresh USING btree (powerbi_dataset_id, started_at) WHERE (started_at IS NOT NULL);

--
-- Name: run_by_again; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX run_by_again ON etl.run USING btree (again_of) WHERE (again_of IS NOT NULL);

--
-- Name: run_by_dataset; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX run_by_dataset ON etl.run USING btree (dataset, run_id DESC);

--
-- Name: run_by_schedule; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX run_by_schedule ON etl.run USING btree (schedule_id, planned_at DESC) WHERE (schedule_id IS NOT NULL);

--
-- Name: run_by_status; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX run_by_status ON etl.run USING btree (status, run_id DESC);

--
-- Name: run_by_time; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX run_by_time ON etl.run USING btree (requested_at DESC);

--
-- Name: run_one_running; Type: INDEX; Schema: etl; Owner: -
--

CREATE UNIQUE INDEX run_one_running ON etl.run USING btree (dataset) WHERE (status = 'running'::text);

--
-- Name: run_queue; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX run_queue ON etl.run USING btree (run_id) WHERE (status = ANY (ARRAY['queued'::text, 'lost'::text, 'running'::text]));

--
-- Name: schedule_in_use; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX schedule_in_use ON etl.schedule USING btree (schedule_id) WHERE (removed_at IS NULL);

--
-- Name: worker_alive; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX worker_alive ON etl.worker USING btree (kind, heartbeat_at) WHERE (stopped_at IS NULL);

--
-- Name: customers_by_region; Type: INDEX; Schema: gold; Owner: -
--

CREATE INDEX customers_by_region ON gold.customers USING btree (region);

--
-- Name: products_by_category; Type: INDEX; Schema: gold; Owner: -
--

CREATE INDEX products_by_category ON gold.products USING btree (category);

--
-- Name: transactions_by_customer; Type: INDEX; Schema: gold; Owner: -
--

CREATE INDEX transactions_by_customer ON gold.transactions USING btree (customer_id);

--
-- Name: transactions_by_date; Type: INDEX; Schema: gold; Owner: -
--

CREATE INDEX transactions_by_date ON gold.transactions USING btree (transaction_date);

--
-- Name: transactions_by_product; Type: INDEX; Schema: gold; Owner: -
--

CREATE INDEX transactions_by_product ON gold.transactions USING btree (product_id);

--
-- Name: transactions_by_region_date; Type: INDEX; Schema: gold; Owner: -
--

CREATE INDEX transactions_by_region_date ON gold.transactions USING btree (region, transaction_date);

--
-- Name: customers_by_batch; Type: INDEX; Schema: silver; Owner: -
--

CREATE INDEX customers_by_batch ON silver.customers USING btree (batch_id);

--
-- Name: sales_by_batch; Type: INDEX; Schema: silver; Owner: -
--

CREATE INDEX sales_by_batch ON silver.sales USING btree (batch_id);

--
-- Name: rule keep_rule_version; Type: TRIGGER; Schema: dq; Owner: -
--

CREATE TRIGGER keep_rule_version AFTER INSERT OR UPDATE ON dq.rule FOR EACH ROW EXECUTE FUNCTION dq.keep_rule_version();

--
-- Name: prediction prediction_dataset_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.prediction
    ADD CONSTRAINT prediction_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: prediction prediction_run_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.prediction
    ADD CONSTRAINT prediction_run_id_fkey FOREIGN KEY (run_id) REFERENCES etl.run(run_id);

--
-- Name: quarantine quarantine_repair_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.quarantine
    ADD CONSTRAINT quarantine_repair_id_fkey FOREIGN KEY (repair_id) REFERENCES dq.repair(repair_id);

--
-- Name: recipe recipe_dataset_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.recipe
    ADD CONSTRAINT recipe_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: recipe recipe_rule_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.recipe
    ADD CONSTRAINT recipe_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES dq.rule(rule_id);

--
-- Name: repair repair_batch_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.repair
    ADD CONSTRAINT repair_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES etl.batch(batch_id);

--
-- Name: repair repair_dataset_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.repair
    ADD CONSTRAINT repair_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: repair repair_recipe_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.repair
    ADD CONSTRAINT repair_recipe_id_fkey FOREIGN KEY (recipe_id) REFERENCES dq.recipe(recipe_id);

--
-- Name: repair repair_revert_run_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.repair
    ADD CONSTRAINT repair_revert_run_id_fkey FOREIGN KEY (revert_run_id) REFERENCES etl.run(run_id);

--
-- Name: repaired_record repaired_record_repair_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.repaired_record
    ADD CONSTRAINT repaired_record_repair_id_fkey FOREIGN KEY (repair_id) REFERENCES dq.repair(repair_id);

--
-- Name: rule_count rule_count_batch_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule_count
    ADD CONSTRAINT rule_count_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES etl.batch(batch_id);

--
-- Name: rule_count rule_count_rule_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule_count
    ADD CONSTRAINT rule_count_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES dq.rule(rule_id);

--
-- Name: rule rule_dataset_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule
    ADD CONSTRAINT rule_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: rule_draft rule_draft_dataset_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule_draft
    ADD CONSTRAINT rule_draft_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: rule_draft rule_draft_rule_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule_draft
    ADD CONSTRAINT rule_draft_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES dq.rule(rule_id);

--
-- Name: rule_history rule_history_rule_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.rule_history
    ADD CONSTRAINT rule_history_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES dq.rule(rule_id);

--
-- Name: triage_event triage_event_quarantine_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.triage_event
    ADD CONSTRAINT triage_event_quarantine_id_fkey FOREIGN KEY (quarantine_id) REFERENCES dq.quarantine(quarantine_id) ON DELETE CASCADE;

--
-- Name: triage_event triage_event_repair_id_fkey; Type: FK CONSTRAINT; Schema: dq; Owner: -
--

ALTER TABLE ONLY dq.triage_event
    ADD CONSTRAINT triage_event_repair_id_fkey FOREIGN KEY (repair_id) REFERENCES dq.repair(repair_id);

--
-- Name: alert_rule alert_rule_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.alert_rule
    ADD CONSTRAINT alert_rule_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: batch batch_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.batch
    ADD CONSTRAINT batch_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: batch batch_duplicate_of_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.batch
    ADD CONSTRAINT batch_duplicate_of_fkey FOREIGN KEY (duplicate_of) REFERENCES etl.batch(batch_id);

--
-- Name: batch batch_run_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.batch
    ADD CONSTRAINT batch_run_id_fkey FOREIGN KEY (run_id) REFERENCES etl.run(run_id);

--
-- Name: delivery delivery_channel_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.delivery
    ADD CONSTRAINT delivery_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES etl.alert_channel(channel_id);

--
-- Name: delivery delivery_incident_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.delivery
    ADD CONSTRAINT delivery_incident_id_fkey FOREIGN KEY (incident_id) REFERENCES etl.incident(incident_id);

--
-- Name: error_file error_file_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.error_file
    ADD CONSTRAINT error_file_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: expected expected_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.expected
    ADD CONSTRAINT expected_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: finding finding_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.finding
    ADD CONSTRAINT finding_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: freshness freshness_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.freshness
    ADD CONSTRAINT freshness_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: freshness_limit freshness_limit_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.freshness_limit
    ADD CONSTRAINT freshness_limit_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: incident incident_alert_rule_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.incident
    ADD CONSTRAINT incident_alert_rule_id_fkey FOREIGN KEY (alert_rule_id) REFERENCES etl.alert_rule(alert_rule_id);

--
-- Name: incident incident_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.incident
    ADD CONSTRAINT incident_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: incident incident_run_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.incident
    ADD CONSTRAINT incident_run_id_fkey FOREIGN KEY (run_id) REFERENCES etl.run(run_id);

--
-- Name: refresh refresh_covered_by_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.refresh
    ADD CONSTRAINT refresh_covered_by_fkey FOREIGN KEY (covered_by) REFERENCES etl.refresh(refresh_id);

--
-- Name: refresh refresh_run_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.refresh
    ADD CONSTRAINT refresh_run_id_fkey FOREIGN KEY (run_id) REFERENCES etl.run(run_id);

--
-- Name: run run_again_of_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run
    ADD CONSTRAINT run_again_of_fkey FOREIGN KEY (again_of) REFERENCES etl.run(run_id);

--
-- Name: run run_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run
    ADD CONSTRAINT run_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: run run_schedule_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run
    ADD CONSTRAINT run_schedule_id_fkey FOREIGN KEY (schedule_id) REFERENCES etl.schedule(schedule_id);

--
-- Name: run run_worker_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run
    ADD CONSTRAINT run_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES etl.worker(worker_id);

--
-- Name: schedule schedule_dataset_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.schedule
    ADD CONSTRAINT schedule_dataset_fkey FOREIGN KEY (dataset) REFERENCES etl.dataset(dataset);

--
-- Name: step step_run_id_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.step
    ADD CONSTRAINT step_run_id_fkey FOREIGN KEY (run_id) REFERENCES etl.run(run_id);

--
-- Name: transactions transactions_customer_fk; Type: FK CONSTRAINT; Schema: gold; Owner: -
--

ALTER TABLE ONLY gold.transactions
    ADD CONSTRAINT transactions_customer_fk FOREIGN KEY (customer_id) REFERENCES gold.customers(customer_id);

--
-- Name: transactions transactions_product_fk; Type: FK CONSTRAINT; Schema: gold; Owner: -
--

ALTER TABLE ONLY gold.transactions
    ADD CONSTRAINT transactions_product_fk FOREIGN KEY (product_id) REFERENCES gold.products(product_id);

--
-- PostgreSQL database dump complete
--
