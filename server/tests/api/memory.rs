//! What hostile clients can make the server take of memory. Where the system tells it.

#![cfg(target_os = "linux")]

use std::{fs, time::Duration};

use reqwest::{Body, Client, Method, RequestBuilder};
use serde_json::json;
use sqlx::AnyPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    crashes::Process,
    helpers::{Answer, TestApp, visit, with},
    limits::gzip,
};

const MIB: usize = 1024 * 1024;

/// Most of it is 16 unpacked bodies at a time, each with one record parsed.
const MOST_MIB: u64 = 512;

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_whatever_is_sent() {
    let app = TestApp::on_sqlite().await;
    let token = app.user("a@example.com").await.token;
    let process = Process::start(&app.database_url);
    let mut peaks = vec![("at rest", process.peak_mib())];

    rlimit::increase_nofile_limit(8_192).unwrap();
    let address = process.base.trim_start_matches("http://").trim_end_matches("/api/v1").to_owned();
    let mut idle = Vec::new();
    for _ in 0..2_000 {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    assert_eq!(statuses(vec![get(&process)]).await, [200]);
    peaks.push(("2,000 idle connections", process.peak_mib()));

    assert!(endless_body(&address, &token, 1_024).await.starts_with("HTTP/1.1 413"));
    peaks.push(("a body of 1 GB", process.peak_mib()));

    let bomb = gzip(&vec![b' '; 64 * MIB]);
    let bombs = (0..32).map(|_| packed(&process, "/data/sync", &token, bomb.clone())).collect();
    assert!(statuses(bombs).await.iter().all(|status| *status == 413));
    peaks.push(("32 gzip bombs", process.peak_mib()));

    // The worst that a body can become: numbers of one digit, each a value of its own.
    let numbers = format!("[0{}]", ",0".repeat(120 * 1024));
    let records: Vec<String> = (0..16).map(|id| format!(r#"{{"id":{id},"new":{numbers}}}"#)).collect();
    let hungry = format!(r#"{{"pageVisits":[{}]}}"#, records.join(","));
    let hungry = gzip(hungry.as_bytes());
    let bodies = (0..32).map(|_| packed(&process, "/data/sync", &token, hungry.clone())).collect();
    assert!(statuses(bodies).await.iter().all(|status| [400, 503].contains(status)));
    peaks.push(("32 bodies that are costly to parse", process.peak_mib()));

    let body = |array: String| gzip(format!(r#"{{"pageVisits":[{array}]}}"#).as_bytes());
    for (name, route, hungry) in [
        ("32 arrays of two million", "/data/sync", body(vec!["0"; 2 * MIB - 16].join(","))),
        (
            "32 questions of two million",
            "/data/sync/known",
            body(format!("[{}]", vec!["0"; 2 * MIB - 16].join(","))),
        ),
        ("32 records of many names", "/data/sync", body(record_of_many_names())),
    ] {
        let bodies = (0..32).map(|_| packed(&process, route, &token, hungry.clone())).collect();
        let statuses = statuses(bodies).await;
        assert!(statuses.iter().all(|status| [400, 503].contains(status)), "{name}: {statuses:?}");
        peaks.push((name, process.peak_mib()));
    }

    let hoarder = app.user("b@example.com").await;
    for from in [0, 25, 50, 75] {
        // Strings of the metadata are cut, those of the others aren't.
        let text = "x".repeat(50_000);
        let fields = json!({ "idlePeriods": [text], "new": text });
        let visits: Vec<_> =
            (from..from + 25).map(|id| with(visit(&id.to_string()), fields.clone())).collect();
        assert_eq!(hoarder.sync(&visits, &[]).await.count("created"), 25);
    }
    let mut slow = Vec::new();
    for _ in 0..64 {
        slow.push(slow_reader(&address, &hoarder.token).await);
    }
    for stream in &slow {
        // Its answer has begun, or was refused.
        stream.readable().await.unwrap();
    }
    peaks.push(("64 slow readers of a page of 10 MB", process.peak_mib()));

    eprintln!("MiB: {peaks:?}");
    assert!(process.peak_mib() < MOST_MIB, "{peaks:?}");
    drop(idle);
    assert_eq!(statuses(vec![get(&process)]).await, [200]);
}

/// What one client can make wait in memory for a database that is busy.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_batches_wait_for_the_database_than_there_is_memory_for() {
    let app = TestApp::on_sqlite().await;
    let user = app.user("a@example.com").await;
    let elsewhere = AnyPool::connect(&app.database_url).await.unwrap();
    let busy = elsewhere.begin_with("begin immediate").await.unwrap();

    // 16 of the greatest length are all that may wait.
    let mut answers = JoinSet::new();
    for id in 0..20 {
        let batch = json!({ "pageVisits": [visit(&id.to_string())] }).to_string();
        let long = format!("{batch}{}", " ".repeat(4 * MIB - batch.len()));
        let request = user
            .request(Method::POST, "/data/sync")
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .body(gzip(long.as_bytes()));
        answers.spawn(Answer::of(request));
    }
    for _ in 0..4 {
        let answer = answers.join_next().await.unwrap().unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body["error"]), (503, &json!("busy")));
        assert!(answer.headers.contains_key("retry-after"));
    }
    busy.rollback().await.unwrap();
    assert!(answers.join_all().await.iter().all(|answer| answer.status == 200));
    assert_eq!(app.stored().await, (16, 0));
}

impl Process {
    fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

fn get(process: &Process) -> RequestBuilder {
    Client::new().get(format!("{}/health/ready", process.base))
}

fn packed(process: &Process, route: &str, token: &str, body: impl Into<Body>) -> RequestBuilder {
    Client::new()
        .post(format!("{}{route}", process.base))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(body)
}

fn record_of_many_names() -> String {
    let fields: Vec<String> = (0..300_000).map(|number| format!(r#""{number:x}":0"#)).collect();
    format!("{{{}}}", fields.join(","))
}

/// All at once.
async fn statuses(requests: Vec<RequestBuilder>) -> Vec<u16> {
    let mut tasks = JoinSet::new();
    for request in requests {
        tasks.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    tasks.join_all().await
}

/// Asks for a page and reads nothing of it.
async fn slow_reader(address: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head =
        format!("GET /api/v1/browsing_data HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Sends so many MiB in pieces, or as many as are taken; returns what came back.
async fn endless_body(address: &str, token: &str, mebibytes: usize) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/data/sync HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = [format!("{MIB:x}\r\n").into_bytes(), vec![b' '; MIB], b"\r\n".to_vec()].concat();
    let (mut from, mut to) = stream.split();
    let sending = async {
        for _ in 0..mebibytes {
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let mut answer = vec![0; 1_024];
        let read = from.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    let both = async { tokio::join!(sending, reading).1 };
    timeout(Duration::from_secs(120), both).await.unwrap()
}
