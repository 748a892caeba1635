//! The one place where outbound clients are made.
