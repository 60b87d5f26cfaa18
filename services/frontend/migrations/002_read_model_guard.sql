-- What pages show of others never goes back in version.
CREATE TRIGGER never_older BEFORE UPDATE ON products
  FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION refuse_older_version();
CREATE TRIGGER never_older BEFORE UPDATE ON availabilities
  FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION refuse_older_version();
CREATE TRIGGER never_older BEFORE UPDATE ON consents
  FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION refuse_older_version();
