//! Cuts a document's text into chunks at sentence ends; pure.
