"""Internal: the settings of the Flask extension: their table, their rules, the translation of Flask-Session's."""
