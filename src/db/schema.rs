//! The tables for diesel. `migrations/` is authoritative; a test compares the two.
//!
//! Lists all columns but those of `videos` that only SQL text names: above 32 columns in a table,
//! diesel needs its feature `64-column-tables`, with which it takes four times as long to compile.

pub mod sql_types {
    #[derive(Debug, diesel::query_builder::QueryId, diesel::sql_types::SqlType)]
    #[diesel(postgres_type(name = "video_status"))]
    pub struct VideoStatus;
}

diesel::table! {
    users (id) {
        id -> Int8,
        first_name -> Text,
        last_name -> Text,
        email -> Text,
        password_hash -> Text,
        city -> Text,
        city_key -> Text,
        country -> Text,
        role -> Text,
        tokens_valid_after -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        city_id -> Nullable<Int8>,
        city_name -> Text,
    }
}

diesel::table! {
    cities (id) {
        id -> Int8,
        name -> Text,
        department -> Text,
        population -> Nullable<Int8>,
        label -> Text,
        key -> Text,
    }
}

diesel::table! {
    city_aliases (key) {
        key -> Text,
        city_id -> Int8,
    }
}

diesel::table! {
    revoked_tokens (jti) {
        jti -> Uuid,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    uploads (video_id) {
        video_id -> Uuid,
        user_id -> Int8,
        started_at -> Timestamptz,
        is_upload -> Bool,
        length -> Nullable<Int8>,
        received -> Int8,
        parts -> Jsonb,
        epoch -> Int4,
        title -> Text,
        is_public -> Bool,
        metadata -> Text,
        expires_at -> Nullable<Timestamptz>,
        contest_id -> Nullable<Int8>,
    }
}

diesel::table! {
    idempotency_keys (user_id, key) {
        user_id -> Int8,
        key -> Bytea,
        video_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Int2, Int4, Int8, Jsonb, Nullable, Text, Timestamptz, Uuid};
    use super::sql_types::VideoStatus;

    videos (id) {
        id -> Uuid,
        user_id -> Int8,
        title -> Text,
        status -> VideoStatus,
        is_public -> Bool,
        votes -> Int8,
        original_bytes -> Int8,
        attempt -> Int4,
        failures -> Int4,
        losses -> Int4,
        lease_until -> Nullable<Timestamptz>,
        run_after -> Timestamptz,
        enqueued_at -> Nullable<Timestamptz>,
        failure -> Nullable<Jsonb>,
        uploaded_at -> Timestamptz,
        processed_at -> Nullable<Timestamptz>,
        strays_at -> Nullable<Timestamptz>,
        progress -> Int2,
        ready_at -> Nullable<Timestamptz>,
        report -> Nullable<Jsonb>,
        remake_after -> Nullable<Timestamptz>,
        remake_attempt -> Int4,
        setbacks -> Int4,
        setback_at -> Nullable<Timestamptz>,
        kills -> Int4,
        clip_bytes -> Nullable<Int8>,
        light_bytes -> Nullable<Int8>,
        has_thumb -> Bool,
        colour -> Nullable<Text>,
        hidden_reason -> Nullable<Text>,
        public_when_shown -> Bool,
        contest_id -> Nullable<Int8>,
    }
}

diesel::table! {
    contests (id) {
        id -> Int8,
        slug -> Text,
        name -> Text,
        time_zone -> Text,
        submissions_open_at -> Timestamptz,
        submissions_close_at -> Timestamptz,
        voting_open_at -> Timestamptz,
        voting_close_at -> Timestamptz,
        votes_per_day -> Nullable<Int4>,
        votes_in_all -> Nullable<Int4>,
        min_account_age_seconds -> Nullable<Int4>,
        entries_per_player -> Nullable<Int4>,
        min_duration_seconds -> Nullable<Int4>,
        max_duration_seconds -> Nullable<Int4>,
        min_lines -> Nullable<Int4>,
        max_file_bytes -> Nullable<Int8>,
        is_current -> Bool,
        created_at -> Timestamptz,
        frozen_at -> Nullable<Timestamptz>,
        digest -> Nullable<Text>,
        published_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    results (contest_id, position) {
        contest_id -> Int8,
        position -> Int4,
        city_key -> Text,
        city -> Text,
        city_position -> Int4,
        is_tied -> Bool,
        user_id -> Int8,
        player -> Text,
        votes -> Int8,
        video_id -> Uuid,
        title -> Text,
    }
}

diesel::table! {
    vote_hours (hour, slot) {
        hour -> Timestamptz,
        slot -> Int2,
        votes -> Int8,
    }
}

diesel::table! {
    moderations (id) {
        id -> Int8,
        at -> Timestamptz,
        organiser_id -> Nullable<Int8>,
        video_id -> Uuid,
        title -> Text,
        is_hidden -> Bool,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    answers (moderation_id) {
        moderation_id -> Int8,
        video_id -> Uuid,
        text -> Text,
        created_at -> Timestamptz,
        settled_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    audit (id) {
        id -> Int8,
        at -> Timestamptz,
        actor_id -> Nullable<Int8>,
        actor -> Text,
        act -> Text,
        subject -> Text,
        before -> Nullable<Jsonb>,
        after -> Nullable<Jsonb>,
        request_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    reports (video_id, user_id) {
        video_id -> Uuid,
        user_id -> Int8,
        reason -> Text,
        text -> Nullable<Text>,
        created_at -> Timestamptz,
        settled_at -> Nullable<Timestamptz>,
        settled_by -> Nullable<Int8>,
        outcome -> Nullable<Text>,
    }
}

diesel::table! {
    audit_count (is_only) {
        is_only -> Bool,
        entries -> Int8,
    }
}

diesel::table! {
    installation (id) {
        id -> Uuid,
        is_only -> Bool,
        marked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    search_words (word, video_id) {
        word -> Text,
        video_id -> Uuid,
    }
}

diesel::table! {
    standings (user_id) {
        user_id -> Int8,
        city_key -> Text,
        votes -> Int8,
        since -> Nullable<Timestamptz>,
        best -> Nullable<Uuid>,
    }
}

diesel::table! {
    votes (user_id, video_id) {
        user_id -> Int8,
        video_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    uncounted (video_id) {
        video_id -> Uuid,
        votes -> Int8,
        noted_at -> Timestamptz,
    }
}

diesel::table! {
    untagged (video_id) {
        video_id -> Uuid,
        version -> Int8,
        due_at -> Timestamptz,
        noted_at -> Timestamptz,
    }
}

diesel::joinable!(answers -> moderations (moderation_id));
diesel::joinable!(answers -> videos (video_id));
diesel::joinable!(idempotency_keys -> users (user_id));
diesel::joinable!(moderations -> users (organiser_id));
diesel::joinable!(reports -> videos (video_id));
diesel::joinable!(results -> contests (contest_id));
diesel::joinable!(standings -> users (user_id));
diesel::joinable!(uploads -> users (user_id));
diesel::joinable!(videos -> contests (contest_id));
diesel::joinable!(videos -> users (user_id));
diesel::joinable!(votes -> users (user_id));
diesel::joinable!(votes -> videos (video_id));

diesel::allow_tables_to_appear_in_same_query!(
    answers,
    contests,
    idempotency_keys,
    installation,
    moderations,
    reports,
    revoked_tokens,
    search_words,
    standings,
    uncounted,
    untagged,
    uploads,
    users,
    videos,
    votes
);
