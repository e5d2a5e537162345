-- Schema 0002, as the program of that schema wrote it: people, fobs and logins that were made up for this file.
-- Its vault key: radiusd2fa-vault-1:iHMNoCIApofphk5/NH2ekgwT0Jhl/p/XCgo5vCatQRY=
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE callers (
        nas VARCHAR NOT NULL,
        caller VARCHAR NOT NULL,
        failures INTEGER NOT NULL,
        window_ends DOUBLE NOT NULL,
        blocked_until DOUBLE NOT NULL,
        PRIMARY KEY (nas, caller)
    ) WITHOUT ROWID
    ;
CREATE TABLE challenges (
        handle VARCHAR NOT NULL,
        nas VARCHAR NOT NULL,
        user_name VARCHAR NOT NULL,
        user_id INTEGER,
        kind VARCHAR NOT NULL,
        password_passed BOOLEAN NOT NULL,
        login VARCHAR NOT NULL,
        expires DOUBLE NOT NULL,
        tries INTEGER NOT NULL, nonce VARCHAR, station BOOLEAN DEFAULT '0' NOT NULL, contested BOOLEAN DEFAULT '0' NOT NULL, user_verification BOOLEAN DEFAULT '0' NOT NULL, credentials VARCHAR DEFAULT '' NOT NULL, answer VARCHAR,
        PRIMARY KEY (handle)
    ) WITHOUT ROWID
    ;
INSERT INTO "challenges" VALUES('dbb4d37a3f0e6e161183691b0ef47ffa','lab','alice',1,'code',1,'edf2b88ceb0cfcc4',1.79533930962379336361e+09,2,NULL,0,0,0,'',NULL);
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
    );
INSERT INTO "events" VALUES(1,1.79533917180138778693e+09,'user.added','','','alice','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(2,1.79533917324415755274e+09,'user.added','','','bob','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(3,1.7953391744491972923e+09,'user.added','','','carol','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(4,1.79533917599408936495e+09,'user.disabled','','','carol','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(5,1.79533917717342495923e+09,'token.added','','','alice','','hotp','H1','done','',0.0,'root');
INSERT INTO "events" VALUES(6,1.79533917844176769259e+09,'token.added','','','bob','','totp','T1','done','',0.0,'root');
INSERT INTO "events" VALUES(7,1.79533918020421671872e+09,'token.added','','','bob','','hotp','H2','done','',0.0,'root');
INSERT INTO "events" VALUES(8,1.79533918150029444694e+09,'token.revoked','','','','','','H2','done','',0.0,'root');
INSERT INTO "events" VALUES(9,1.7953391826066219806e+09,'token.added','','','carol','','hotp','H3','done','',0.0,'root');
INSERT INTO "events" VALUES(10,1.79533918380158543587e+09,'token.unassigned','','','','','','H3','done','',0.0,'root');
INSERT INTO "events" VALUES(11,1.79533918655572795873e+09,'access.challenged','e2aa46d135f0f701','lab','alice','','','','challenged','code_wanted',3.70182200276758521795e-03,'');
INSERT INTO "events" VALUES(12,1.79533918656743407245e+09,'access.accepted','e2aa46d135f0f701','lab','alice','','hotp','H1','accepted','ok',6.40471000224351882934e-04,'');
INSERT INTO "events" VALUES(13,1.79533918754632163049e+09,'access.challenged','d2dbbbe94b510ca4','lab','alice','','','','challenged','code_wanted',1.03516700619366019964e-03,'');
INSERT INTO "events" VALUES(14,1.79533918756270074847e+09,'access.accepted','d2dbbbe94b510ca4','lab','alice','','hotp','H1','accepted','ok',4.29354004154447466135e-04,'');
INSERT INTO "events" VALUES(15,1.79533918878981876374e+09,'access.challenged','fe8aa54265df7b79','lab','alice','','','','challenged','code_wanted',2.32537800184218212962e-03,'');
INSERT INTO "events" VALUES(16,1.79533918879687094693e+09,'access.accepted','fe8aa54265df7b79','lab','alice','','hotp','H1','accepted','ok',4.86060002003796398639e-04,'');
INSERT INTO "events" VALUES(17,1.79533918961873269082e+09,'access.challenged','edf2b88ceb0cfcc4','lab','alice','','','','challenged','code_wanted',6.86049002979416400194e-04,'');
INSERT INTO "events" VALUES(18,1.79533918962379336354e+09,'access.challenged','edf2b88ceb0cfcc4','lab','alice','','hotp','H1','challenged','replayed',5.71237003896385431289e-04,'');
INSERT INTO "events" VALUES(19,1.79533919093959140776e+09,'access.challenged','db516a8ea5fc735a','lab','bob','','','','challenged','code_wanted',2.40098199719795957207e-03,'');
INSERT INTO "events" VALUES(20,1.795339190942553997e+09,'access.accepted','db516a8ea5fc735a','lab','bob','','totp','T1','accepted','ok',3.43255000188946723937e-04,'');
CREATE TABLE invitations (
	nonce VARCHAR NOT NULL, 
	user_id INTEGER NOT NULL, 
	label VARCHAR NOT NULL, 
	expires DOUBLE NOT NULL, 
	PRIMARY KEY (nonce), 
	FOREIGN KEY(user_id) REFERENCES users (id)
)
 WITHOUT ROWID

;
CREATE TABLE meta (
        "key" VARCHAR NOT NULL,
        value VARCHAR NOT NULL,
        PRIMARY KEY ("key")
    ) WITHOUT ROWID
    ;
INSERT INTO "meta" VALUES('vault_key_id','8d79fbe4');
CREATE TABLE stations (
	name VARCHAR NOT NULL, 
	seen DOUBLE NOT NULL, 
	device VARCHAR NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
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
        candidate_until DOUBLE DEFAULT '0' NOT NULL, label VARCHAR DEFAULT '' NOT NULL, credential VARCHAR,
        CONSTRAINT moving_factor_not_negative CHECK (moving_factor >= 0),
        UNIQUE (serial),
        FOREIGN KEY(user_id) REFERENCES users (id)
    );
INSERT INTO "tokens" VALUES(1,'H1',1,'hotp',X'8D79FBE4EB1BC04AD26B1A5382427E382E86DF2E14B344440A6CAB32A8B6A3CAFBDB566EDF0BE0C15B68604C88E11DB5E883D3F6',6,'sha1',30,'active',0.0,NULL,1.79533917717342495923e+09,3,0,1.79533918879687094693e+09,NULL,0.0,'',NULL);
INSERT INTO "tokens" VALUES(2,'T1',2,'totp',X'8D79FBE473E53249D2313A5FA3A42FA1D43F7194AF14CFE1BFE32A710C1721E4E2B0A5FB248F6FB2FFB6A276DA1A96A888F2CEC3',6,'sha1',30,'active',0.0,NULL,1.79533917844176769259e+09,59844639,0,1.795339190942553997e+09,NULL,0.0,'',NULL);
INSERT INTO "tokens" VALUES(3,'H2',2,'hotp',X'8D79FBE405FB115134AEB3BE5CDF9CEC9D984CD523EFC648B856EE0BE37F32875354802AB2397AB0F44255A9B227A42BCFE5BC4B',6,'sha1',30,'revoked',0.0,NULL,1.79533918020421671872e+09,0,0,NULL,NULL,0.0,'',NULL);
INSERT INTO "tokens" VALUES(4,'H3',NULL,'hotp',X'8D79FBE4974027B0F2E36EF28AD376F1527699133215854C845AD3B4FFAB7812E8F5AE36BC33148498DB18CEE8DA424262147E98',6,'sha1',30,'stock',0.0,NULL,1.7953391826066219806e+09,0,0,NULL,NULL,0.0,'',NULL);
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
    );
INSERT INTO "users" VALUES(1,'alice','local',1,'',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$hwQtIET4PChRmlLEXrkTHg$Wsh3w5A5ZUi+aQLcdksaXyVSrEQNK/7duFggZNECFNw',1.79533917180138778693e+09);
INSERT INTO "users" VALUES(2,'bob','local',1,'staff,vpn',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$T1Gz8T3tFQ8tdjmOVq3wfw$c17gAB5C+MQ/LD0GwB/lMj8U9DJtaXfWsZUEHRbljHs',1.79533917324415755274e+09);
INSERT INTO "users" VALUES(3,'carol','local',0,'',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$5oEyp++R3t7fFB2BbBM4oQ$VrPD84QGfOQl7ZaljfYWtPzp4lS3V19JdkstzfBMV1Y',1.7953391744491972923e+09);
CREATE INDEX challenges_expires ON challenges (expires);
CREATE INDEX ix_tokens_user_id ON tokens (user_id);
CREATE TRIGGER events_no_update
        BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER events_no_delete
        BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER tokens_only_grow
        BEFORE UPDATE OF moving_factor ON tokens
        WHEN NEW.moving_factor < OLD.moving_factor
        BEGIN SELECT RAISE(ABORT, 'a moving factor only grows'); END;
CREATE UNIQUE INDEX tokens_credential ON tokens (credential);
CREATE INDEX challenges_station ON challenges (user_id, contested) WHERE station = 1;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tokens',4);
COMMIT;
