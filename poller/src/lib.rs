//! Towline on the host.
