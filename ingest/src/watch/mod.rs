//! Watched folders: what is in them now, and hints that something changed.
