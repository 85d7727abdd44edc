"""The manual: one Markdown file a page and language, in the order of ``contents.txt``, served by the product itself."""
