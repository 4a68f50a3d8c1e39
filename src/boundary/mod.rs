//! The door to JavaScript: turns values into ours and ours into values. It decides nothing.

mod aside;
mod erasure;
mod error;
mod options;
mod transfer;
mod types;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::callback::Interval;
use js_sys::{Array, Function, JSON, Promise, Reflect};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};

pub use self::aside::{Archive, Quarantine};
use self::error::{from_engine, from_outbox, invalid};
use self::options::{OpenOptions, SettingsPatch, SyncOptions};
use crate::engine::Engine;
use crate::outbox::Outbox;
use crate::platform::clock::BrowserClock;
use crate::platform::fetch::Fetch;
use crate::platform::host::ExtensionHost;
use crate::platform::indexed_db::IndexedDb;
use crate::words::document;
use crate::words::event::TabEvent;
use crate::words::kind::PerKind;
use crate::words::policy::KEEP_ALIVE_EVERY;

type BrowserEngine = Engine<IndexedDb, Fetch, BrowserClock, ExtensionHost>;

/// The core: one instance in the background of an extension.
#[wasm_bindgen]
pub struct SyncCore {
    engine: Rc<BrowserEngine>,
    keep_alive: Option<Function>,
    listeners: Rc<Listeners>,
    run: Rc<RefCell<Option<Promise>>>,
}

#[wasm_bindgen]
impl SyncCore {
    /// Opens the database, creating it if need be, and signs in whoever the options name.
    #[wasm_bindgen(unchecked_return_type = "SyncCore")]
    pub async fn open(
        #[wasm_bindgen(unchecked_param_type = "OpenOptions")] options: JsValue,
    ) -> Result<SyncCore, JsValue> {
        let keep_alive = function(&options, "keepAlive")?;
        let arm_retry = function(&options, "armRetry")?;
        let mirror = mirror(&options)?;
        let options: OpenOptions = options::read(options)?;
        let settings = options.settings(keep_alive.is_some())?;
        let host = ExtensionHost::new(&options.database_name, arm_retry, mirror);
        let outbox = Outbox::new(IndexedDb::new(options.database_name.clone()));
        let engine = Rc::new(Engine::new(outbox, Fetch, BrowserClock, host));
        engine.open(settings).await.map_err(from_engine)?;
        let listeners = Listeners::attach(&engine);
        Ok(Self { engine, keep_alive, listeners, run: Rc::default() })
    }

    /// Records visits and aggregates in one transaction: all of them or none.
    #[wasm_bindgen(unchecked_return_type = "Recorded")]
    pub async fn record(
        &self,
        #[wasm_bindgen(unchecked_param_type = "RecordInput")] records: JsValue,
    ) -> Result<JsValue, JsValue> {
        if !records.is_object() || Array::is_array(&records) {
            return Err(invalid("records", "must be an object with pageVisits or tabAggregates"));
        }
        let texts = PerKind {
            page_visits: texts(&records, "pageVisits")?,
            tab_aggregates: texts(&records, "tabAggregates")?,
        };
        let recorded = self.engine.record(texts).await.map_err(from_engine)?;
        Ok(to_js(&recorded))
    }

    /// Tells the tracker what happened in the browser. Returns whether a visit goes on now: only then does it need a
    /// heartbeat, every 30 s.
    #[wasm_bindgen(js_name = handleEvent)]
    pub async fn handle_event(
        &self,
        #[wasm_bindgen(unchecked_param_type = "TabEvent")] event: JsValue,
    ) -> Result<bool, JsValue> {
        let event: TabEvent =
            document::read(&text(&event, "event")?).map_err(|_| invalid("event", "is not a tab event"))?;
        self.engine.handle_event(&event).await.map_err(from_engine)
    }

    /// Sends what is to be sent. A call while a sync runs gets that sync's report.
    #[wasm_bindgen(unchecked_return_type = "SyncReport")]
    pub async fn sync(
        &self,
        #[wasm_bindgen(unchecked_param_type = "SyncOptions | undefined")] options: JsValue,
    ) -> Result<JsValue, JsValue> {
        let options: SyncOptions = options::read(options)?;
        let running = self.run.borrow().clone();
        let run = running.unwrap_or_else(|| self.begin_run(options));
        JsFuture::from(run).await
    }

    fn begin_run(&self, options: SyncOptions) -> Promise {
        let (engine, run) = (Rc::clone(&self.engine), Rc::clone(&self.run));
        let keep_alive = self.keep_alive.clone();
        let promise = future_to_promise(async move {
            let _alive = keep_alive.map(KeptAlive::begin);
            let report = engine.sync(options.into()).await;
            run.take();
            report.map(|report| to_js(&report)).map_err(from_outbox)
        });
        *self.run.borrow_mut() = Some(promise.clone());
        promise
    }

    /// What the popup shows.
    #[wasm_bindgen(unchecked_return_type = "Status")]
    pub async fn status(&self) -> Result<JsValue, JsValue> {
        self.engine.status().await.map(|status| to_js(&status)).map_err(from_outbox)
    }

    /// Calls `listener` with the status now and after every change; the returned function ends it.
    #[wasm_bindgen(unchecked_return_type = "() => void")]
    pub fn subscribe(
        &self,
        #[wasm_bindgen(unchecked_param_type = "(status: Status) => void")] listener: Function,
    ) -> JsValue {
        let id = self.listeners.add(listener);
        Rc::clone(&self.listeners).tell(&self.engine);
        let listeners = Rc::clone(&self.listeners);
        Closure::<dyn Fn()>::new(move || listeners.remove(id)).into_js_value()
    }

    /// Signs in, or out with null.
    #[wasm_bindgen(js_name = setSession)]
    pub async fn set_session(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Session | null")] session: JsValue,
    ) -> Result<(), JsValue> {
        let Some(session) = options::read_session(session)? else {
            if let Some(token) = self.engine.sign_out().await.map_err(from_engine)? {
                let engine = Rc::clone(&self.engine);
                spawn_local(async move { engine.say_goodbye(token).await });
            }
            return Ok(());
        };
        self.engine.change_settings(|settings| settings.session = Some(session)).await.map_err(from_engine)
    }

    /// Changes consent, pause, exclusions or the server's address; what is absent stays. An entry of `excludedSites`
    /// that names no site is refused, and nothing is changed then.
    #[wasm_bindgen(js_name = setSettings)]
    pub async fn set_settings(
        &self,
        #[wasm_bindgen(unchecked_param_type = "SettingsPatch")] patch: JsValue,
    ) -> Result<(), JsValue> {
        let patch: SettingsPatch = options::read(patch)?;
        patch.check()?;
        self.engine.change_settings(|settings| patch.apply(settings)).await.map_err(from_engine)
    }

    /// Records that the server refuses.
    #[wasm_bindgen(getter)]
    pub fn quarantine(&self) -> Quarantine {
        Quarantine { engine: Rc::clone(&self.engine) }
    }

    /// Compares what the server has acknowledged to this machine with what it says that it has: by kind and day. Nothing
    /// but ids is sent, and nothing is changed.
    #[wasm_bindgen(unchecked_return_type = "Reconciliation")]
    pub async fn reconcile(&self) -> Result<JsValue, JsValue> {
        self.engine.reconcile().await.map(|found| to_js(&found)).map_err(from_outbox)
    }

    /// Where a record is, by its id, or by a part of a page's address. What is found nowhere is on the server, or was
    /// never recorded here.
    #[wasm_bindgen(js_name = whereIs, unchecked_return_type = "Whereabouts[]")]
    pub async fn where_is(&self, text: String) -> Result<JsValue, JsValue> {
        aside::find(&self.engine, &text).await
    }

    /// Records set aside because of their age.
    #[wasm_bindgen(getter)]
    pub fn archive(&self) -> Archive {
        Archive { engine: Rc::clone(&self.engine) }
    }

    /// Forgets progress, our own backoff and problems, and keeps every record.
    pub async fn reset(&self) -> Result<(), JsValue> {
        self.engine.outbox().reset().await.map_err(from_outbox)
    }

    /// Closes the database, as soon as the sync that runs has ended. A call that follows opens it again.
    pub async fn close(&self) -> Result<(), JsValue> {
        let running = self.run.borrow().clone();
        if let Some(run) = running {
            let _ = JsFuture::from(run).await;
        }
        self.engine.outbox().store().close();
        Ok(())
    }
}

// Calls the host's keep-alive at once and at every period, until dropped.
struct KeptAlive {
    _interval: Interval,
}

impl KeptAlive {
    fn begin(keep_alive: Function) -> Self {
        let call = move || {
            let _ = keep_alive.call0(&JsValue::NULL);
        };
        call();
        // A little early: timers are late, a worker's death is not.
        let period = u32::try_from(KEEP_ALIVE_EVERY.0 * 3 / 4).unwrap_or(u32::MAX);
        Self { _interval: Interval::new(period, call) }
    }
}

// Whoever wants to know; told one status for any number of changes that came meanwhile.
#[derive(Default)]
struct Listeners {
    next_id: Cell<u32>,
    functions: RefCell<Vec<(u32, Function)>>,
    telling: Cell<bool>,
    changed: Cell<bool>,
}

impl Listeners {
    fn attach(engine: &Rc<BrowserEngine>) -> Rc<Self> {
        let listeners = Rc::new(Self::default());
        let (weak, told) = (Rc::downgrade(engine), Rc::clone(&listeners));
        engine.host().on_change(Rc::new(move || {
            if let Some(engine) = weak.upgrade() {
                Rc::clone(&told).tell(&engine);
            }
        }));
        listeners
    }

    fn add(&self, function: Function) -> u32 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        self.functions.borrow_mut().push((id, function));
        id
    }

    fn remove(&self, id: u32) {
        self.functions.borrow_mut().retain(|(each, _)| *each != id);
    }

    fn tell(self: Rc<Self>, engine: &Rc<BrowserEngine>) {
        self.changed.set(true);
        if self.functions.borrow().is_empty() || self.telling.replace(true) {
            return;
        }
        let engine = Rc::clone(engine);
        spawn_local(async move {
            while self.changed.replace(false) {
                let Ok(status) = engine.status().await else { break };
                let status = to_js(&status);
                let functions = self.functions.borrow().clone();
                for (_, function) in functions {
                    let _ = function.call1(&JsValue::NULL, &status);
                }
            }
            self.telling.set(false);
        });
    }
}

fn to_js(value: &impl Serialize) -> JsValue {
    value.serialize(&Serializer::json_compatible()).unwrap_or(JsValue::NULL)
}

fn function(options: &JsValue, name: &str) -> Result<Option<Function>, JsValue> {
    let value = Reflect::get(options, &name.into()).unwrap_or(JsValue::UNDEFINED);
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    value.dyn_into().map(Some).map_err(|_| invalid(name, "must be a function"))
}

// The host's place for the mirror: `load` and `save`.
fn mirror(options: &JsValue) -> Result<Option<[Function; 2]>, JsValue> {
    let value = Reflect::get(options, &"mirror".into()).unwrap_or(JsValue::UNDEFINED);
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    match (function(&value, "load")?, function(&value, "save")?) {
        (Some(load), Some(save)) => Ok(Some([load.bind0(&value), save.bind0(&value)])),
        _ => Err(invalid("mirror", "must have the functions load and save")),
    }
}

// The list's elements as JSON texts; broken UTF-16 stands as escapes in them, so that the door can see it.
fn texts(records: &JsValue, name: &str) -> Result<Vec<String>, JsValue> {
    let list = Reflect::get(records, &name.into()).unwrap_or(JsValue::UNDEFINED);
    if list.is_undefined() || list.is_null() {
        return Ok(Vec::new());
    }
    let list: Array = list.dyn_into().map_err(|_| invalid(name, "must be an array"))?;
    list.iter().map(|record| text(&record, name)).collect()
}

fn text(value: &JsValue, name: &str) -> Result<String, JsValue> {
    let text = JSON::stringify(value).map_err(|_| invalid(name, "can't be written as JSON"))?;
    // What JSON has no word for, such as undefined or a function, is stringified to undefined.
    JsValue::from(text).as_string().ok_or_else(|| invalid(name, "can't be written as JSON"))
}
