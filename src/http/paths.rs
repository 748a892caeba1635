//! Documents' paths in URLs: percent-decoded once, then held to rules that no file system and no later stage has to repeat.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Context;
use super::access::seen_name;
use super::problem::Problem;

/// Longest name of one part of a path, in bytes: what common file systems allow.
const LONGEST_PART: usize = 255;
/// Longest path, in bytes.
const LONGEST_PATH: usize = 4096;

/// What stays as it is in a URL's path or in an extended header parameter.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The collection and document that a URL names. The path is safe to look up; to write it, [`DocumentAt::check_new`] too.
pub(super) struct DocumentAt {
    pub collection: String,
    pub path: String,
}

impl FromRequestParts<Arc<Context>> for DocumentAt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Problem> {
        let at = decoded(parts, context).await?;
        let collection = seen_name(parts, context, at.collection).await?;
        Ok(Self { collection, path: at.path })
    }
}

/// What the URL names, whoever asks.
async fn decoded<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<DocumentAt, Problem> {
    let decoded = Path::<(String, String)>::from_request_parts(parts, state).await;
    let Ok(Path((collection, path))) = decoded else {
        return Err(Problem::bad_path("is not valid UTF-8"));
    };
    check_parts(&path)?;
    Ok(DocumentAt { collection, path })
}

impl DocumentAt {
    /// The stricter rules for paths that come over REST. Files in watched folders may have odder names, and stay readable.
    pub fn check_new(&self) -> Result<(), Problem> {
        check_new(&self.path)
    }

    /// The URL path of the document.
    pub fn url(&self) -> String {
        let parts: Vec<String> = self.path.split('/').map(encoded).collect();
        format!("/api/v1/collections/{}/documents/{}", encoded(&self.collection), parts.join("/"))
    }
}

/// Percent-encoded for one part of a URL's path, or for the value of an extended header parameter (RFC 8187).
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn check_parts(path: &str) -> Result<(), Problem> {
    for part in path.split('/') {
        match part {
            "" => {
                return Err(Problem::bad_path("has an empty part, or begins or ends with `/`"));
            }
            "." | ".." => return Err(Problem::bad_path("has a part `.` or `..`")),
            part if part.contains('\0') => return Err(Problem::bad_path("has a zero byte")),
            _ => {}
        }
    }
    Ok(())
}

fn check_new(path: &str) -> Result<(), Problem> {
    check_parts(path)?;
    if path.len() > LONGEST_PATH {
        return Err(Problem::bad_path("is longer than 4096 bytes"));
    }
    if path.split('/').any(|part| part.len() > LONGEST_PART) {
        return Err(Problem::bad_path("has a part longer than 255 bytes"));
    }
    if path.contains('\\') {
        return Err(Problem::bad_path("has a backslash"));
    }
    if path.contains(char::is_control) {
        return Err(Problem::bad_path("has a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::routing::put;
    use proptest::prelude::*;
    use tower::ServiceExt;

    use super::*;

    async fn seen(url_path: &str) -> Result<String, u16> {
        async fn tell(request: Request<Body>) -> Result<String, Problem> {
            let at = decoded(&mut request.into_parts().0, &()).await?;
            at.check_new()?;
            Ok(at.path)
        }
        let app = Router::new().route("/c/{collection}/documents/{*path}", put(tell));
        let uri = format!("/c/acme/documents/{url_path}");
        let response = app.oneshot(Request::put(uri).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        if status == 200 { Ok(String::from_utf8(body.to_vec()).unwrap()) } else { Err(status) }
    }

    #[tokio::test]
    async fn paths_are_decoded_once() {
        let cases = [
            ("a.pdf", "a.pdf"),
            ("a/b%20c.pdf", "a/b c.pdf"),
            ("a%2Fb.pdf", "a/b.pdf"),
            ("%C3%BCber/%E5%A5%91%E7%B4%84.pdf", "über/契約.pdf"),
            ("a%2520b.pdf", "a%20b.pdf"),
            ("100%25.txt", "100%.txt"),
            ("a+b.txt", "a+b.txt"),
            ("what%3F%23.txt", "what?#.txt"),
            ("..a/.b/c..", "..a/.b/c.."),
            ("%252e%252e%252fpasswd", "%2e%2e%2fpasswd"),
        ];
        for (url, path) in cases {
            assert_eq!(seen(url).await.as_deref(), Ok(path), "{url}");
        }
    }

    #[tokio::test]
    async fn paths_that_could_lead_elsewhere_are_refused() {
        let long_part = "x".repeat(256);
        let long_path = vec!["x".repeat(200); 21].join("/");
        let cases = [
            "../a.pdf",
            "..%2fa.pdf",
            "%2e%2e/a.pdf",
            "%2e%2e%2fetc%2fpasswd",
            "a/../../b",
            "a/./b",
            "a//b",
            "a/",
            "/etc/passwd",
            "%2Fetc/passwd",
            "..%5c..%5ca",
            "a%5cb.pdf",
            "a%00b.pdf",
            "a%0Ab.pdf",
            "a%7Fb.pdf",
            "a%C2%85b.pdf",
            "%FF%FE.pdf",
            &long_part,
            &long_path,
        ];
        for url in cases {
            assert_eq!(seen(url).await, Err(400), "{url}");
        }
    }

    proptest! {
        #[test]
        fn an_allowed_path_has_no_way_up_and_its_url_leads_back(path in "[a-z./ %ü\\\\\n]{1,30}") {
            if check_new(&path).is_ok() {
                prop_assert!(path.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
                let url = DocumentAt { collection: "acme".to_owned(), path: path.clone() }.url();
                let decoded = percent_encoding::percent_decode_str(&url).decode_utf8().unwrap().into_owned();
                prop_assert_eq!(decoded, format!("/api/v1/collections/acme/documents/{path}"));
            }
        }
    }
}
