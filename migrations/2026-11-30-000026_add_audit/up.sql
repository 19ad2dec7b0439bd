-- The acts of staff: who did what, by which request. An entry outlives accounts, videos and contests, so it refers to
-- none of them.
CREATE TABLE audit (
    -- Without a gap, which an identity would leave after each rollback: so a missing entry is noticed.
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Null for a command of an operator.
    actor_id bigint,
    -- The e-mail address of the account at that time, or the command and its host.
    actor text NOT NULL,
    act text NOT NULL,
    -- What it was about: a kind and its name, as in `video:0198c0de-…`.
    subject text NOT NULL,
    before jsonb,
    after jsonb,
    request_id uuid
);
CREATE INDEX audit_act ON audit (act, id);

-- The number of entries that were written, so that even the removal of the newest one is noticed.
CREATE TABLE audit_count (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    entries bigint NOT NULL
);
INSERT INTO audit_count (entries) VALUES (0);

-- Numbers an entry. The row lock lasts until the transaction ends: transactions take their numbers one after another,
-- and one that rolls back returns its number. Only the owner of the tables may change the count.
CREATE FUNCTION number_audit_entry() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE audit_count SET entries = entries + 1 RETURNING entries INTO NEW.id;
    NEW.at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER audit_number BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION number_audit_entry();

-- For every user, also the owner, who would have to disable the trigger first.
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of audit are never changed or removed' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Not validated: every row satisfied the narrower constraint, and reading them would block log-ins.
ALTER TABLE users
    DROP CONSTRAINT users_role_check,
    ADD CONSTRAINT users_role_check CHECK (role IN ('player', 'moderator', 'organiser', 'operator')) NOT VALID;
