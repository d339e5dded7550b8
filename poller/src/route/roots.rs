//! The file with further root certificates.

use std::path::Path;

use rustls::{
    RootCertStore,
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
