"""The steps that lead to the present schema, one file each, never changed once released."""
