-- The places go with their columns.
SELECT;
