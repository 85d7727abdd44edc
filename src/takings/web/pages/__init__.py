"""The pages, one module each: a frozen dataclass, the handlers that fill it, and a template of the same name."""
