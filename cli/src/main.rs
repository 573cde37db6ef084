//! The command `incumbent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_feature = "crt-static")]
    resolve_names_without_modules();
    incumbent_cli::main()
}

/// A static program has the two parts of the name service that a server needs. It would load any other part that
/// `/etc/nsswitch.conf` names from the host, together with a C library of another version.
#[cfg(target_feature = "crt-static")]
#[allow(unsafe_code, reason = "only glibc has this setting")]
fn resolve_names_without_modules() {
    use std::ffi::{c_char, c_int};

    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    // SAFETY: both strings end with a NUL and live forever, and there is no other thread yet.
    let status = unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    assert_eq!(status, 0, "no name service of hosts: out of memory");
}
