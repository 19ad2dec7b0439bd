DROP INDEX moderations_video_id;
DROP TABLE answers;
DROP TABLE reports;
