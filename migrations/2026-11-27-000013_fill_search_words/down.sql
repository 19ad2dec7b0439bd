-- The words go with their table.
SELECT;
