-- Schema 0004, as the program of that schema wrote it: people, fobs and logins that were made up for this file.
-- Its vault key: radiusd2fa-vault-1:VjmX+s1m0noP4ckxDepeF0o3r1QIPO0DpewuPhS1aKc=
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
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
INSERT INTO "challenges" VALUES('74c9bab40255a0ad0d9def9e34119d69','lab','alice',1,'code',1,'e3451364d0ca8c52',1.79533937955991077417e+09,2,NULL,0,0,0,'',NULL,'all','local',0,NULL,NULL,NULL,NULL);
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
INSERT INTO "events" VALUES(1,1.79533922675292921065e+09,'user.added','','','alice','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(2,1.7953392290376298428e+09,'user.added','','','bob','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(3,1.7953392310787837505e+09,'user.added','','','carol','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(4,1.79533923307206845281e+09,'user.disabled','','','carol','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(5,1.79533923517057681078e+09,'token.added','','','alice','','hotp','H1','done','',0.0,'root');
INSERT INTO "events" VALUES(6,1.79533923748587298388e+09,'token.added','','','bob','','totp','T1','done','',0.0,'root');
INSERT INTO "events" VALUES(7,1.7953392400164632797e+09,'token.added','','','bob','','hotp','H2','done','',0.0,'root');
INSERT INTO "events" VALUES(8,1.79533924236409831052e+09,'token.revoked','','','bob','','hotp','H2','done','',0.0,'root');
INSERT INTO "events" VALUES(9,1.79533924536516904836e+09,'token.added','','','carol','','hotp','H3','done','',0.0,'root');
INSERT INTO "events" VALUES(10,1.79533924890569806099e+09,'token.unassigned','','','carol','','hotp','H3','done','',0.0,'root');
INSERT INTO "events" VALUES(11,1.7953392541359903812e+09,'access.challenged','49cd444e2ba81e9e','lab','alice','','','','challenged','code_wanted',2.08559439997770823538e-02,'');
INSERT INTO "events" VALUES(12,1.79533925417451739308e+09,'access.accepted','49cd444e2ba81e9e','lab','alice','','hotp','H1','accepted','ok',7.57836998673155903816e-04,'');
INSERT INTO "events" VALUES(13,1.79533925596417427063e+09,'access.challenged','a43332eeb0f43460','lab','alice','','','','challenged','code_wanted',2.14191299892263486981e-03,'');
INSERT INTO "events" VALUES(14,1.79533925596985864635e+09,'access.accepted','a43332eeb0f43460','lab','alice','','hotp','H1','accepted','ok',4.84566000523045659065e-04,'');
INSERT INTO "events" VALUES(15,1.79533925749825239181e+09,'access.challenged','735138ac87f0ad2c','lab','alice','','','','challenged','code_wanted',8.52338998811319470405e-04,'');
INSERT INTO "events" VALUES(16,1.79533925750190591808e+09,'access.accepted','735138ac87f0ad2c','lab','alice','','hotp','H1','accepted','ok',4.08842999604530632495e-04,'');
INSERT INTO "events" VALUES(17,1.79533925952866172792e+09,'access.challenged','e3451364d0ca8c52','lab','alice','','','','challenged','code_wanted',5.80595900100888684391e-03,'');
INSERT INTO "events" VALUES(18,1.79533925955991077423e+09,'access.challenged','e3451364d0ca8c52','lab','alice','','hotp','H1','challenged','replayed',6.67111002258025109767e-04,'');
INSERT INTO "events" VALUES(19,1.79533926159560966494e+09,'access.challenged','455754a9c8415a4a','lab','bob','','','','challenged','code_wanted',0.00101604300289182,'');
INSERT INTO "events" VALUES(20,1.79533926160880112641e+09,'access.accepted','455754a9c8415a4a','lab','bob','','totp','T1','accepted','ok',5.20070003403816372156e-04,'');
INSERT INTO "events" VALUES(21,1.79533926342571592332e+09,'recovery.issued','','','bob','','recovery','R-E4KD9N2S','done','',0.0,'root');
INSERT INTO "events" VALUES(22,1.79533926790585899356e+09,'token.lost','','','bob','','totp','T1','done','lost',0.0,'root');
INSERT INTO "events" VALUES(23,1.79533926790585899356e+09,'grant.opened','','','bob','','temporary','G-PDDYJCHM','done','lost',0.0,'root');
CREATE TABLE grants (
	id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	user VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	serial VARCHAR DEFAULT '' NOT NULL, 
	reason VARCHAR NOT NULL, 
	granted_by VARCHAR NOT NULL, 
	approved_by VARCHAR DEFAULT '' NOT NULL, 
	created DOUBLE NOT NULL, 
	until DOUBLE NOT NULL, 
	closed DOUBLE, 
	closed_by VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "grants" VALUES(1,2,'bob','temporary','G-PDDYJCHM','lost','root','',1.79533926790585899356e+09,1.79536806790585899348e+09,NULL,'');
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
INSERT INTO "meta" VALUES('vault_key_id','ec3cb230');
CREATE TABLE requests (
	id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	user VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	requested_by VARCHAR NOT NULL, 
	created DOUBLE NOT NULL, 
	expires DOUBLE NOT NULL, 
	lasts DOUBLE NOT NULL, 
	approved_by VARCHAR, 
	approved DOUBLE, 
	PRIMARY KEY (id)
);
CREATE TABLE sightings (
	client VARCHAR NOT NULL, 
	updated DOUBLE NOT NULL, 
	packets VARCHAR NOT NULL, 
	PRIMARY KEY (client)
)
 WITHOUT ROWID

;
INSERT INTO "sightings" VALUES('lab',1.79533926446767544741e+09,'[{"time":1795339254.135950,"source":"127.0.0.1","port":46097,"fate":"challenged:code_wanted","latency":0.038372,"packet":{"code":1,"identifier":204,"authenticator":"f926cad93ef8","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"4a4289d4","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":93}},{"time":1795339254.174491,"source":"127.0.0.1","port":46097,"fate":"accepted:ok","latency":0.012919,"packet":{"code":1,"identifier":163,"authenticator":"25c603c4c7cb","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"4a4289d4","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":127}},{"time":1795339255.964148,"source":"127.0.0.1","port":40283,"fate":"challenged:code_wanted","latency":0.004113,"packet":{"code":1,"identifier":253,"authenticator":"f3f98fc256a1","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"4a4289d4","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":93}},{"time":1795339255.969839,"source":"127.0.0.1","port":40283,"fate":"accepted:ok","latency":0.003614,"packet":{"code":1,"identifier":26,"authenticator":"a81de1d71dae","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"4a4289d4","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":127}},{"time":1795339257.498230,"source":"127.0.0.1","port":32855,"fate":"challenged:code_wanted","latency":0.003559,"packet":{"code":1,"identifier":56,"authenticator":"a547a70d3a8b","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"4a4289d4","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":93}},{"time":1795339257.501890,"source":"127.0.0.1","port":32855,"fate":"accepted:ok","latency":0.021001,"packet":{"code":1,"identifier":245,"authenticator":"5185b72f5323","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"4a4289d4","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":127}},{"time":1795339259.528638,"source":"127.0.0.1","port":42285,"fate":"challenged:code_wanted","latency":0.027507,"packet":{"code":1,"identifier":9,"authenticator":"0472080b63ff","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"4a4289d4","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":93}},{"time":1795339259.559889,"source":"127.0.0.1","port":42285,"fate":"challenged:replayed","latency":0.003254,"packet":{"code":1,"identifier":133,"authenticator":"948703778039","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"4a4289d4","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":127}},{"time":1795339261.595597,"source":"127.0.0.1","port":33302,"fate":"challenged:code_wanted","latency":0.013054,"packet":{"code":1,"identifier":23,"authenticator":"e5eb6b475b0d","attributes":["80","32","1","2","6","61"],"signed":true,"credential":"pap","name":"plain","person":"14e322a7","states":0,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":91}},{"time":1795339261.608786,"source":"127.0.0.1","port":33302,"fate":"accepted:ok","latency":0.007410,"packet":{"code":1,"identifier":61,"authenticator":"5b1fe931696c","attributes":["80","32","1","2","6","61","24"],"signed":true,"credential":"pap","name":"plain","person":"14e322a7","states":1,"proxy_states":0,"caller":"absent","service_type":8,"nas_port_type":5,"length":125}}]');
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
        candidate_until DOUBLE DEFAULT '0' NOT NULL, label VARCHAR DEFAULT '' NOT NULL, credential VARCHAR, model VARCHAR DEFAULT '' NOT NULL, batch VARCHAR DEFAULT '' NOT NULL, box VARCHAR DEFAULT '' NOT NULL, delivered DOUBLE, handed_by VARCHAR DEFAULT '' NOT NULL, handed_at DOUBLE, activate_by DOUBLE, fingerprint VARCHAR,
        CONSTRAINT moving_factor_not_negative CHECK (moving_factor >= 0),
        UNIQUE (serial),
        FOREIGN KEY(user_id) REFERENCES users (id)
    );
INSERT INTO "tokens" VALUES(1,'H1',1,'hotp',X'EC3CB230A65C594978C03BF46E631D2CC0265949D6371748DE18E953D52D1BBA4CBA728D3ABBA8AFFACFECF5D292D2EE60B8AD5C',6,'sha1',30,'active',0.0,NULL,1.79533923517057681078e+09,3,0,1.79533925750190591808e+09,NULL,0.0,'',NULL,'','','',NULL,'root',1.79533923517057681078e+09,NULL,'de3bc06f37def3db8786cc9d9034674f');
INSERT INTO "tokens" VALUES(2,'T1',2,'totp',X'EC3CB2301EA8F3D1EFE5CBCDAA25CEC98769061DBF8F524B5E767EFA4DAFAB8504AFE74F8D09702593EA3A8D5B86AA9247505ADE',6,'sha1',30,'lost',0.0,NULL,1.79533923748587298388e+09,59844642,0,1.79533926160880112641e+09,NULL,0.0,'',NULL,'','','',NULL,'root',1.79533923748587298388e+09,NULL,'e5056547aa17d2eab503776300e23793');
INSERT INTO "tokens" VALUES(3,'H2',2,'hotp',X'EC3CB230C731FE9A4BA66E61D6F2FFEDAB15FADBE747E958F555CB5E3199E70550D7E2DFD15780FA4654918AD78682220E647F3F',6,'sha1',30,'revoked',0.0,NULL,1.7953392400164632797e+09,0,0,NULL,NULL,0.0,'',NULL,'','','',NULL,'root',1.7953392400164632797e+09,NULL,'3e6db3a0cd3b67a446ab2476dbff975a');
INSERT INTO "tokens" VALUES(4,'H3',NULL,'hotp',X'EC3CB23012B3A93C77B6335690979A182296250CA5D2CA0FC4DC40EAB2662F0C17BF0C3000AB71BDC2B79B412E6FDFBC0FF67843',6,'sha1',30,'stock',0.0,NULL,1.79533924536516904836e+09,0,0,NULL,NULL,0.0,'',NULL,'','','',NULL,'',NULL,NULL,'cab1c96722df89b47c18b4a29cae5672');
INSERT INTO "tokens" VALUES(5,'R-E4KD9N2S',2,'recovery',X'EC3CB2309513CCB4D207B3B9554F6103B794228DA1A2EEC2ABC3D15C6C6B13B496DD7FE5CD1CA63F65B6EA347A6D1DF7AC0530EABA641999A137037EB5AAD18E5430A94A1771A8C03CB6F0D5C161CE40BDF35649079D4C40623A372A7C3CD3896C1A9CE989B6DDB40ABF606A9DB334514B522B624F8D1C59C0681C442621951891ED0079DF9CDD76CDAF3E92D155D9A57183F21207C7E18B8F707C21E0F9BFD53BF2F81A1DC2D7D6FB869672E3F3D8235DB41626A1BEA9B12FB2426033CA85636DE88C0F878061EF74B9BA7D070B0147',12,'sha256',0,'active',1.79533926342571592332e+09,NULL,1.79533926342571592332e+09,0,0,NULL,NULL,0.0,'10 codes',NULL,'','','',NULL,'',NULL,NULL,NULL);
INSERT INTO "tokens" VALUES(6,'G-PDDYJCHM',2,'temporary',X'EC3CB2300DD9C2E77988F32718B55F34ABC3DE900F2FD87A4577B8B7E1CA8673C08AF4F5E1E1A85A0631290BA12CBFCA578269C7B437334A7C59C65C463F2234F2855028982EEFE7ACFB8930A11463EE251EECB64AE6FEE0FC547A98A06169CF',10,'sha256',0,'active',1.79533926790585899356e+09,1.79536806790585899348e+09,1.79533926790585899356e+09,0,0,NULL,NULL,0.0,'3 codes',NULL,'','','',NULL,'',NULL,NULL,NULL);
CREATE TABLE users (
        id INTEGER NOT NULL,
        name VARCHAR NOT NULL,
        source VARCHAR DEFAULT 'local' NOT NULL,
        enabled BOOLEAN DEFAULT '1' NOT NULL,
        groups VARCHAR DEFAULT '' NOT NULL,
        failures INTEGER DEFAULT '0' NOT NULL,
        locked_until DOUBLE DEFAULT '0' NOT NULL,
        password_hash VARCHAR,
        created DOUBLE NOT NULL, directory_id VARCHAR, enrolled BOOLEAN DEFAULT '0' NOT NULL, last_login DOUBLE, bare VARCHAR DEFAULT '' NOT NULL, skip_until DOUBLE DEFAULT '0' NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (name)
    );
INSERT INTO "users" VALUES(1,'alice','local',1,'',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$QAwypx0lfEZRO8fvE1u7ng$L2SI7DEEdUq2zNanWDgBx7WYIh+B2SSvmmS9Nv35xgc',1.79533922675292921065e+09,NULL,1,NULL,'alice',0.0);
INSERT INTO "users" VALUES(2,'bob','local',1,'staff
vpn',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$lcs5XmG88h5WZWEDfmbjNw$H0PcyVfp967scmRD+S9DoJ0QVbljdNpa7wMzVeUONeg',1.7953392290376298428e+09,NULL,1,NULL,'bob',0.0);
INSERT INTO "users" VALUES(3,'carol','local',0,'',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$EpCggiGEIx5itlDgjQktRg$Fh3ZlmDU5W21FbEvmAd+5ytcVKFMSG1cKQjEnZRKLrI',1.7953392310787837505e+09,NULL,1,NULL,'carol',0.0);
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
CREATE INDEX tokens_fingerprint ON tokens (fingerprint);
CREATE INDEX grants_user ON grants (user_id);
CREATE TRIGGER users_enrolled_by_token AFTER UPDATE OF user_id ON tokens WHEN NEW.user_id IS NOT NULL AND NEW.kind NOT IN ('recovery', 'temporary', 'breakglass') BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END;
CREATE TRIGGER users_enrolled_by_new_token AFTER INSERT ON tokens WHEN NEW.user_id IS NOT NULL AND NEW.kind NOT IN ('recovery', 'temporary', 'breakglass') BEGIN UPDATE users SET enrolled = 1 WHERE id = NEW.user_id; END;
CREATE TRIGGER tokens_used_codes_stay_used BEFORE UPDATE OF moving_factor ON tokens WHEN OLD.kind IN ('recovery', 'temporary', 'breakglass') AND NEW.moving_factor & OLD.moving_factor <> OLD.moving_factor BEGIN SELECT RAISE(ABORT, 'a code that was used stays used'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tokens',6);
COMMIT;
