//! The text that `gpt train` learns from when no file is named.

/// This workspace's own Rust sources and documents, those of this crate first and tests last, gathered by `build.rs`: plain
/// ASCII, at most 1 MB.
///
/// ```
/// assert!(models::corpus::TEXT.contains("pub struct Gpt"));
/// assert!(models::corpus::TEXT.is_ascii() && models::corpus::TEXT.len() <= 1_000_000);
/// ```
pub const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/corpus.txt"));

#[cfg(test)]
mod tests {
    use super::TEXT;

    #[test]
    fn the_corpus_is_sorted_plain_and_long_enough() {
        assert!(TEXT.len() > 10_000, "{} bytes", TEXT.len());
        assert!(TEXT.bytes().all(|b| b == b'\n' || b == b'\t' || (b' '..=b'~').contains(&b)));
        // The first file has no line before it.
        let text = format!("\n{TEXT}");
        let at = |file: &str| text.find(&format!("\n// {file}\n")).unwrap_or_else(|| panic!("{file} is missing"));
        assert!(at("models/build.rs") < at("models/src/corpus.rs"));
        assert!(at("models/src/corpus.rs") < at("models/src/error.rs"));
        assert!(at("models/src/train/mod.rs") < at("CHANGELOG.md"), "all else comes after this crate");
    }
}
