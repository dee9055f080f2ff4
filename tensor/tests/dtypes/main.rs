//! The dtypes: conversions bit by bit, the table of promotion, and every operation on the small ones.

mod conversions;
mod operations;
mod promotion;
