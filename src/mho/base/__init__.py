"""The ground floor: errors, records, their files, and the provenance of a result."""
