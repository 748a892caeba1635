//! Office documents that a password closes (docx, xlsx, pptx and doc, xls, ppt): opened with those that are known, by
//! `msoffice-crypto`, to be read like any other.

use msoffice_crypto::{Error, classify, decrypt_binary_office, decrypt_ooxml};

use crate::extract::Unreadable;
use crate::extract::detect::{Format, OLE};
use crate::model::Reason;

/// What Excel closes a workbook with by itself, when somebody protects its structure and no password was asked for to open it.
const EXCELS_OWN: &str = "VelvetSweatshop";

/// Whether a file can only be read with a password.
pub(in crate::extract) fn is_closed(bytes: &[u8]) -> bool {
    bytes.starts_with(OLE) && classify(bytes).is_encrypted()
}

/// The document inside, by the first password that fits.
///
/// # Errors
/// If none fits, or what closes the file is not known or broken.
pub(in crate::extract) fn open(bytes: &[u8], format: &Format, passwords: &[String]) -> Result<Vec<u8>, Unreadable> {
    let open = if matches!(format, Format::EncryptedOffice) { decrypt_ooxml } else { decrypt_binary_office };
    for password in passwords.iter().map(String::as_str).chain([EXCELS_OWN]) {
        match open(bytes, password) {
            Ok(document) => return Ok(document),
            Err(Error::WrongPassword) => {}
            Err(
                Error::UnsupportedEncryptionVersion(..)
                | Error::UnsupportedEncryptedContent(_)
                | Error::UnsupportedAlgorithm { .. },
            ) => return Err(Unreadable::new(Reason::Unsupported, "it is encrypted in a way that is not read")),
            // Its words may hold names from the file.
            Err(_) => return Err(Unreadable::new(Reason::Damaged, "it is encrypted, and damaged")),
        }
    }
    Err(Unreadable::new(Reason::Password, "it needs a password"))
}

#[cfg(test)]
mod tests {
    use msoffice_crypto::{encrypt_ooxml, encrypt_ooxml_standard};
    use proptest::prelude::*;

    use super::*;
    use crate::extract::parts::package;

    fn plain() -> Vec<u8> {
        let types = b"<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";
        package(&[("[Content_Types].xml", types), ("word/document.xml", b"<d/>")])
    }

    #[test]
    fn a_known_password_opens_a_package() {
        let plain = plain();
        let known = ["other".to_owned(), "key".to_owned()];
        for closed in [encrypt_ooxml(&plain, "key").unwrap(), encrypt_ooxml_standard(&plain, "key").unwrap()] {
            assert!(is_closed(&closed) && !is_closed(&plain));
            assert_eq!(open(&closed, &Format::EncryptedOffice, &known).unwrap(), plain);
            let reason = |known: &[String]| open(&closed, &Format::EncryptedOffice, known).unwrap_err().reason;
            assert_eq!((reason(&known[..1]), reason(&[])), (Reason::Password, Reason::Password));
        }
        let ours = encrypt_ooxml(&plain, EXCELS_OWN).unwrap();
        assert_eq!(open(&ours, &Format::EncryptedOffice, &[]).unwrap(), plain);
    }

    #[test]
    fn broken_packages_give_a_reason() {
        let closed = encrypt_ooxml(&plain(), "key").unwrap();
        proptest!(ProptestConfig::with_cases(16), |(place in 0..closed.len(), byte: u8, cut in 600..closed.len())| {
            let mut bytes = closed.clone();
            bytes[place] = byte;
            bytes.truncate(cut);
            let _ = is_closed(&bytes);
            let _ = open(&bytes, &Format::EncryptedOffice, &["key".to_owned()]);
            let _ = open(&bytes, &Format::Word97, &["key".to_owned()]);
        });
    }
}
