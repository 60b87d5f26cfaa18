-- What orders knows of products never goes back in version.
CREATE TRIGGER never_older BEFORE UPDATE ON catalogue_products
  FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION refuse_older_version();
