DROP TABLE videos;
DROP TABLE uploads;
DROP TYPE video_status;
