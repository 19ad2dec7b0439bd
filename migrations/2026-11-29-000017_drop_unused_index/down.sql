CREATE INDEX CONCURRENTLY users_city_key ON users (city_key text_pattern_ops);
