//! [`Host`]: the extension's callbacks, and a Web Lock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::mirror::Mirror;
use crate::ports::host::Host;
use crate::words::time::UnixMillis;

#[wasm_bindgen]
extern "C" {
    type LockManager;
    #[wasm_bindgen(method, catch)]
    fn request(
        this: &LockManager,
        name: &str,
        options: &JsValue,
        held: &Function,
    ) -> Result<Promise, JsValue>;
}

/// The extension around the core.
pub struct ExtensionHost {
    lock_name: String,
    arm_retry: Option<Function>,
    mirror: Mirror,
    on_change: RefCell<Option<Rc<dyn Fn()>>>,
}

impl std::fmt::Debug for ExtensionHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtensionHost").finish_non_exhaustive()
    }
}

impl ExtensionHost {
    /// A host whose syncers of one database exclude each other. `mirror` are its `load` and `save`, if it has a place
    /// of its own for the mirror.
    pub fn new(database: &str, arm_retry: Option<Function>, mirror: Option<[Function; 2]>) -> Self {
        Self {
            lock_name: format!("{database}:sync"),
            arm_retry,
            mirror: mirror.map_or_else(|| Mirror::Beside(database.to_owned()), Mirror::Host),
            on_change: RefCell::new(None),
        }
    }

    /// What is called when something that `status` shows has changed.
    pub fn on_change(&self, listener: Rc<dyn Fn()>) {
        *self.on_change.borrow_mut() = Some(listener);
    }
}

/// A held lock.
#[derive(Debug)]
pub struct WebLock {
    release: Option<Function>,
}

impl Drop for WebLock {
    fn drop(&mut self) {
        if let Some(release) = &self.release {
            let _ = release.call0(&JsValue::NULL);
        }
    }
}

impl Host for ExtensionHost {
    type Lock = WebLock;

    async fn try_lock(&self, steals: bool) -> Option<WebLock> {
        let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
        let manager = Reflect::get(&navigator, &"locks".into()).ok().filter(JsValue::is_truthy);
        let Some(manager) = manager.map(JsCast::unchecked_into::<LockManager>) else {
            // No Web Locks here: the fencing token alone keeps the books right.
            return Some(WebLock { release: None });
        };
        let options = Object::new();
        let how = if steals { "steal" } else { "ifAvailable" };
        Reflect::set(&options, &how.into(), &true.into()).ok()?;
        // The lock is held until the promise that the callback returns is resolved; what resolves it is the lock.
        let release = Rc::new(Cell::new(None));
        let mut tell = None;
        let told = Promise::new(&mut |resolve, _| tell = Some(resolve));
        let held = {
            let release = Rc::clone(&release);
            Closure::once_into_js(move |lock: JsValue| -> JsValue {
                let held =
                    lock.is_truthy().then(|| Promise::new(&mut |resolve, _| release.set(Some(resolve))));
                if let Some(tell) = &tell {
                    let _ = tell.call0(&JsValue::NULL);
                }
                held.map_or(JsValue::UNDEFINED, Into::into)
            })
        };
        let request = manager.request(&self.lock_name, &options, held.unchecked_ref()).ok()?;
        // The request itself ends only with the lock, or at once if it fails.
        JsFuture::from(Promise::race(&Array::of2(&told, &request))).await.ok()?;
        Some(WebLock { release: Some(release.take()?) })
    }

    fn arm_retry(&self, at: Option<UnixMillis>) {
        if let Some(arm) = &self.arm_retry {
            let at = at.map_or(JsValue::NULL, |at| JsValue::from_f64(at.0 as f64));
            let _ = arm.call1(&JsValue::NULL, &at);
        }
    }

    async fn save_mirror(&self, text: String) {
        // Books that are not mirrored are no worse off than before.
        let _ = self.mirror.save(&text).await;
    }

    async fn load_mirror(&self, database_is_new: bool) -> Option<String> {
        self.mirror.load(database_is_new).await
    }

    fn changed(&self) {
        let listener = self.on_change.borrow().clone();
        if let Some(listener) = listener {
            listener();
        }
    }
}
