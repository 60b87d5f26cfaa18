-- For read models whose rows carry the version of what they show. A service attaches it to each of them:
-- CREATE TRIGGER never_older BEFORE UPDATE ON … FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION refuse_older_version();
CREATE FUNCTION refuse_older_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%.% shows version % and may not go back to %', TG_TABLE_SCHEMA, TG_TABLE_NAME, OLD.version, NEW.version
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
