//! `gpt bench kernels`: each kernel beside the limit of the machine.

mod binary;

use binary::{refuses, report, succeeds};

const QUICK: [&str; 6] = ["--threads", "1", "--seconds", "0", "--megabytes", "1"];
const LIMITS: [&str; 5] = ["fma_gflops", "read_gb_s", "copy_gb_s", "triad_gb_s", "update_gb_s"];

/// What the command reports of the kernels that `filter` names.
fn measured(filter: &str) -> serde_json::Value {
    let dir = tempfile::tempdir().unwrap();
    let json = succeeds(dir.path(), &[&["bench", "kernels", "--json", "--filter", filter], &QUICK[..]].concat());
    report(&json, &[&["engine", "what", "threads"], &LIMITS[..], &["kernels"]].concat())
}

#[test]
fn it_reports_limits_and_shares() {
    let speed = measured("forward norm");
    assert_eq!((&speed["what"], &speed["threads"]), (&"kernels".into(), &1.into()));
    for limit in LIMITS {
        assert!(speed[limit].as_f64().unwrap() > 0.0, "{limit}");
    }
    let kernels = speed["kernels"].as_array().unwrap();
    assert_eq!(kernels.len(), 2, "{speed}");
    for kernel in kernels {
        assert_eq!(kernel["limit"], "copy");
        let (rate, limit) = (kernel["gb_s"].as_f64().unwrap(), kernel["limit_rate"].as_f64().unwrap());
        assert!(limit <= speed["copy_gb_s"].as_f64().unwrap() * (1.0 + 1e-9), "{speed}");
        assert!((kernel["share"].as_f64().unwrap() - rate / limit).abs() < 1e-9, "{kernel}");
        // A whole number of rows in 1 MiB, read once and written once.
        let bytes = rate * 1e9 * kernel["ms"].as_f64().unwrap() / 1e3;
        assert!((bytes - 2.0 * 4.0 * 768.0 * 341.0).abs() < 1.0, "{bytes}");
    }
}

#[test]
fn a_product_tells_its_shape() {
    let speed = measured("matmul nano-cpu proj");
    let forms: Vec<&str> = speed["kernels"].as_array().unwrap().iter().map(|k| k["form"].as_str().unwrap()).collect();
    assert_eq!(forms, ["nt", "nn", "tn"]);
    let weight = &speed["kernels"][2];
    assert_eq!((&weight["m"], &weight["k"], &weight["n"]), (&128.into(), &768.into(), &128.into()));
    assert_eq!(weight["limit"], "fma");
    let flops = weight["gflops"].as_f64().unwrap() * weight["ms"].as_f64().unwrap() * 1e6;
    assert!((flops - 2.0 * 128.0 * 768.0 * 128.0).abs() < 1.0, "{flops}");
}

#[test]
fn it_prints_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let said = succeeds(dir.path(), &[&["bench", "kernels", "--filter", "add"], &QUICK[..]].concat());
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("limits with 1 threads: fma "), "{said}");
    assert!(lines[1].starts_with("kernel ") && lines[1].ends_with(" share"), "{said}");
    assert!(lines[2].starts_with("add ") && lines[2].contains("triad") && lines[2].ends_with('%'), "{said}");
    assert_eq!((lines.len(), lines[1].len()), (3, lines[2].len()), "{said}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (args, says) in [
        (&["--filter", "sideways"][..], "no kernel has all words of \"sideways\""),
        (&["--seconds", "-1"], "-1"),
        (&["--seconds", "1e300"], "--seconds"),
        (&["--threads", "0"], "at least 1"),
        (&["--megabytes", "0"], "at least 1"),
        (&["--megabytes", "18446744073709551615"], "--megabytes"),
    ] {
        refuses(dir.path(), &[&["bench", "kernels"], args].concat(), says);
    }
}
