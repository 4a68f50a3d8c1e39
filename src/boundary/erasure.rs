//! What the user decides about records, as JavaScript sees it: what is to be gone, and whose it is.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{from_engine, invalid};
use super::{SyncCore, options, to_js};
use crate::decisions::erasure::Scope;
use crate::words::owner;
use crate::words::record::sites::site_named;

#[wasm_bindgen]
impl SyncCore {
    /// Forgets a site with its subdomains. When this returns, nothing of it is here any more; `sync` asks the server of
    /// every account that this installation knows to erase it too, and `Status.erasing` says what has not been confirmed.
    /// That goes out during a pause and without consent too. Later visits are recorded again: `excludedSites` keeps them
    /// out.
    #[wasm_bindgen(js_name = forgetSite)]
    pub async fn forget_site(&self, site: String) -> Result<(), JsValue> {
        let site = site_named(&site).ok_or_else(|| invalid("site", "must name one site"))?;
        self.engine.erase(Scope::Site(site), true).await.map_err(from_engine)
    }

    /// Erases every record, here and at the server of every account that this installation knows, as `forgetSite` does
    /// for one site. What was here counts as discarded; the counts, the settings and the login stay.
    #[wasm_bindgen(js_name = eraseAll)]
    pub async fn erase_all(&self) -> Result<(), JsValue> {
        self.engine.erase(Scope::All, true).await.map_err(from_engine)
    }

    /// Discards the records of pages that were deleted from the browser's history, by their addresses, or of all. Only
    /// what is not on a server yet: that stays there. Visits of more than 89 days ago are kept unless all is named:
    /// browsers take those out of their history by themselves.
    #[wasm_bindgen(js_name = forgetPages)]
    pub async fn forget_pages(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string[] | \"all\"")] urls: JsValue,
    ) -> Result<(), JsValue> {
        let scope = match urls.as_string().as_deref() {
            Some("all") => Scope::All,
            _ if urls.is_object() => Scope::Pages(
                options::read(urls).map_err(|_| invalid("urls", "must be an array of strings or \"all\""))?,
            ),
            _ => return Err(invalid("urls", "must be an array of strings or \"all\"")),
        };
        self.engine.erase(scope, false).await.map_err(from_engine)
    }

    /// Hands what was captured signed out (`Status.unclaimed`) to the account that is signed in. Returns how much of it
    /// waits to be sent.
    #[wasm_bindgen(js_name = claimRecords, unchecked_return_type = "Counts")]
    pub async fn claim_records(&self) -> Result<JsValue, JsValue> {
        self.engine.claim(None).await.map(|counts| to_js(&counts)).map_err(from_engine)
    }

    /// Discards what was captured signed out and is nobody's.
    #[wasm_bindgen(js_name = discardUnclaimed)]
    pub async fn discard_unclaimed(&self) -> Result<(), JsValue> {
        self.engine.erase(Scope::Unclaimed, false).await.map_err(from_engine)
    }

    /// Takes records along that wait for another server of the same user (`Status.elsewhere`): they go to the account
    /// that is signed in now. Of several accounts there, those of the one with the same id; without one,
    /// `Status.elsewhere` says that they may not be taken. Returns how much waits to be sent.
    #[wasm_bindgen(js_name = takeRecords, unchecked_return_type = "Counts")]
    pub async fn take_records(&self, from_server: String) -> Result<JsValue, JsValue> {
        let origin = owner::origin_of(&from_server)
            .ok_or_else(|| invalid("fromServer", "must be an http or https URL"))?;
        self.engine.claim(Some(&origin)).await.map(|counts| to_js(&counts)).map_err(from_engine)
    }
}
