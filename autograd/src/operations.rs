//! The table of operations: what each takes, the state of its derivatives, and how it compares with PyTorch.
#![doc = include_str!("../OPERATIONS.md")]
