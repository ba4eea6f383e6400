"""The settings of the Flask extension: their table, their rules, and what is translated from Flask-Session."""
