"""The product in the browser: pages drawn on the server, forms and live rows by htmx, charts by small islands."""
