//! A server of one's own for each test, with a fresh database.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use heyho_server::{app::Server, config::Config};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::{AnyPool, AssertSqlSafe};
use uuid::Uuid;

/// Runs each test function on every database there is: `on_every_database! { name_of_test, ... }`.
macro_rules! on_every_database {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::helpers::TestApp::on_sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(app) = crate::helpers::TestApp::on_postgres().await {
                    super::$name(app).await;
                }
            })+
        }
    };
}
pub(crate) use on_every_database;

/// What a request was answered with.
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// The named count of a 200.
    pub fn count(&self, name: &str) -> i64 {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["data"][name].as_i64().unwrap_or_else(|| panic!("no {name} in {}", self.body))
    }

    /// `(id, record_type, field)` of every record that a 400 names.
    pub fn failed_records(&self) -> Vec<(Value, &str, Value)> {
        assert_eq!(self.status, 400, "{}", self.body);
        let failed = self.body["failed_records"].as_array().unwrap();
        failed
            .iter()
            .map(|f| (f["id"].clone(), f["record_type"].as_str().unwrap(), f["field"].clone()))
            .collect()
    }
}

/// A running server.
pub struct TestApp {
    pub address: SocketAddr,
    pub client: Client,
    pub database_url: String,
    folder: Option<PathBuf>,
}

impl TestApp {
    pub async fn on_sqlite() -> Self {
        let folder = std::env::temp_dir().join(format!("heyho-server-test-{}", Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let url = format!("sqlite://{}", folder.join("test.db").display());
        Self::start(url, Some(folder)).await
    }

    /// None where there is no PostgreSQL to test on.
    pub async fn on_postgres() -> Option<Self> {
        let Ok(server) = std::env::var("HEYHO_TEST_POSTGRES") else {
            eprintln!("skipped: HEYHO_TEST_POSTGRES isn't set");
            return None;
        };
        sqlx::any::install_default_drivers();
        let name = format!("heyho_test_{}", Uuid::now_v7().simple());
        let admin = AnyPool::connect(&server).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&admin).await.unwrap();
        admin.close().await;
        let mut url = url::Url::parse(&server).unwrap();
        url.set_path(&name);
        Some(Self::start(url.to_string(), None).await)
    }

    /// On a database that is there already.
    pub async fn on_database(database_url: String) -> Self {
        Self::start(database_url, None).await
    }

    async fn start(database_url: String, folder: Option<PathBuf>) -> Self {
        let address = start_server(&database_url, &[]).await;
        Self { address, client: Client::new(), database_url, folder }
    }

    /// Another server process' worth of state on the same database.
    pub async fn replica(&self, flags: &[&str]) -> Self {
        let address = start_server(&self.database_url, flags).await;
        Self { address, client: Client::new(), database_url: self.database_url.clone(), folder: None }
    }

    /// A file name of this test's own.
    pub fn file(&self, name: &str) -> PathBuf {
        let folder = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        folder.join(format!("{}-{name}", Uuid::now_v7()))
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}/api/v1{path}", self.address))
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    /// Signs up and logs in.
    pub async fn user(&self, email: &str) -> User<'_> {
        let credentials = json!({ "email": email, "password": "correct horse" });
        let created = self.post("/auth/create-account", &credentials).await;
        assert_eq!(created.status, 200, "{}", created.body);
        let login = self.post("/auth/login", &credentials).await;
        assert_eq!(login.status, 200, "{}", login.body);
        User { app: self, token: String::new(), refresh_token: String::new() }.with_tokens(&login)
    }

    /// One number out of the database itself.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::any::install_default_drivers();
        let pool = AnyPool::connect(&self.database_url).await.unwrap();
        let number = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
        pool.close().await;
        number
    }

    /// One column of text out of the database itself.
    pub async fn strings(&self, sql: &'static str) -> Vec<String> {
        sqlx::any::install_default_drivers();
        let pool = AnyPool::connect(&self.database_url).await.unwrap();
        let strings = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
        pool.close().await;
        strings
    }

    /// Changes the database behind the server's back.
    pub async fn execute(&self, sql: impl Into<String>) {
        sqlx::any::install_default_drivers();
        let pool = AnyPool::connect(&self.database_url).await.unwrap();
        sqlx::query(AssertSqlSafe(sql.into())).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// From now on, every row that is written into this table leaves one in `inserted`, even if it is taken back.
    pub async fn watch_inserts_into(&self, table: &str) {
        self.execute("create table inserted (into_table text)").await;
        let noted = format!("insert into inserted values ('{table}');");
        if self.database_url.starts_with("sqlite") {
            self.execute(format!("create trigger watch after insert on {table} begin {noted} end")).await;
        } else {
            let body = format!("begin {noted} return null; end");
            self.execute(format!(
                "create function watch() returns trigger language plpgsql as '{}'",
                body.replace('\'', "''")
            ))
            .await;
            self.execute(format!(
                "create trigger watch after insert on {table} for each row execute function watch()"
            ))
            .await;
        }
    }

    /// Rows of both record tables.
    pub async fn stored(&self) -> (i64, i64) {
        let visits = self.number("select count(*) from page_visits").await;
        (visits, self.number("select count(*) from tab_aggregates").await)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

async fn start_server(database_url: &str, flags: &[&str]) -> SocketAddr {
    let needed = ["heyho-server", "--listen", "127.0.0.1:0", "--database", database_url];
    let config = Config::parse_from(needed.iter().chain(flags));
    let server = Server::bind(&config).await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.run(std::future::pending()));
    address
}

/// Somebody who is logged in.
pub struct User<'a> {
    pub app: &'a TestApp,
    pub token: String,
    pub refresh_token: String,
}

impl<'a> User<'a> {
    /// The same person at another server.
    pub fn at<'b>(&self, app: &'b TestApp) -> User<'b> {
        User { app, token: self.token.clone(), refresh_token: self.refresh_token.clone() }
    }

    /// The same person with the tokens of this answer.
    pub fn with_tokens(&self, answer: &Answer) -> User<'a> {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = |name: &str| answer.body["data"][name].as_str().unwrap().to_owned();
        User { app: self.app, token: token("AccessToken"), refresh_token: token("RefreshToken") }
    }

    /// Trades the refresh token.
    pub async fn refresh(&self) -> Answer {
        self.app.post("/auth/refresh", &json!({ "refresh_token": self.refresh_token })).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.app.request(method, path).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub async fn sync(&self, page_visits: &[Value], tab_aggregates: &[Value]) -> Answer {
        self.post("/data/sync", &json!({ "pageVisits": page_visits, "tabAggregates": tab_aggregates })).await
    }

    /// Sends text as it is.
    pub async fn sync_raw(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, "/data/sync").header("content-type", "application/json");
        Answer::of(request.body(body)).await
    }
}

/// A page visit that breaks no rule.
pub fn visit(id: &str) -> Value {
    json!({
        "id": id,
        "url": format!("https://docs.example/{id}"),
        "title": "A page",
        "visited_at": "2025-10-21T09:46:40.123Z",
        "tabId": 412,
        "domain": "docs.example",
        "durationSeconds": 184,
        "activeDuration": 150_000,
        "engagementRate": 0.8152,
    })
}

/// A tab aggregate that breaks no rule.
pub fn aggregate(id: &str, page_visit_id: &str) -> Value {
    json!({
        "id": id,
        "page_visit_id": page_visit_id,
        "total_time_seconds": 245,
        "active_time_seconds": 210,
        "scroll_depth_percent": 72,
        "closed_at": "2025-10-21T09:50:46.000Z",
    })
}

/// The record with these fields set or replaced.
pub fn with(mut record: Value, fields: Value) -> Value {
    record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    record
}

/// Polls all at once, so that the requests overlap.
pub async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(Box::pin).map(Some).collect();
    let mut outputs: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (slot, output) in pending.iter_mut().zip(&mut outputs) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
                *slot = None;
            }
        }
        if pending.iter().all(Option::is_none) {
            std::task::Poll::Ready(outputs.iter_mut().filter_map(Option::take).collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}
