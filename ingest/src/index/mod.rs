//! Where everything is kept: the catalog (the truth) and the two indexes derived from it.

pub mod lexical;
pub mod records;
pub mod vector;
