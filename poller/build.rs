//! How the binary is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A release aborts where it panics and has no symbols: nobody looks anything up in the index of its frames, 100 KB.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
