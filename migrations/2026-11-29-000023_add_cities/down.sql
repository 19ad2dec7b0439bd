DROP TRIGGER users_located ON users;
UPDATE users SET city_key = fold_name(city) WHERE city_id IS NOT NULL OR city_name NOT IN ('', city);
CREATE OR REPLACE TRIGGER users_moved AFTER UPDATE OF city_key ON users
    FOR EACH ROW WHEN (OLD.city_key IS DISTINCT FROM NEW.city_key) EXECUTE FUNCTION move_player();
ALTER TABLE users DROP COLUMN city_id, DROP COLUMN city_name;
DROP FUNCTION locate_player, find_city, fold_name;
DROP TABLE city_aliases, cities;
