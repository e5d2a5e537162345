-- Schema 0003, as the program of that schema wrote it: people, fobs and logins that were made up for this file.
-- Its vault key: radiusd2fa-vault-1:VJRwe6kpAD6FtcdBq6/QwFzmvgSy3mtSryJxGFd8NYs=
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
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
        tries INTEGER NOT NULL, nonce VARCHAR, station BOOLEAN DEFAULT '0' NOT NULL, contested BOOLEAN DEFAULT '0' NOT NULL, user_verification BOOLEAN DEFAULT '0' NOT NULL, credentials VARCHAR DEFAULT '' NOT NULL, answer VARCHAR, rule VARCHAR DEFAULT '' NOT NULL, backend VARCHAR DEFAULT '' NOT NULL, doomed BOOLEAN DEFAULT '0' NOT NULL, relay_state BLOB, relay_server VARCHAR, reply BLOB, attributes BLOB,
        PRIMARY KEY (handle)
    ) WITHOUT ROWID
    ;
INSERT INTO "challenges" VALUES('663f3610390e78533b50c7583d7b166a','lab','alice',1,'code',1,'e7a0dc1034bb4aaa',1.79533934108814549448e+09,2,NULL,0,0,0,'',NULL,'all','local',0,NULL,NULL,NULL,NULL);
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
INSERT INTO "events" VALUES(1,1.79533919553611922268e+09,'user.added','','','alice','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(2,1.79533919808117675784e+09,'user.added','','','bob','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(3,1.79533920012835240364e+09,'user.added','','','carol','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(4,1.79533920183834767338e+09,'user.disabled','','','carol','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(5,1.79533920383476758002e+09,'token.added','','','alice','','hotp','H1','done','',0.0,'root');
INSERT INTO "events" VALUES(6,1.79533920580439019199e+09,'token.added','','','bob','','totp','T1','done','',0.0,'root');
INSERT INTO "events" VALUES(7,1.7953392078423087597e+09,'token.added','','','bob','','hotp','H2','done','',0.0,'root');
INSERT INTO "events" VALUES(8,1.79533921011565399169e+09,'token.revoked','','','','','','H2','done','',0.0,'root');
INSERT INTO "events" VALUES(9,1.79533921176020550732e+09,'token.added','','','carol','','hotp','H3','done','',0.0,'root');
INSERT INTO "events" VALUES(10,1.79533921370463395118e+09,'token.unassigned','','','','','','H3','done','',0.0,'root');
INSERT INTO "events" VALUES(11,1.79533921774776554112e+09,'access.challenged','e54b95f3ce7c8949','lab','alice','','','','challenged','code_wanted',5.82561800547409802675e-03,'');
INSERT INTO "events" VALUES(12,1.79533921776788473129e+09,'access.accepted','e54b95f3ce7c8949','lab','alice','','hotp','H1','accepted','ok',6.00911000219639390707e-04,'');
INSERT INTO "events" VALUES(13,1.79533921896531057358e+09,'access.challenged','387900236e1a29d3','lab','alice','','','','challenged','code_wanted',3.62940500053809955716e-03,'');
INSERT INTO "events" VALUES(14,1795339218.97254,'access.accepted','387900236e1a29d3','lab','alice','','hotp','H1','accepted','ok',4.86639997689053416252e-04,'');
INSERT INTO "events" VALUES(15,1.79533921992965340617e+09,'access.challenged','94fc666d0e086cbe','lab','alice','','','','challenged','code_wanted',2.0337610039860010147e-03,'');
INSERT INTO "events" VALUES(16,1795339219.94077,'access.accepted','94fc666d0e086cbe','lab','alice','','hotp','H1','accepted','ok',4.3616400216706097126e-04,'');
INSERT INTO "events" VALUES(17,1.79533922107075667382e+09,'access.challenged','e7a0dc1034bb4aaa','lab','alice','','','','challenged','code_wanted',5.73760599945671856403e-03,'');
INSERT INTO "events" VALUES(18,1.79533922108814549445e+09,'access.challenged','e7a0dc1034bb4aaa','lab','alice','','hotp','H1','challenged','replayed',6.40109996311366558074e-04,'');
INSERT INTO "events" VALUES(19,1.79533922259094572059e+09,'access.challenged','d7dc5b9514d7c511','lab','bob','','','','challenged','code_wanted',4.6739899989916011691e-03,'');
INSERT INTO "events" VALUES(20,1.79533922260802531237e+09,'access.accepted','d7dc5b9514d7c511','lab','bob','','totp','T1','accepted','ok',4.6329500037245452404e-04,'');
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
INSERT INTO "meta" VALUES('vault_key_id','00bf5b50');
CREATE TABLE sightings (
	client VARCHAR NOT NULL, 
	updated DOUBLE NOT NULL, 
	packets VARCHAR NOT NULL, 
	PRIMARY KEY (client)
)
 WITHOUT ROWID

;
INSERT INTO "sightings" VALUES('lab',1.79533922283169841771e+09,'[{"time":1795339217.747737,"source":"127.0.0.1","port":58468,"fate":"challenged:code_wanted","latency":0.020025,"packet":{"code":1,"identifier":248,"authenticator":"979c8a3d1c3b","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"b3959374","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":93}},{"time":1795339217.767869,"source":"127.0.0.1","port":58468,"fate":"accepted:ok","latency":0.009138,"packet":{"code":1,"identifier":226,"authenticator":"c152d0724413","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"b3959374","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":127}},{"time":1795339218.965283,"source":"127.0.0.1","port":57725,"fate":"challenged:code_wanted","latency":0.007074,"packet":{"code":1,"identifier":228,"authenticator":"503f03be6e31","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"b3959374","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":93}},{"time":1795339218.972522,"source":"127.0.0.1","port":57725,"fate":"accepted:ok","latency":0.009111,"packet":{"code":1,"identifier":124,"authenticator":"ea530c34f4e0","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"b3959374","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":127}},{"time":1795339219.929635,"source":"127.0.0.1","port":43361,"fate":"challenged:code_wanted","latency":0.010434,"packet":{"code":1,"identifier":149,"authenticator":"80c484c6b4fe","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"b3959374","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":93}},{"time":1795339219.940753,"source":"127.0.0.1","port":43361,"fate":"accepted:ok","latency":0.004217,"packet":{"code":1,"identifier":89,"authenticator":"ca4557d017f4","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"b3959374","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":127}},{"time":1795339221.070737,"source":"127.0.0.1","port":55661,"fate":"challenged:code_wanted","latency":0.016355,"packet":{"code":1,"identifier":74,"authenticator":"a6a0bc45dc62","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"b3959374","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":93}},{"time":1795339221.088129,"source":"127.0.0.1","port":55661,"fate":"challenged:replayed","latency":0.002944,"packet":{"code":1,"identifier":207,"authenticator":"80450ee9a23d","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"b3959374","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":127}},{"time":1795339222.590935,"source":"127.0.0.1","port":54251,"fate":"challenged:code_wanted","latency":0.013241,"packet":{"code":1,"identifier":139,"authenticator":"d45ef10479f1","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"6cb43b85","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":91}},{"time":1795339222.608012,"source":"127.0.0.1","port":54251,"fate":"accepted:ok","latency":0.003573,"packet":{"code":1,"identifier":47,"authenticator":"5ae4eae418d9","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"6cb43b85","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":125}}]');
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
INSERT INTO "tokens" VALUES(1,'H1',1,'hotp',X'00BF5B5071014F897B4869193E9B7E1D28C4C78BF216FF9947330A39BC068400A7D08B860C882B67AF4AC6DF16BC25314A297572',6,'sha1',30,'active',0.0,NULL,1.79533920383476758002e+09,3,0,1795339219.94077,NULL,0.0,'',NULL);
INSERT INTO "tokens" VALUES(2,'T1',2,'totp',X'00BF5B502AB6759F75B7DB864B8C725E689695DC620A00A6397F4E0B36CE6EE599392AE37A8E1A1F4A65726D58E145D6D2FBC4EB',6,'sha1',30,'active',0.0,NULL,1.79533920580439019199e+09,59844640,0,1.79533922260802531237e+09,NULL,0.0,'',NULL);
INSERT INTO "tokens" VALUES(3,'H2',2,'hotp',X'00BF5B50CCC9251919BAF51C0530C83505E5E9B5109762BA2CC236A090105979C12D5E8588550E5563822DD8EBF2C8BEF1DEC447',6,'sha1',30,'revoked',0.0,NULL,1.7953392078423087597e+09,0,0,NULL,NULL,0.0,'',NULL);
INSERT INTO "tokens" VALUES(4,'H3',NULL,'hotp',X'00BF5B506567128688E6B699215B87AC3C10CE537F00ECDD7AF40E69FD2D545AC6E9A1EFE321546ACB3A85A7B604D58BFC836349',6,'sha1',30,'stock',0.0,NULL,1.79533921176020550732e+09,0,0,NULL,NULL,0.0,'',NULL);
CREATE TABLE users (
        id INTEGER NOT NULL,
        name VARCHAR NOT NULL,
        source VARCHAR DEFAULT 'local' NOT NULL,
        enabled BOOLEAN DEFAULT '1' NOT NULL,
        groups VARCHAR DEFAULT '' NOT NULL,
        failures INTEGER DEFAULT '0' NOT NULL,
        locked_until DOUBLE DEFAULT '0' NOT NULL,
        password_hash VARCHAR,
        created DOUBLE NOT NULL, directory_id VARCHAR, enrolled BOOLEAN DEFAULT '0' NOT NULL, last_login DOUBLE, bare VARCHAR DEFAULT '' NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (name)
    );
INSERT INTO "users" VALUES(1,'alice','local',1,'',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$C0m+bG8iboT5u5urLfz2Xw$kXVIANJNrNbQDeE9r6UCI+e9c00T/SHX70zhS51yNlU',1.79533919553611922268e+09,NULL,1,NULL,'alice');
INSERT INTO "users" VALUES(2,'bob','local',1,'staff
vpn',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$hmHL9R4zxC3+eDINehQBWQ$h1CXeHH7qMa14ncAb0WCby2R740n83AlOQXKXn2lR5M',1.79533919808117675784e+09,NULL,1,NULL,'bob');
INSERT INTO "users" VALUES(3,'carol','local',0,'',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$SoMOMNf5e7f4VUry5XS14Q$piYpBO1Xu0M2hlJpfie9kkn6ilTnQlXlOkIrYGFhINE',1.79533920012835240364e+09,NULL,1,NULL,'carol');
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
CREATE INDEX users_bare ON users (bare);
CREATE INDEX users_directory_id ON users (directory_id);
CREATE UNIQUE INDEX users_directory ON users (source, directory_id);
CREATE TRIGGER users_enrolled_by_token AFTER UPDATE OF user_id ON tokens WHEN NEW.user_id IS NOT NULL BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END;
CREATE TRIGGER users_enrolled_by_new_token AFTER INSERT ON tokens WHEN NEW.user_id IS NOT NULL BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tokens',4);
COMMIT;
