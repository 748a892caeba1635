//! `/openapi.json` and its viewer under `/docs`, all of it from the binary: no page here may load anything from another host.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::openapi;
use super::problem::Problem;
use super::tools;

/// The viewer sets styles on its elements and draws its icons from data URLs; all else comes from us or not at all.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn router() -> Router {
    // By default the viewer has another host validate the file.
    let config = Config::new(["/docs/openapi.json"]).validator_url("none");
    let viewer: Router = SwaggerUi::new("/docs").config(config).into();
    // The viewer's own copy is below it, where no key is needed.
    let viewer = viewer.route("/docs/openapi.json", get(file));
    viewer.route("/openapi.json", get(file)).route("/tools.json", get(tools::reading)).layer(map_response(with_policy))
}

async fn file() -> Result<Response, Problem> {
    let text = openapi::text().map_err(|_| Problem::internal("the OpenAPI document could not be written"))?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

async fn with_policy(mut response: Response) -> Response {
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn page(path: &str) -> (String, String) {
        let response = router().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], POLICY);
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_viewers_page_names_only_files_that_we_serve() {
        let (_, html) = page("/docs/").await;
        let mut files = 0;
        for attribute in ["src=\"", "href=\""] {
            for rest in html.split(attribute).skip(1) {
                let target = rest.split('"').next().unwrap();
                assert!(!target.contains("//"), "{target}");
                let path = format!("/docs/{}", target.trim_start_matches("./"));
                let response = router().oneshot(Request::get(&path).body(Body::empty()).unwrap()).await.unwrap();
                assert_eq!(response.status(), 200, "{path}");
                files += 1;
            }
        }
        assert!(files >= 5, "{html}");
        assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
    }

    #[tokio::test]
    async fn the_viewer_asks_nobody_to_validate_and_shows_our_file() {
        let (_, script) = page("/docs/swagger-initializer.js").await;
        assert!(script.contains("\"validatorUrl\": \"none\""), "{script}");
        assert!(script.contains("\"url\": \"/docs/openapi.json\""), "{script}");
        assert!(!script.contains("http"), "{script}");
        let (kind, file) = page("/openapi.json").await;
        assert_eq!(kind, "application/json");
        assert_eq!(file, openapi::text().unwrap());
    }
}
