DROP TRIGGER users_moved ON users;
DROP TRIGGER videos_placed ON videos;
DROP TRIGGER videos_removed ON videos;
DROP TRIGGER videos_changed ON videos;
DROP TRIGGER videos_added ON videos;
DROP FUNCTION move_player, place_video, rank_changed_videos, rank_players, rank_everybody;
DROP TABLE standings;
ALTER TABLE videos DROP COLUMN city_key;
