//! Records to and from a file, as JavaScript sees them: the module's memory holds a piece of it at a time.

use js_sys::{Array, JsString, Object, Reflect};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::error::{from_engine, invalid};
use super::{SyncCore, to_js};
use crate::engine::{Bookmark, Imported};

/// Characters that are taken at once, and the rest of their last line.
const PIECE_CHARS: u32 = 1 << 20;

#[wasm_bindgen]
impl SyncCore {
    /// Records what an exported file holds, one record a line; bad lines are told and stand in nobody's way. A long file
    /// may come in several calls, each with whole lines, and the same file again.
    #[wasm_bindgen(js_name = importRecords, unchecked_return_type = "Imported")]
    pub async fn import_records(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] ndjson: JsString,
    ) -> Result<JsValue, JsValue> {
        let mut imported = Imported::default();
        let mut from = 0;
        while from < ndjson.length() {
            let end = ndjson.index_of("\n", (from + PIECE_CHARS).cast_signed());
            // None is told by -1.
            let end = u32::try_from(end).map_or(ndjson.length(), |end| end + 1);
            let piece = String::from(ndjson.slice(from, end));
            self.engine.import(&piece, &mut imported).await.map_err(from_engine)?;
            from = end;
        }
        Ok(to_js(&imported))
    }

    /// Every record that is not on the server, as NDJSON in pieces of whole lines; `importRecords` takes them back. Of a
    /// large backlog `exportPiece` gives one piece after the other.
    #[wasm_bindgen(js_name = exportRecords, unchecked_return_type = "string[]")]
    pub async fn export_records(&self) -> Result<JsValue, JsValue> {
        let pieces = Array::new();
        let mut at = Some(Bookmark::default());
        while let Some(from) = at {
            let piece = self.engine.export(from).await.map_err(from_engine)?;
            if !piece.text.is_empty() {
                pieces.push(&piece.text.into());
            }
            at = piece.next;
        }
        Ok(pieces.into())
    }

    /// A piece of what `exportRecords` gives, about a megabyte at most: the first, or the one behind the piece whose `next`
    /// is given. The last one has none.
    #[wasm_bindgen(js_name = exportPiece, unchecked_return_type = "ExportPiece")]
    pub async fn export_piece(&self, after: Option<String>) -> Result<JsValue, JsValue> {
        let from = match after {
            None => Bookmark::default(),
            Some(next) => next.parse().map_err(|()| invalid("after", "must be the next of a piece"))?,
        };
        let piece = self.engine.export(from).await.map_err(from_engine)?;
        let next = piece.next.map_or(JsValue::NULL, |next| next.to_string().into());
        let told = Object::new();
        Reflect::set(&told, &"text".into(), &piece.text.into())?;
        Reflect::set(&told, &"next".into(), &next)?;
        Ok(told.into())
    }
}
