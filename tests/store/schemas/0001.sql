-- Schema 0001, as the program of that schema wrote it: people, fobs and logins that were made up for this file.
-- Its vault key: radiusd2fa-vault-1:GcP2o/ddnQ8k+dUYdpkopmxnv2KfeXQL6+89i6s9+sg=
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE callers (
	nas VARCHAR NOT NULL, 
	caller VARCHAR NOT NULL, 
	failures INTEGER NOT NULL, 
	window_ends DOUBLE NOT NULL, 
	blocked_until DOUBLE NOT NULL, 
	PRIMARY KEY (nas, caller)
)
 WITHOUT ROWID

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
	tries INTEGER NOT NULL, 
	PRIMARY KEY (handle)
)
 WITHOUT ROWID

;
INSERT INTO "challenges" VALUES('ce9e3fe57fc509d60e12975388dcd066','lab','alice',1,'code',1,'fa16a2dd9ebdcdaf',1.79533928800319051745e+09,2);
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
INSERT INTO "events" VALUES(1,1.79533915316475248336e+09,'user.added','','','alice','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(2,1.79533915468353700642e+09,'user.added','','','bob','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(3,1.79533915584467196465e+09,'user.added','','','carol','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(4,1.79533915688055634501e+09,'user.disabled','','','carol','','','','done','',0.0,'root');
INSERT INTO "events" VALUES(5,1.79533915808162569996e+09,'token.added','','','alice','','hotp','H1','done','',0.0,'root');
INSERT INTO "events" VALUES(6,1.7953391593012208939e+09,'token.added','','','bob','','totp','T1','done','',0.0,'root');
INSERT INTO "events" VALUES(7,1.79533916069394969944e+09,'token.added','','','bob','','hotp','H2','done','',0.0,'root');
INSERT INTO "events" VALUES(8,1.79533916193324923514e+09,'token.revoked','','','','','','H2','done','',0.0,'root');
INSERT INTO "events" VALUES(9,1.79533916323170495031e+09,'token.added','','','carol','','hotp','H3','done','',0.0,'root');
INSERT INTO "events" VALUES(10,1.79533916425908780098e+09,'token.unassigned','','','','','','H3','done','',0.0,'root');
INSERT INTO "events" VALUES(11,1.79533916608872866631e+09,'access.challenged','72026618d3fa6c01','lab','alice','','','','challenged','code_wanted',8.23778600170044228434e-03,'');
INSERT INTO "events" VALUES(12,1795339166.09641,'access.accepted','72026618d3fa6c01','lab','alice','','hotp','H1','accepted','ok',5.73200006328988820314e-04,'');
INSERT INTO "events" VALUES(13,1.79533916670228099821e+09,'access.challenged','fdbdd044174520ce','lab','alice','','','','challenged','code_wanted',7.36886002414394170045e-04,'');
INSERT INTO "events" VALUES(14,1.79533916670732879641e+09,'access.accepted','fdbdd044174520ce','lab','alice','','hotp','H1','accepted','ok',8.73049997608177363872e-04,'');
INSERT INTO "events" VALUES(15,1.79533916734359240527e+09,'access.challenged','139ef2ce1b0a0623','lab','alice','','','','challenged','code_wanted',8.29343996883835643529e-04,'');
INSERT INTO "events" VALUES(16,1.79533916734669518472e+09,'access.accepted','139ef2ce1b0a0623','lab','alice','','hotp','H1','accepted','ok',3.22754000080749392509e-04,'');
INSERT INTO "events" VALUES(17,1.79533916799432086944e+09,'access.challenged','fa16a2dd9ebdcdaf','lab','alice','','','','challenged','code_wanted',4.12487699941266328096e-03,'');
INSERT INTO "events" VALUES(18,1.79533916800319051738e+09,'access.challenged','fa16a2dd9ebdcdaf','lab','alice','','hotp','H1','challenged','replayed',4.69521700142649933695e-03,'');
INSERT INTO "events" VALUES(19,1.79533916873030018803e+09,'access.challenged','938eacc1b6366848','lab','bob','','','','challenged','code_wanted',7.0565799978794530034e-04,'');
INSERT INTO "events" VALUES(20,1.79533916874140882496e+09,'access.accepted','938eacc1b6366848','lab','bob','','totp','T1','accepted','ok',4.11207001889124512672e-04,'');
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
)
 WITHOUT ROWID

;
INSERT INTO "meta" VALUES('vault_key_id','f252c1ad');
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
);
INSERT INTO "tokens" VALUES(1,'H1',1,'hotp',X'F252C1ADFFC8875F4E27B6562582258DE9E0422885EE2326BB5BDD2FB2D33B1F0E7BE13A980F28A6741B576890AAA1CA536549D0',6,'sha1',30,'active',0.0,NULL,1.79533915808162569996e+09,3,0,1.79533916734669518472e+09,NULL,0.0);
INSERT INTO "tokens" VALUES(2,'T1',2,'totp',X'F252C1AD97231F056EE812EDBF27D4C4D181B4C9071A4356DC2ABDA2CAAEADAED7E22FC66E1AAD87B1650174D782DD8672788D93',6,'sha1',30,'active',0.0,NULL,1.7953391593012208939e+09,59844638,0,1.79533916874140882496e+09,NULL,0.0);
INSERT INTO "tokens" VALUES(3,'H2',2,'hotp',X'F252C1AD4C3EEF2B4416F90B4B711BD5E9F1274770D7529A299A85227A80B88D7E57D959B3E9835BC49B2910F2432493E0123660',6,'sha1',30,'revoked',0.0,NULL,1.79533916069394969944e+09,0,0,NULL,NULL,0.0);
INSERT INTO "tokens" VALUES(4,'H3',NULL,'hotp',X'F252C1ADAE0D91BF3E85CDD49A966F072BBAF0B57985B06A9B4C378BBAE72E75734CBC3A9A02580C68AF3101A11A1A1624AF9C5D',6,'sha1',30,'stock',0.0,NULL,1.79533916323170495031e+09,0,0,NULL,NULL,0.0);
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
INSERT INTO "users" VALUES(1,'alice','local',1,'',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$3MriOsXUs/1mKADQebU/kQ$QAPeYzWb94H0wHlvQVn4FQbQlGHRdLQ6jxY+K6uDW5M',1.79533915316475248336e+09);
INSERT INTO "users" VALUES(2,'bob','local',1,'staff,vpn',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$8uF3UW13TMkqjN79f7TwUQ$8VUTJwy+OmPx58YUcdBlo7zroqv3es8fHAz4By2ZTjM',1.79533915468353700642e+09);
INSERT INTO "users" VALUES(3,'carol','local',0,'',0,0.0,'$argon2id$v=19$m=64,t=1,p=1$x9YLleOEtRVYI9KyUBvKfA$GIOxE9fYNQTPwAyOyWt216Hffv3lD8UiHBRdlSX32Bo',1.79533915584467196465e+09);
CREATE INDEX challenges_expires ON challenges (expires);
CREATE INDEX ix_tokens_user_id ON tokens (user_id);
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER tokens_only_grow BEFORE UPDATE OF moving_factor ON tokens WHEN NEW.moving_factor < OLD.moving_factor BEGIN SELECT RAISE(ABORT, 'a moving factor only grows'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tokens',4);
COMMIT;
