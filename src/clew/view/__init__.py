"""Pictures of one run: text for a terminal, SVG, HTML, PNG, and how its quantities are written."""
