//! The server as a server.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use heyho_server::{app::Server, backup::backup, config::Config};
use reqwest::{Client, Method};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use crate::helpers::{Answer, TestApp, on_every_database, visit, with};

on_every_database! {
    health_and_readiness_are_told_apart,
    unknown_addresses_and_methods_are_answered_in_json,
    any_origin_may_ask_and_read_retry_after,
    metrics_count_records_and_name_nobody,
    a_stopping_server_finishes_what_is_in_flight,
}

async fn health_and_readiness_are_told_apart(app: TestApp) {
    let health = Answer::of(app.request(Method::GET, "/health")).await;
    assert_eq!((health.status.as_u16(), health.body["status"].as_str()), (200, Some("ok")));
    let ready = Answer::of(app.request(Method::GET, "/health/ready")).await;
    assert_eq!((ready.status.as_u16(), ready.body["status"].as_str()), (200, Some("ready")));
}

async fn unknown_addresses_and_methods_are_answered_in_json(app: TestApp) {
    let unknown = Answer::of(app.request(Method::GET, "/no/such/route")).await;
    assert_eq!((unknown.status.as_u16(), unknown.body["error"].as_str()), (404, Some("not_found")));
    let method = Answer::of(app.request(Method::DELETE, "/data/sync")).await;
    assert_eq!((method.status.as_u16(), method.body["error"].as_str()), (405, Some("method_not_allowed")));
    assert!(!method.headers["x-request-id"].is_empty());
}

async fn any_origin_may_ask_and_read_retry_after(app: TestApp) {
    let preflight = Client::new()
        .request(Method::OPTIONS, format!("http://{}/api/v1/data/sync", app.address))
        .header("origin", "chrome-extension://abc")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,content-encoding,idempotency-key",
        );
    let answer = Answer::of(preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let health = app.request(Method::GET, "/health").header("origin", "chrome-extension://abc");
    let exposed =
        Answer::of(health).await.headers["access-control-expose-headers"].to_str().unwrap().to_lowercase();
    for header in ["retry-after", "ratelimit-reset"] {
        assert!(exposed.contains(header), "{exposed}");
    }
}

async fn metrics_count_records_and_name_nobody(app: TestApp) {
    let user = app.user("anna@example.com").await;
    user.sync(&[visit("1"), visit("2")], &[]).await;
    user.sync(&[visit("1"), with(visit("2"), json!({ "revision": 2 }))], &[]).await;
    user.sync(&[with(visit("3"), json!({ "url": "none" }))], &[]).await;
    let response = app.client.get(format!("http://{}/metrics", app.address)).send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = response.text().await.unwrap();
    for line in [
        "heyho_sync_records_total{outcome=\"created\"} 2",
        "heyho_sync_records_total{outcome=\"updated\"} 1",
        "heyho_sync_records_total{outcome=\"ignored\"} 1",
        "heyho_sync_records_total{outcome=\"refused\"} 1",
        "heyho_sync_batches_total{outcome=\"saved\"} 2",
        "heyho_http_requests_total{method=\"POST\",route=\"/api/v1/data/sync\",status=\"200\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    assert!(!text.contains("anna") && !text.contains("docs.example"));
}

/// A server that can be told to stop, and its run.
async fn stoppable(
    app: &TestApp,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let config =
        Config::parse_from(["heyho-server", "--listen", "127.0.0.1:0", "--database", &app.database_url]);
    let server = Server::bind(&config).await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let run = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    (address, stop, run)
}

async fn a_stopping_server_finishes_what_is_in_flight(app: TestApp) {
    let user = app.user("a@example.com").await;
    let (address, stop, run) = stoppable(&app).await;
    let idle = TcpStream::connect(address).await.unwrap();
    let body = json!({ "pageVisits": [visit("1")] }).to_string();
    let head = format!(
        "POST /api/v1/data/sync HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        user.token,
        body.len()
    );
    let mut in_flight = TcpStream::connect(address).await.unwrap();
    in_flight.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: it is in the middle of the request now.
    let mut buffer = vec![0; 1_024];
    let read = in_flight.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 100"));

    stop.send(()).unwrap();
    in_flight.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_flight.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    tokio::time::timeout(Duration::from_secs(10), run).await.unwrap().unwrap().unwrap();
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(app.stored().await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_can_be_guessed_is_refused() {
    let app = TestApp::on_sqlite().await;
    for (characters, is_taken) in [(0, false), (31, false), (32, true)] {
        let secret = "x".repeat(characters);
        let flags = [
            "heyho-server",
            "--listen",
            "127.0.0.1:0",
            "--database",
            &app.database_url,
            "--jwt-secret",
            &secret,
        ];
        assert_eq!(Server::bind(&Config::parse_from(flags)).await.is_ok(), is_taken, "{characters}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn only_the_servers_user_may_read_the_database_and_its_backup() {
    use std::os::unix::fs::PermissionsExt;

    let app = TestApp::on_sqlite().await;
    let database = app.database_url.strip_prefix("sqlite://").unwrap();
    let file = app.file("backup.db");
    backup(&app.database_url, &file).await.unwrap();
    for name in [database, &format!("{database}-wal"), &format!("{database}-shm"), file.to_str().unwrap()] {
        let mode = std::fs::metadata(name).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_while_batches_arrive_is_whole() {
    let app = TestApp::on_sqlite().await;
    let user = app.user("a@example.com").await;
    user.sync(&[visit("before")], &[]).await;
    let file = app.file("backup.db");
    let batches = async {
        for number in 0..20 {
            let pair = [visit(&format!("{number}a")), visit(&format!("{number}b"))];
            assert_eq!(user.sync(&pair, &[]).await.count("created"), 2);
        }
    };
    let (backed_up, ()) = tokio::join!(backup(&app.database_url, &file), batches);
    backed_up.unwrap();
    assert!(backup(&app.database_url, &file).await.is_err(), "an existing file must not be overwritten");

    let restored = TestApp::on_database(format!("sqlite://{}", file.display())).await;
    let (visits, _) = restored.stored().await;
    assert!(visits >= 1 && visits % 2 == 1, "{visits} visits: half a batch");
    assert_eq!(user.at(&restored).sync(&[visit("after")], &[]).await.count("created"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_failed_leaves_nothing_that_looks_like_one() {
    let app = TestApp::on_sqlite().await;
    let (damaged, file) = (app.file("damaged.db"), app.file("backup.db"));
    std::fs::write(&damaged, "no database at all, whatever its name says").unwrap();
    assert!(backup(&format!("sqlite://{}", damaged.display()), &file).await.is_err());
    let part = std::path::PathBuf::from(format!("{}.part", file.display()));
    assert_eq!((file.exists(), part.exists()), (false, false));
    backup(&app.database_url, &file).await.unwrap();
    assert_eq!((file.exists(), part.exists()), (true, false));
}
