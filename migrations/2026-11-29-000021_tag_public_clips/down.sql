DROP TRIGGER videos_note_deleted ON videos;
DROP TRIGGER videos_note_untagged ON videos;
DROP FUNCTION note_untagged_video();
DROP FUNCTION note_untagged(uuid);
DROP TABLE untagged;
