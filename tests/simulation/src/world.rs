//! Time that passes only when everybody waits, and an executor for one thread of it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use heyho_sync::ports::clock::Clock;
use heyho_sync::words::time::{Millis, UnixMillis};

use crate::random::Random;

/// A moment in November 2023, to begin with.
pub const START: UnixMillis = UnixMillis(1_700_000_000_000);

/// No act takes so many steps, unless it goes round in circles.
const MOST_POLLS: u64 = 300_000;

/// The clocks and the chance of one run.
#[derive(Debug)]
pub struct World {
    monotonic_ms: Cell<i64>,
    wall_offset_ms: Cell<i64>,
    /// Who waits until when; the first of all last.
    waiting: RefCell<Vec<(i64, Waker)>>,
    pub random: Random,
    /// A write has failed in this act: what it would have kept may be forgotten.
    pub disk_failed: Cell<bool>,
    outside: RefCell<Outside>,
}

/// How a future ended under [`World::live_for`].
#[derive(Debug, PartialEq, Eq)]
pub enum End<T> {
    Finished(T),
    /// It was dropped after as many polls as it was given.
    Died,
}

impl World {
    pub fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            monotonic_ms: Cell::new(0),
            wall_offset_ms: Cell::new(START.0),
            waiting: RefCell::default(),
            random: Random::new(seed),
            disk_failed: Cell::new(false),
            outside: RefCell::default(),
        })
    }

    pub fn wall(&self) -> UnixMillis {
        UnixMillis(self.monotonic_ms.get() + self.wall_offset_ms.get())
    }

    pub fn monotonic(&self) -> i64 {
        self.monotonic_ms.get()
    }

    /// Sets the wall clock, as users and batteries do.
    pub fn set_wall(&self, to: UnixMillis) {
        self.wall_offset_ms.set(to.0 - self.monotonic_ms.get());
    }

    /// Lets time pass while nobody is at work.
    pub fn sleep(&self, ms: i64) {
        self.monotonic_ms.set(self.monotonic_ms.get() + ms.max(0));
    }

    /// Comes back when `ms` have passed, and not before everybody else had a turn.
    pub fn pass(self: &Rc<Self>, ms: i64) -> Pass {
        Pass { world: Rc::clone(self), due: self.monotonic_ms.get() + ms.max(0), begun: false }
    }

    /// Polls a future to its end; time passes between the polls, but not while something real is waited for.
    pub fn live<'a, T>(&'a self, future: impl Future<Output = T> + 'a) -> impl Future<Output = T> + 'a {
        let life = self.live_for(future, u64::MAX);
        async {
            match life.await {
                End::Finished(result) => result,
                End::Died => unreachable!("it would have to live on"),
            }
        }
    }

    /// The same with at most so many polls: a worker's death is a number of polls. What lives is boxed at once: a
    /// browser's stack is small.
    pub fn live_for<'a, T>(
        &'a self,
        future: impl Future<Output = T> + 'a,
        polls: u64,
    ) -> impl Future<Output = End<T>> + 'a {
        let mut future = Box::pin(future);
        async move {
            let end = self.live_pinned(future.as_mut(), polls).await;
            drop(future);
            self.waiting.borrow_mut().clear();
            end
        }
    }

    /// The same for a future that may go on later: a frozen worker.
    pub async fn live_pinned<T>(&self, mut future: Pin<&mut impl Future<Output = T>>, polls: u64) -> End<T> {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut done = 0;
        poll_fn(|outside| {
            let mut context = Context::from_waker(&waker);
            while done < polls {
                assert!(done < MOST_POLLS, "it goes round and round, and never ends");
                done += 1;
                if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                    return Poll::Ready(End::Finished(result));
                }
                if woken.flag.swap(false, Ordering::Relaxed) {
                    continue;
                }
                if self.outside.borrow().get() > 0 {
                    *woken.outside.lock().unwrap() = Some(outside.waker().clone());
                    return Poll::Pending;
                }
                let next = self.waiting.borrow().last().map(|(due, _)| *due);
                let due = next.expect("everybody waits, and nobody for the clock");
                self.monotonic_ms.set(self.monotonic_ms.get().max(due));
                while let Some((_, waker)) = self.next_due(due) {
                    waker.wake();
                }
                woken.flag.store(false, Ordering::Relaxed);
            }
            Poll::Ready(End::Died)
        })
        .await
    }

    fn wait(&self, due: i64, waker: Waker) {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.partition_point(|(other, _)| *other > due);
        waiting.insert(place, (due, waker));
    }

    fn next_due(&self, due: i64) -> Option<(i64, Waker)> {
        self.waiting.borrow_mut().pop_if(|(next, _)| *next == due)
    }

    /// [`World::live`] where nothing real is waited for.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        at_once(self.live(future))
    }

    /// [`World::live_for`] where nothing real is waited for.
    pub fn run_for<T>(&self, future: impl Future<Output = T>, polls: u64) -> End<T> {
        at_once(self.live_for(future, polls))
    }

    /// Waits for something real: a browser's database.
    pub async fn really<T>(&self, future: impl Future<Output = T>) -> T {
        let outside = Rc::clone(&self.outside.borrow());
        outside.set(outside.get() + 1);
        let _counted = Counted(outside);
        future.await
    }

    /// What a frozen worker waits for holds nobody else up. Returns that, for [`World::thaw`].
    pub fn freeze(&self) -> Outside {
        self.outside.take()
    }

    /// The frozen worker goes on.
    pub fn thaw(&self, outside: Outside) {
        self.outside.replace(outside);
    }
}

/// How many real things are waited for.
pub type Outside = Rc<Cell<u32>>;

struct Counted(Outside);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The result of a future that never waits for anything real.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("it waits for something that is not of this world"),
    }
}

/// Whether somebody woke another without any time passing; and who is to hear of it while something real is waited for.
#[derive(Default)]
struct Woken {
    flag: AtomicBool,
    outside: Mutex<Option<Waker>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::Relaxed);
        if let Some(outside) = self.outside.lock().unwrap().take() {
            outside.wake();
        }
    }
}

pub struct Pass {
    world: Rc<World>,
    due: i64,
    begun: bool,
}

impl Future for Pass {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.begun && self.world.monotonic_ms.get() >= self.due {
            return Poll::Ready(());
        }
        self.begun = true;
        self.world.wait(self.due, context.waker().clone());
        Poll::Pending
    }
}

/// The world's clocks as the engine sees them.
#[derive(Debug, Clone)]
pub struct SimulatedClock(pub Rc<World>);

impl Clock for SimulatedClock {
    fn now(&self) -> UnixMillis {
        self.0.wall()
    }

    fn monotonic(&self) -> Millis {
        Millis(self.0.monotonic())
    }

    async fn sleep(&self, span: Millis) {
        self.0.pass(span.0).await;
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.random.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.0.random.next().to_le_bytes());
        bytes
    }
}
