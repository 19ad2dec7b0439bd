-- No query looks for users by city: `videos` and `standings` have their own copies of `city_key`, with their own indexes.
-- IF EXISTS, because without a transaction a killed migration may have dropped the index unrecorded.
DROP INDEX CONCURRENTLY IF EXISTS users_city_key;
