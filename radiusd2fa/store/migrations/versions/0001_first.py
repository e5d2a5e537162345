"""The first schema, as it was: a later change of the program's tables must not change what this made."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE callers (
        nas VARCHAR NOT NULL,
        caller VARCHAR NOT NULL,
        failures INTEGER NOT NULL,
        window_ends DOUBLE NOT NULL,
        blocked_until DOUBLE NOT NULL,
        PRIMARY KEY (nas, caller)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE challenges (
        handle VARCHAR NOT NULL,
        nas VARCHAR NOT NULL,
        user_name VARCHAR NOT NULL,
        user_id INTEGER,
        kind VARCHAR NOT NULL,
        password_passed BOOLEAN NOT NULL,
        login VARCHAR NOT NULL,
        expires DOUBLE NOT NULL,
        tries INTEGER NOT NULL,
        PRIMARY KEY (handle)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX challenges_expires ON challenges (expires)",
    """
    CREATE TABLE events (
        id INTEGER NOT NULL,
        time DOUBLE NOT NULL,
        name VARCHAR NOT NULL,
        login VARCHAR NOT NULL,
        nas VARCHAR NOT NULL,
        user VARCHAR NOT NULL,
        caller VARCHAR NOT NULL,
        factor VARCHAR NOT NULL,
        serial VARCHAR NOT NULL,
        outcome VARCHAR NOT NULL,
        reason VARCHAR NOT NULL,
        latency DOUBLE NOT NULL,
        actor VARCHAR NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE meta (
        "key" VARCHAR NOT NULL,
        value VARCHAR NOT NULL,
        PRIMARY KEY ("key")
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE users (
        id INTEGER NOT NULL,
        name VARCHAR NOT NULL,
        source VARCHAR DEFAULT 'local' NOT NULL,
        enabled BOOLEAN DEFAULT '1' NOT NULL,
        groups VARCHAR DEFAULT '' NOT NULL,
        failures INTEGER DEFAULT '0' NOT NULL,
        locked_until DOUBLE DEFAULT '0' NOT NULL,
        password_hash VARCHAR,
        created DOUBLE NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (name)
    )
    """,
    """
    CREATE TABLE tokens (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        serial VARCHAR NOT NULL,
        user_id INTEGER,
        kind VARCHAR NOT NULL,
        sealed BLOB NOT NULL,
        digits INTEGER NOT NULL,
        algorithm VARCHAR NOT NULL,
        step INTEGER NOT NULL,
        state VARCHAR NOT NULL,
        valid_from DOUBLE DEFAULT '0' NOT NULL,
        valid_until DOUBLE,
        created DOUBLE NOT NULL,
        moving_factor BIGINT NOT NULL,
        drift INTEGER DEFAULT '0' NOT NULL,
        last_used DOUBLE,
        candidate BIGINT,
        candidate_until DOUBLE DEFAULT '0' NOT NULL,
        CONSTRAINT moving_factor_not_negative CHECK (moving_factor >= 0),
        UNIQUE (serial),
        FOREIGN KEY(user_id) REFERENCES users (id)
    )
    """,
    "CREATE INDEX ix_tokens_user_id ON tokens (user_id)",
    """
    CREATE TRIGGER events_no_update
        BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER events_no_delete
        BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER tokens_only_grow
        BEFORE UPDATE OF moving_factor ON tokens
        WHEN NEW.moving_factor < OLD.moving_factor
        BEGIN SELECT RAISE(ABORT, 'a moving factor only grows'); END
    """,
)


def upgrade() -> None:
    """Make all tables and the triggers that guard them."""
    for statement in STATEMENTS:
        op.execute(statement)
