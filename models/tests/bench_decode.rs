//! `gpt bench decode`: it reports what the yardstick reports.

mod binary;

use binary::{refuses, report, succeeds};

#[test]
fn it_reports_what_the_yardstick_reports() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ["engine", "what", "preset", "threads", "tokens_per_s", "prefill_ms", "peak_rss_mb"];
    for dtype in ["f32", "bf16", "int8", "int4"] {
        let args = ["bench", "decode", "nano-cpu", "--prompt", "4", "--new", "6", "--threads", "1", "--json"];
        let speed = report(&succeeds(dir.path(), &[&args[..], &["--dtype", dtype]].concat()), &keys);
        assert_eq!((&speed["what"], &speed["preset"]), (&"decode".into(), &"nano-cpu".into()));
        assert_eq!(speed["threads"], 1);
        for key in &keys[4..] {
            assert!(speed[*key].as_f64().unwrap() > 0.0, "{key}");
        }
    }
    let said = succeeds(dir.path(), &["bench", "decode", "--prompt", "2", "--new", "3"]);
    assert!(said.contains("nano-cpu: ") && said.contains("tokens/s after a prompt of 2 tokens"), "{said}");
    assert!(succeeds(dir.path(), &["bench", "decode", "--help"]).contains("Example"));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (args, says) in [
        (&["--new", "1"][..], "2 new ones"),
        (&["--new", "0"], "at least 1"),
        (&["--prompt", "0"], "at least 1"),
        (&["--prompt", "18446744073709551615"], "GB of memory"),
        (&["--dtype", "f8"], "f8"),
        (&["tiny"], "tiny"),
        (&["--threads", "0"], "at least 1"),
    ] {
        refuses(dir.path(), &[&["bench", "decode"], args].concat(), says);
    }
}
