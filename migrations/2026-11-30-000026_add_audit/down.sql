UPDATE users SET role = 'player' WHERE role IN ('moderator', 'operator');
ALTER TABLE users
    DROP CONSTRAINT users_role_check,
    ADD CONSTRAINT users_role_check CHECK (role IN ('player', 'organiser'));
DROP TABLE audit, audit_count;
DROP FUNCTION number_audit_entry();
DROP FUNCTION refuse_audit_change();
