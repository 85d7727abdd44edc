"""The objects as the API gives them: one builder a table, each taking rows and returning dictionaries ready to encode."""
