//! The document that describes the routes.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp};

async fn document(app: &TestApp) -> Value {
    Answer::of(app.client.get(format!("http://{}/openapi.json", app.address))).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_document_is_there_for_its_methods_and_no_other() {
    let app = TestApp::on_sqlite().await;
    let document = document(&app).await;
    assert_eq!(document["openapi"], json!("3.1.0"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 15, "{:?}", paths.keys());
    for (path, methods) in paths {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer =
                Answer::of(app.client.request(method.clone(), format!("http://{}{path}", app.address))).await;
            let is_described = methods.get(method.as_str().to_lowercase()).is_some();
            assert_eq!(
                ![404, 405].contains(&answer.status.as_u16()),
                is_described,
                "{method} {path}: {}",
                answer.status
            );
        }
    }
}

#[test]
fn no_route_is_added_beside_the_document() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/routes");
    let sources = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let added: Vec<String> = sources
        .flat_map(|source| source.lines().map(str::trim).map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains(".route(") || line.contains("route_service("))
        .collect();
    assert_eq!(
        added,
        [
            r#".route("/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], document)))"#
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_in_the_document_leads_somewhere() {
    let document = document(&TestApp::on_sqlite().await).await;
    let text = document.to_string();
    let references: Vec<&str> =
        text.split(r##""$ref":"#"##).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 50);
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_for_users_say_so_and_every_status_that_was_seen_is_described() {
    let app = TestApp::on_sqlite().await;
    let document = document(&app).await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer =
                Answer::of(app.client.request(method, format!("http://{}{path}", app.address))).await;
            let status = answer.status.as_u16();
            assert_eq!(status == 401, operation["security"].is_array(), "{path}: {status}");
            assert!(operation["responses"].get(status.to_string()).is_some(), "{path}: {status}");
        }
    }
}
