"""Mining: labels for drives that nobody labelled."""
