//! Bytes to text with pages and headings, in a worker process with limits.
