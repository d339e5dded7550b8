//! The file with further root certificates.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::settings::{CaFile, Mistake};

/// The certificates in `file`, at least one, all of them good for a root.
///
/// # Errors
/// What is wrong, at the line of the host's file that names it.
pub(super) fn read(file: &CaFile) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    certificates(&file.path).map_err(|message| Mistake {
        place: file.place.clone(),
        key: "relay.ca_file".to_owned(),
        message,
    })
}

/// Trust in Mozilla's roots and in `more`.
pub(super) fn trust(more: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let roots = beside_mozillas(more)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn beside_mozillas(more: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for root in more {
        roots.add(root.clone())?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{shown} is no PEM file: {error}"))?;
    if roots.is_empty() {
        return Err(format!(
            "no certificate is in {shown}; expected PEM, -----BEGIN CERTIFICATE-----"
        ));
    }
    let mut store = RootCertStore::empty();
    for (root, number) in roots.iter().zip(1..) {
        store.add(root.clone()).map_err(|error| {
            format!("certificate {number} in {shown} cannot be a root: {error}")
        })?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Place;

    fn read_as(text: Option<&str>) -> Result<usize, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let place = Place {
            file: "towline.toml".to_owned(),
            line: 3,
        };
        let roots = read(&CaFile { path, place });
        roots
            .map(|roots| roots.len())
            .map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn all_certificates_of_a_file_count() {
        let one = || {
            let name = vec!["relay.example".to_owned()];
            rcgen::generate_simple_self_signed(name).unwrap().cert.pem()
        };
        assert_eq!(read_as(Some(&format!("# ours\n{}{}", one(), one()))), Ok(2));
    }

    #[test]
    fn mozillas_roots_go_on_to_count_beside_ones_own() {
        let own = rcgen::generate_simple_self_signed(vec!["relay.example".to_owned()]).unwrap();
        let roots = beside_mozillas(&[own.cert.der().clone()]).unwrap();
        assert_eq!(roots.len(), webpki_roots::TLS_SERVER_ROOTS.len() + 1);
    }

    #[test]
    fn a_file_that_is_of_no_use_is_told_with_the_line_that_names_it() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, told) in [
            (None, "cannot read"),
            (Some(""), "no certificate is in"),
            (Some("-----BEGIN CERTIFICATE-----\n"), "is no PEM file"),
            (Some(broken), "certificate 1 in"),
        ] {
            let error = read_as(text).unwrap_err();
            assert!(
                error.starts_with("towline.toml:3: relay.ca_file: "),
                "{error}"
            );
            assert!(error.contains(told), "{error}");
        }
    }
}
