CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    first_name text NOT NULL,
    last_name text NOT NULL,
    -- Lower case, so that uniqueness and look-ups need no function.
    email text NOT NULL UNIQUE CHECK (email = lower(email)),
    password_hash text NOT NULL,
    city text NOT NULL,
    -- `city` without case, accents and punctuation: what filters compare.
    city_key text NOT NULL,
    country text NOT NULL,
    role text NOT NULL DEFAULT 'player' CHECK (role IN ('player', 'organiser')),
    -- Tokens issued up to this moment are refused; null: none is.
    tokens_valid_after timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_city_key ON users (city_key text_pattern_ops);

-- Tokens that were logged out before they expired.
CREATE TABLE revoked_tokens (
    jti uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX revoked_tokens_expires_at ON revoked_tokens (expires_at);
