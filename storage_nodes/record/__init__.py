"""The series record: `writer` packs it, `reader` reads it, `verify` checks it; FORMAT.md has the bytes."""
