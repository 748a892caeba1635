//! Small messages of every kind, and any bytes at all.

use proptest::prelude::*;

use super::*;

const MAIL: &str = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\nTo: Ada <ada@example.com>, b@example.com\r\n\
    Date: Thu, 01 Jan 1970 00:01:00 +0000\r\nSubject: The lease\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n--B\r\nContent-Type: application/pdf; name=\"../lease.pdf\"\r\n\
    Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\nJVBERi0=\r\n--B\r\n\
    Content-Type: message/rfc822\r\n\r\nSubject: Inner\r\nFrom: c@example.com\r\n\r\nWords inside.\r\n--B--\r\n";

#[test]
fn a_message_says_who_and_what_and_gives_its_attachments() {
    let mut desk = Desk::alone("eml");
    let extraction = read(MAIL.as_bytes(), &mut desk).unwrap();
    let expected = "Subject: The lease\nFrom: Jürgen <j@example.com>\nTo: Ada <ada@example.com>, b@example.com\n\
        Date: Thu, 1 Jan 1970 00:01:00 +0000\n\nGrüße";
    assert_eq!(extraction.text, expected);
    assert_eq!((extraction.title.as_deref(), extraction.written_at), (Some("The lease"), Some(60)));
    assert_eq!(extraction.author.as_deref(), Some("Jürgen <j@example.com>"));
    let members: Vec<(&str, bool)> = desk
        .members()
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_ref().is_ok_and(|bytes| !bytes.is_empty())))
        .collect();
    assert_eq!(members, [("lease.pdf", true), ("Inner.eml", true)]);
    assert_eq!(desk.members()[0].1.as_deref().unwrap(), b"%PDF-");
    assert!(String::from_utf8_lossy(desk.members()[1].1.as_deref().unwrap()).contains("Words inside."));
}

#[test]
fn a_body_that_is_a_page_is_read_as_one_and_an_encrypted_one_is_not() {
    let page = "Subject: x\r\nContent-Type: text/html\r\n\r\n<p>One<br>Two &amp; three</p><script>no</script>";
    assert!(read(page.as_bytes(), &mut Desk::alone("eml")).unwrap().text.ends_with("One\nTwo & three"));
    let secret = "Subject: x\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nxxxx";
    assert_eq!(read(secret.as_bytes(), &mut Desk::alone("eml")).unwrap_err().reason, Reason::Password);
}

#[test]
fn a_signature_is_no_attachment_and_a_message_inside_one_is_told_of() {
    let signed = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=B; protocol=\"application/pkcs7-signature\"\r\n\r\n\
        --B\r\nContent-Type: text/plain\r\n\r\nIn clear.\r\n--B\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
        Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\nMAEC\r\n--B--\r\n";
    let mut desk = Desk::alone("eml");
    assert!(read(signed.as_bytes(), &mut desk).unwrap().text.ends_with("In clear."));
    assert!(desk.members().is_empty());
    let opaque = "Subject: x\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nMAEC\r\n";
    assert_eq!(read(opaque.as_bytes(), &mut desk).unwrap().text, "Subject: x");
    assert_eq!(desk.members()[0].1.as_ref().unwrap_err().reason, Reason::Unsupported);
}

#[test]
fn an_invitation_can_be_read_and_small_pictures_are_counted() {
    let mail = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n\
        --B\r\nContent-Type: text/plain\r\n\r\nCome.\r\n\
        --B\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nSUMMARY:The viewing\r\n\
        --B\r\nContent-Type: image/png\r\nContent-ID: <a>\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0=\r\n--B--\r\n";
    let mut desk = Desk::alone("eml");
    let extraction = read(mail.as_bytes(), &mut desk).unwrap();
    let inside = desk.members().iter().filter_map(|(_, bytes)| bytes.as_deref().ok()).map(String::from_utf8_lossy);
    let all: String = inside.chain([extraction.text.as_str().into()]).collect();
    assert!(all.contains("The viewing") && all.contains("Come."), "{all}");
    assert_eq!(extraction.note.as_deref(), Some("1 small pictures in its text are left out"));
}

#[test]
fn a_mailbox_gives_its_messages_as_they_were_sent() {
    let mailbox = "From ada Thu Jan 1 00:00:00 1970\nSubject: One\n\nFirst.\n>From here on.\n\nFrom bob Fri Jan 2 00:00:00 1970\n\
        Subject: Two/2\n\nSecond.\nFrom the middle of a paragraph.\n";
    let mut desk = Desk::alone("mbox");
    let extraction = mbox::read(mailbox.as_bytes(), &mut desk).unwrap();
    assert_eq!(extraction.text, "2 messages\nOne\nTwo/2");
    let texts: Vec<(&str, String)> = desk
        .members()
        .iter()
        .map(|(name, bytes)| (name.as_str(), String::from_utf8(bytes.clone().unwrap()).unwrap()))
        .collect();
    assert_eq!(texts[0], ("00001 One.eml", "Subject: One\n\nFirst.\nFrom here on.\n\n".to_owned()));
    assert_eq!(texts[1].0, "00002 Two 2.eml");
    assert!(texts[1].1.ends_with("From the middle of a paragraph.\n"));
}

#[test]
fn a_saved_page_is_its_text() {
    let saved = "From: <Saved by Blink>\r\nSubject: Terms\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=B\r\n\r\n\
        --B\r\nContent-Type: text/html\r\nContent-Location: https://example.com/\r\n\r\n<title>Terms</title><h1>Terms</h1><p>None.</p>\r\n\
        --B\r\nContent-Type: text/css\r\n\r\nb { color: red }\r\n--B--\r\n";
    let extraction = mhtml::read(saved.as_bytes(), &mut Desk::alone("mhtml")).unwrap();
    assert_eq!(extraction.text, "Terms\n\nNone.");
    assert_eq!(extraction.headings.len(), 1);
}

proptest! {
    #[test]
    fn any_bytes_give_a_text_or_a_reason(cut in 0..MAIL.len(), noise in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = MAIL.as_bytes()[..cut].to_vec();
        bytes.extend(noise);
        for reader in [read, mbox::read, mhtml::read, msg::read] {
            let _ = reader(&bytes, &mut Desk::alone("eml"));
        }
    }
}
