"""One format a file, both ways where it makes sense."""
