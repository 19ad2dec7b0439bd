DROP FUNCTION search_videos;
DROP TRIGGER videos_unindexed ON videos;
DROP TRIGGER videos_reindexed ON videos;
DROP TRIGGER videos_indexed ON videos;
DROP TRIGGER users_renamed ON users;
DROP TRIGGER videos_folded ON videos;
DROP FUNCTION index_words, rename_player, fill_search_key, fold_words;
DROP TABLE search_words;
ALTER TABLE videos DROP COLUMN search_key;
