//! One installation in the simulated world: a browser, its disk, a network and a server; workers come and go.

use std::rc::Rc;

use heyho_sync::decisions::report::Report;
use heyho_sync::decisions::status::Status;
use heyho_sync::engine::{Bookmark, Engine, EngineError, Imported, Recorded, RunOptions, Settings};
use heyho_sync::outbox::Outbox;
use heyho_sync::ports::store::Table;
use heyho_sync::ports::store::memory::MemoryStore;
use heyho_sync::words::kind::{Kind, PerKind};
use heyho_sync::words::owner::Session;

use crate::host::{Browser, SimulatedHost};
use crate::line::Line;
use crate::network::Network;
use crate::server::Server;
use crate::store::{Disk, DiskStore, Medium};
use crate::world::{SimulatedClock, World};

/// The bases of the two servers that there are.
pub const SERVER_URLS: [&str; 2] = ["https://api.example.com/api/v1", "https://other.example.com/api/v1"];

/// The engine over the simulated ports.
pub type TestEngine<M = MemoryStore> = Engine<DiskStore<M>, Line, SimulatedClock, SimulatedHost>;

/// A browser, its disk, and a server; workers come and go.
pub struct Scene<M = MemoryStore> {
    pub world: Rc<World>,
    pub network: Rc<Network>,
    pub disk: Rc<Disk<M>>,
    pub browser: Rc<Browser>,
}

pub fn session(account: &str) -> Option<Session> {
    Some(Session {
        account: account.into(),
        access_token: "token-1".into(),
        refresh_token: None,
        expires_at: None,
    })
}

pub fn visit(number: usize) -> String {
    let source = if number.is_multiple_of(5) { "null".to_owned() } else { format!("\"v{:05}\"", number - 1) };
    format!(
        r#"{{"id":"v{number:05}","url":"https://example.com/{number}","title":"Page {number}",
           "visited_at":"2026-11-21T10:00:00.000Z","durationSeconds":3,"source_page_visit_id":{source}}}"#
    )
}

pub fn aggregate(number: usize) -> String {
    format!(
        r#"{{"id":"a{number:05}","page_visit_id":"v{number:05}","total_time_seconds":3,"active_time_seconds":2}}"#
    )
}

pub fn records(numbers: std::ops::Range<usize>) -> PerKind<Vec<String>> {
    PerKind {
        page_visits: numbers.clone().map(visit).collect(),
        tab_aggregates: numbers.map(aggregate).collect(),
    }
}

impl<M: Medium> Scene<M> {
    /// A new worker that has not yet opened its database.
    pub fn closed_worker(&self) -> TestEngine<M> {
        let connection = self.disk.memory.connect();
        let store = DiskStore { world: Rc::clone(&self.world), disk: Rc::clone(&self.disk), connection };
        let host = SimulatedHost { world: Rc::clone(&self.world), browser: Rc::clone(&self.browser) };
        let clock = SimulatedClock(Rc::clone(&self.world));
        Engine::new(Outbox::new(store), Line::to(&self.network), clock, host)
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::with(Server::default())
    }
}

impl Scene {
    pub fn with(server: Server) -> Self {
        let world = World::new(7);
        let network = Network::new(&world, server);
        Self { world, network, disk: Disk::new(), browser: Rc::default() }
    }

    /// A new worker, signed in as user-1, with consent.
    pub fn worker(&self) -> TestEngine {
        self.worker_as(session("user-1"))
    }

    pub fn worker_as(&self, session: Option<Session>) -> TestEngine {
        let engine = self.closed_worker();
        let server_url = SERVER_URLS[0].into();
        let settings = Settings { server_url, consent: true, session, ..Settings::default() };
        self.world.run(engine.open(settings)).unwrap();
        engine
    }

    pub fn record(&self, engine: &TestEngine, numbers: std::ops::Range<usize>) -> Recorded {
        self.world.run(engine.record(records(numbers))).unwrap()
    }

    pub fn sync(&self, engine: &TestEngine) -> Report {
        self.world.run(engine.sync(RunOptions::default())).unwrap()
    }

    pub fn status(&self, engine: &TestEngine) -> Status {
        self.world.run(engine.status()).unwrap()
    }

    pub fn rows_left(&self) -> usize {
        Kind::ALL.iter().map(|kind| self.disk.memory.rows(Table::Outbox(*kind)).len()).sum()
    }

    pub fn stored(&self) -> usize {
        self.network.server.borrow().stored.values().map(|rows| rows.len()).sum()
    }

    pub fn requests(&self) -> usize {
        self.network.seen.borrow().len()
    }

    /// The books agree with the rows, and every record that was captured is accounted for.
    pub fn assert_balanced(&self, engine: &TestEngine, captured: u64) {
        let status = self.status(engine);
        let sum = |of: &PerKind<u64>| of.total();
        let somewhere = [
            &status.acknowledged,
            &status.pending,
            &status.parked,
            &status.quarantined,
            &status.archived,
            &status.discarded,
            &status.unrecoverable,
        ];
        assert_eq!(sum(&status.captured), captured);
        assert_eq!(somewhere.into_iter().map(sum).sum::<u64>(), captured);
        assert_eq!(sum(&status.pending) + sum(&status.parked), self.rows_left() as u64);
        assert!(status.health.books_balance);
    }
}

/// The document that an export's pieces are together.
pub async fn exported<M: Medium>(engine: &TestEngine<M>) -> Result<String, EngineError> {
    let (mut document, mut at) = (String::new(), Some(Bookmark::default()));
    while let Some(from) = at {
        let piece = engine.export(from).await?;
        document.push_str(&piece.text);
        at = piece.next;
    }
    Ok(document)
}

/// Imports a document in one piece.
pub async fn imported<M: Medium>(engine: &TestEngine<M>, document: &str) -> Result<Imported, EngineError> {
    let mut imported = Imported::default();
    engine.import(document, &mut imported).await?;
    Ok(imported)
}

/// Runs two futures side by side.
pub async fn join<A: Future + Unpin, B: Future + Unpin>(mut a: A, mut b: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(|context| {
        if first.is_none()
            && let std::task::Poll::Ready(result) = std::pin::Pin::new(&mut a).poll(context)
        {
            first = Some(result);
        }
        if second.is_none()
            && let std::task::Poll::Ready(result) = std::pin::Pin::new(&mut b).poll(context)
        {
            second = Some(result);
        }
        match (first.is_some(), second.is_some()) {
            (true, true) => std::task::Poll::Ready(()),
            _ => std::task::Poll::Pending,
        }
    })
    .await;
    (first.unwrap(), second.unwrap())
}
