//! Records to and from a file, in pieces, with deaths in between.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test that fails is to panic")]

use heyho_simulation::scene::{Scene, exported, imported};
use heyho_simulation::world::End;
use heyho_sync::engine::Bookmark;

#[test]
fn a_large_export_comes_in_bounded_pieces_that_are_one_document() {
    let scene = Scene::default();
    let engine = scene.worker();
    for start in (0..2_000).step_by(500) {
        scene.record(&engine, start..start + 500);
    }
    let (mut document, mut lines, mut at) = (String::new(), Vec::new(), Some(Bookmark::default()));
    while let Some(from) = at {
        let piece = scene.world.run(engine.export(from)).unwrap();
        lines.push(piece.text.lines().count());
        assert!(piece.text.is_empty() || piece.text.ends_with('\n'), "a piece has whole lines");
        document.push_str(&piece.text);
        // A bookmark is a text on its way to a page and back.
        at = piece.next.map(|next| next.to_string().parse().unwrap());
    }
    assert_eq!(lines.iter().sum::<usize>(), 4_000);
    assert!(lines.iter().all(|lines| *lines <= 500), "{lines:?}");

    let other = Scene::default();
    let engine = other.worker();
    let told = other.world.run(imported(&engine, &document)).unwrap();
    assert_eq!((told.recorded.captured, told.refused.len(), told.lines), (4_000, 0, 4_000));
    other.sync(&engine);
    assert_eq!((other.stored(), other.rows_left()), (4_000, 0));
    assert!(other.network.server.borrow().dangling.is_empty(), "each came behind what it refers to");
}

#[test]
fn an_import_that_dies_at_any_await_and_is_repeated_doubles_nothing() {
    let file = {
        let scene = Scene::default();
        let engine = scene.worker();
        scene.record(&engine, 0..400);
        scene.world.run(exported(&engine)).unwrap()
    };
    let mut deaths = 0;
    for polls in 1.. {
        let scene = Scene::default();
        let engine = scene.worker();
        let end = scene.world.run_for(imported(&engine, &file), polls);
        drop(engine);
        let engine = scene.worker();
        scene.world.run(imported(&engine, &file)).unwrap();
        scene.assert_balanced(&engine, 800);
        scene.sync(&engine);
        // Once more, when all of it is delivered and most of that forgotten.
        scene.world.run(imported(&engine, &file)).unwrap();
        scene.sync(&engine);
        assert_eq!((scene.rows_left(), scene.stored()), (0, 800));
        let server = scene.network.server.borrow();
        assert!(server.stored["user-1"].values().all(|stored| stored.writes == 1));
        if end != End::Died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 5, "an import has more awaits than {deaths}");
}
